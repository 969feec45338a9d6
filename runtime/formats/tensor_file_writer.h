// Fills one file of named tensors by streaming, whatever its header looks like.
#ifndef TANREN_RUNTIME_FORMATS_TENSOR_FILE_WRITER_H_
#define TANREN_RUNTIME_FORMATS_TENSOR_FILE_WRITER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/formats/leftovers.h"
#include "runtime/formats/weights.h"

namespace tanren::formats {

// The ranges of a tensor that were written.
class WrittenRanges {
 public:
  // False, and nothing changes, if a part of begin … end-1 is there already.
  bool Add(int64_t begin, int64_t end);
  // The first of `size` elements that is missing; `size` if none is.
  int64_t FirstMissing(int64_t size) const;

 private:
  std::map<int64_t, int64_t> end_of_;  // of each begin; neighbours are joined
};

struct PlacedTensor {
  TensorInfo info;
  int64_t offset = 0;  // of its first byte in the file
};

// Under another name until Rename(); destroyed before, it leaves nothing behind. Any number of
// threads may write at once.
class TensorFileWriter {
 public:
  // A file of `file_bytes` bytes that begins with `header`. Bytes of neither header nor tensors are
  // zero. The names are unique, the tensors lie in the file and don't overlap.
  static absl::StatusOr<std::unique_ptr<TensorFileWriter>> Create(const std::filesystem::path& path,
                                                                  std::string_view header,
                                                                  std::vector<PlacedTensor> tensors,
                                                                  int64_t file_bytes);
  ~TensorFileWriter();
  TensorFileWriter(const TensorFileWriter&) = delete;
  TensorFileWriter& operator=(const TensorFileWriter&) = delete;

  // As SafetensorsWriter's. Of a quantised tensor whole blocks, else kInvalidArgument.
  absl::Status Write(std::string_view name, int64_t begin, std::span<const float> values);
  // Checks that everything was written, flushes it to disk and closes the file.
  absl::Status Complete();
  absl::Status Rename();

 private:
  struct Slot {
    PlacedTensor tensor;
    WrittenRanges written;
  };

  explicit TensorFileWriter(std::filesystem::path path);
  absl::Status Start(std::string_view header, std::vector<PlacedTensor> tensors,
                     int64_t file_bytes);
  absl::Status Claim(Slot& slot, int64_t begin, int64_t end);
  absl::Status WriteValues(const PlacedTensor& tensor, int64_t begin,
                           std::span<const float> values);
  absl::Status WriteBytes(std::span<const std::byte> bytes, int64_t offset);
  absl::Status ErrnoOf(std::string_view action) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int file_ = -1;
  WriterMark mark_;
  std::mutex mutex_;  // guards Slot::written and failed_
  std::map<std::string, Slot, std::less<>> slots_;
  bool failed_ = false;  // a range counts as written though it isn't
};

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_TENSOR_FILE_WRITER_H_
