#include "trainer/data/jsonl_file.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::trainer {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kWhiteSpace = " \t\r";
// Rows are numbered in 32 bits where random numbers are drawn for them.
constexpr size_t kMaximumRows = UINT32_MAX;

}  // namespace

std::string_view JsonlFile::text() const {
  return {reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size()};
}

absl::StatusOr<JsonlFile> JsonlFile::Open(const std::filesystem::path& path) {
  TANREN_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  JsonlFile file(std::move(mapped));
  const std::string_view text = file.text();
  size_t begin = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const size_t first = text.find_first_not_of(kWhiteSpace, begin);
    if (first < end) {
      if (file.row_begins_.size() == kMaximumRows) {
        return absl::ResourceExhaustedError(
            fmt::format("{}: more than {} rows; split the file", path.string(), kMaximumRows));
      }
      file.row_begins_.push_back(first);
    }
    begin = end + 1;
  }
  return file;
}

absl::StatusOr<std::string_view> JsonlFile::Row(size_t row) const {
  TANREN_CHECK(row < row_begins_.size(), "row {} of {}", row, row_begins_.size());
  std::string_view line = text().substr(row_begins_[row]);
  line = line.substr(0, line.find('\n'));
  if (line.size() > kMaximumLineBytes) {
    return absl::InvalidArgumentError(fmt::format("a line of {} bytes, where at most {} are read",
                                                  line.size(), kMaximumLineBytes));
  }
  return line.substr(0, line.find_last_not_of(kWhiteSpace) + 1);
}

std::string JsonlFile::Where(size_t row) const {
  TANREN_CHECK(row < row_begins_.size(), "row {} of {}", row, row_begins_.size());
  const std::string_view before = text().substr(0, row_begins_[row]);
  return fmt::format("{}:{}", file_.path().string(),
                     1 + std::count(before.begin(), before.end(), '\n'));
}

}  // namespace tanren::trainer
