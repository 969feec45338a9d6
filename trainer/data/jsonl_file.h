// A file with one JSON value in a line, read in place.
#ifndef TANREN_TRAINER_DATA_JSONL_FILE_H_
#define TANREN_TRAINER_DATA_JSONL_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/base/file.h"

namespace tanren::trainer {

// A row is a line with more than white space in it; LF or CRLF ends it, and the last one needs
// neither. A byte-order mark at the file's start is left out. The file stays mapped, 8 bytes are
// kept for each row, and any number of threads may read.
class JsonlFile {
 public:
  static constexpr size_t kMaximumLineBytes = size_t{64} << 20;

  // Errors name the path; a file with 2^32 rows or more is one.
  static absl::StatusOr<JsonlFile> Open(const std::filesystem::path& path);

  size_t row_count() const { return row_begins_.size(); }
  size_t size_in_bytes() const { return file_.bytes().size(); }

  // The row's text, valid while the file is; kInvalidArgument for one of more than
  // kMaximumLineBytes. Requires row < row_count().
  absl::StatusOr<std::string_view> Row(size_t row) const;

  // "path:line", with lines counted from 1 as editors do, blank ones too. Reads the file up to the
  // row: for messages.
  std::string Where(size_t row) const;

 private:
  explicit JsonlFile(MappedFile file) : file_(std::move(file)) {}
  std::string_view text() const;

  MappedFile file_;
  std::vector<uint64_t> row_begins_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_DATA_JSONL_FILE_H_
