// A rank's log on the agent's disk: whatever files stand there under whatever names, its times
// among them, reading ends; and what one writer wrote is read byte for byte or the gap is declared,
// though files go, are torn and are read meanwhile.
#include <algorithm>
#include <filesystem>
#include <string>

#include "coordinator/launch/log_spool.h"
#include "tests/fuzz/fuzz_input.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLongestAnswer = 1 << 20;

// Takes numbers and short texts off the front of the input; zeros once it is used up.
class Choices {
 public:
  explicit Choices(std::string_view bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  uint64_t Number(size_t bytes) {
    uint64_t number = 0;
    for (const char c : Text(bytes)) number = number << 8 | static_cast<uint8_t>(c);
    return number;
  }
  std::string_view Text(size_t bytes) {
    const std::string_view text = bytes_.substr(0, bytes);
    bytes_.remove_prefix(text.size());
    return text;
  }

 private:
  std::string_view bytes_;
};

void Empty(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) fs::remove_all(entry.path());
}

void ReadForeignFiles(const fuzz::InputFolder& folder, Choices choices) {
  ReadLogChunk request;
  request.set_offset(choices.Number(8));
  request.set_tail_bytes(static_cast<int64_t>(choices.Number(8)));
  // (Each answer looks through the folder: byte by byte an input would take a tenth of a second.)
  const auto limit = static_cast<int64_t>(choices.Number(8));
  request.set_limit(limit > 0 ? std::max<int64_t>(limit, 32) : limit);
  request.set_since_ms(static_cast<int64_t>(choices.Number(8)));
  const bool ended = choices.Number(1) % 2 == 1;
  uint64_t bytes = 0;
  for (int i = 0; i < 6 && !choices.empty(); ++i) {
    std::string name(choices.Text(choices.Number(1) % 32));
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '/' || c == '\0'; }, '+');
    const std::string_view content = choices.Text(choices.Number(1));
    folder.Write("trainer.0" + name, content);
    bytes += content.size();
  }
  const fs::path path = folder.path() / "trainer.0.log";
  // A follower that goes on where the last answer ended has read all of it after so many.
  for (uint64_t answers = 0; answers < bytes + 10; ++answers) {
    const absl::StatusOr<LogChunk> chunk = ReadSpool(path, request, ended);
    if (!chunk.ok()) break;
    const auto size = static_cast<int64_t>(chunk->data().size());
    fuzz::Demand(size <= kLongestAnswer, "an answer is no longer than asked for");
    fuzz::Demand(request.limit() <= 0 || size <= request.limit(), "nor than its limit");
    if (chunk->end() || chunk->data().empty()) break;
    const uint64_t next = chunk->offset() + chunk->data().size();
    fuzz::Demand(next > chunk->offset(), "offsets grow");
    request.set_tail_bytes(0);
    request.set_since_ms(0);
    request.set_offset(next);
    fuzz::Demand(answers < bytes + 9, "reading ends");
  }
  fuzz::Demand(SpoolTail(path, 100).size() <= 100, "a tail is as short as asked for");
}

char ByteAt(uint64_t offset) { return static_cast<char>(offset * 2654435761U >> 11); }

// The offset in "trainer.0+<offset>.log"; 0 of any other name.
uint64_t BeginOf(const fs::path& file) {
  const std::string name = file.filename().string();
  const size_t plus = name.find('+');
  return plus == std::string::npos ? 0 : std::stoull(name.substr(plus + 1));
}

uint64_t LastBegin(const fs::path& folder) {
  uint64_t last = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    last = std::max(last, BeginOf(entry.path()));
  }
  return last;
}

// A writer, and a follower that checks each byte by its offset.
void WriteAndFollow(const fuzz::InputFolder& folder, Choices choices) {
  const fs::path path = folder.path() / "trainer.0.log";
  LogSpool spool(path, static_cast<int64_t>(choices.Number(1)));
  uint64_t followed = 0;
  for (int i = 0; i < 64 && !choices.empty(); ++i) {
    const uint64_t choice = choices.Number(1);
    const uint64_t size = choices.Number(1);
    if (choice % 4 == 0) {
      std::string bytes;
      for (uint64_t at = 0; at < size; ++at) bytes += ByteAt(spool.end() + at);
      spool.Append(bytes);
    } else if (choice % 4 == 1) {
      ReadLogChunk request;
      request.set_offset(followed);
      request.set_limit(static_cast<int64_t>(size));
      const absl::StatusOr<LogChunk> chunk = ReadSpool(path, request, false);
      if (!chunk.ok()) continue;
      fuzz::Demand(chunk->offset() >= followed, "a follower isn't sent back");
      fuzz::Demand(chunk->gap() == (chunk->offset() != followed), "a gap is declared");
      for (size_t at = 0; at < chunk->data().size(); ++at) {
        fuzz::Demand(chunk->data()[at] == ByteAt(chunk->offset() + at),
                     "an offset names the same byte for ever");
      }
      followed = chunk->offset() + chunk->data().size();
      fuzz::Demand(followed <= spool.end(), "nothing is read that wasn't written");
    } else {
      auto file = fs::directory_iterator(folder.path());
      for (uint64_t skip = size % 4; skip > 0 && file != fs::directory_iterator(); --skip) ++file;
      if (file == fs::directory_iterator()) continue;
      if (choice % 4 == 2) {
        fs::remove(file->path());
      } else if (BeginOf(file->path()) < LastBegin(folder.path())) {
        // (Of the file that the writer has open nobody else cuts anything.)
        fs::resize_file(file->path(), fs::file_size(file->path()) / 2);
      }
    }
  }
}

}  // namespace
}  // namespace tanren::coordinator

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tanren;
  using namespace tanren::coordinator;
  static const fuzz::InputFolder folder;
  Empty(folder.path());
  Choices choices(fuzz::Text(data, size));
  if (choices.Number(1) % 2 == 0) {
    ReadForeignFiles(folder, choices);
  } else {
    WriteAndFollow(folder, choices);
  }
  return 0;
}
