// What writers that were killed left behind. A writer works on TemporaryNameOf(path) of
// temporary_name.h and renames that at its end.
#ifndef TANREN_RUNTIME_FORMATS_LEFTOVERS_H_
#define TANREN_RUNTIME_FORMATS_LEFTOVERS_H_

#include <filesystem>

namespace tanren::formats {

// While it lives, other processes' RemoveLeftovers leave a temporary file or folder alone, those on
// other hosts too where the file system carries locks.
class WriterMark {
 public:
  WriterMark() = default;
  // Of something that exists. Where it can't be locked it is unmarked.
  explicit WriterMark(const std::filesystem::path& temporary);
  WriterMark(WriterMark&& other) noexcept;
  WriterMark& operator=(WriterMark&& other) noexcept;
  ~WriterMark();

 private:
  int descriptor_ = -1;
};

// Removes the temporary files and folders of `path` whose process doesn't exist any more, unless
// they are marked or can't be locked. What can't be removed stays: it is in nobody's way.
void RemoveLeftovers(const std::filesystem::path& path);

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_LEFTOVERS_H_
