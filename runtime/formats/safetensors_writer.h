// Writes safetensors by streaming: tensors are declared first, then filled range by range.
#ifndef TANREN_RUNTIME_FORMATS_SAFETENSORS_WRITER_H_
#define TANREN_RUNTIME_FORMATS_SAFETENSORS_WRITER_H_

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/formats/weights.h"

namespace tanren::formats {

// Any number of threads may write at once; memory use doesn't grow with the tensors. Destroyed
// before Finish(), it leaves nothing behind.
class SafetensorsWriter {
 public:
  // One file. `tensors` are F32, BF16 or F16, with unique names.
  static absl::StatusOr<std::unique_ptr<SafetensorsWriter>> CreateFile(
      const std::filesystem::path& file, std::vector<TensorInfo> tensors);
  // model.safetensors in `directory`, which exists; or, where that would be longer than
  // `max_shard_bytes`, model-00001-of-00003.safetensors … and model.safetensors.index.json. A
  // tensor is never cut, so one alone may be longer.
  static absl::StatusOr<std::unique_ptr<SafetensorsWriter>> CreateInDirectory(
      const std::filesystem::path& directory, std::vector<TensorInfo> tensors,
      int64_t max_shard_bytes = std::numeric_limits<int64_t>::max());
  virtual ~SafetensorsWriter() = default;

  // Elements begin … begin + values.size() - 1 of the flattened tensor, rounded to its dtype, to
  // nearest, ties to even. In any order, each element once: kInvalidArgument for a second time.
  virtual absl::Status Write(std::string_view name, int64_t begin,
                             std::span<const float> values) = 0;
  // Flushes to disk and gives the files their names, the index last. kFailedPrecondition names what
  // was not written.
  virtual absl::Status Finish() = 0;
};

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_SAFETENSORS_WRITER_H_
