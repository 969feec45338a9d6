#include "runtime/base/build.h"

#include <link.h>

#include <cstring>
#include <string_view>

#include "fmt/format.h"

namespace tanren {
namespace {

size_t Padded(size_t size) { return (size + 3) / 4 * 4; }

// The description of the note "GNU" of the build's type among a segment's notes, each of which is a
// header, a name and a description, both padded to 4 bytes; empty if it isn't there.
std::string_view BuildNote(std::string_view notes) {
  ElfW(Nhdr) header;
  while (notes.size() >= sizeof(header)) {
    std::memcpy(&header, notes.data(), sizeof(header));
    notes.remove_prefix(sizeof(header));
    const size_t size = Padded(header.n_namesz) + Padded(header.n_descsz);
    if (size > notes.size()) break;
    if (header.n_type == NT_GNU_BUILD_ID && notes.starts_with("GNU")) {
      return notes.substr(Padded(header.n_namesz), header.n_descsz);
    }
    notes.remove_prefix(size);
  }
  return {};
}

// Called for the program first, then for its libraries.
int TakeFirst(dl_phdr_info* object, size_t /*size*/, void* result) {
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const std::string_view note = BuildNote(
        {reinterpret_cast<const char*>(object->dlpi_addr + segment.p_vaddr), segment.p_memsz});
    if (note.empty()) continue;
    *static_cast<std::string*>(result) = note;
    break;
  }
  return 1;  // no further object
}

}  // namespace

std::string BuildId() {
  std::string bytes, text;
  dl_iterate_phdr(TakeFirst, &bytes);
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::string VersionText(std::string_view program) {
  return fmt::format("{} {} (build {})", program, kVersion, BuildId());
}

}  // namespace tanren
