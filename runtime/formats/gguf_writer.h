// Writes GGUF, version 3, by streaming: metadata and tensors are declared first, then the tensors
// are filled range by range.
#ifndef TANREN_RUNTIME_FORMATS_GGUF_WRITER_H_
#define TANREN_RUNTIME_FORMATS_GGUF_WRITER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/formats/tensor_file_writer.h"
#include "runtime/formats/weights.h"

namespace tanren::formats {

// The C++ type is the type in the file.
using GgufField =
    std::variant<bool, uint32_t, int32_t, uint64_t, int64_t, float, double, std::string,
                 std::vector<int32_t>, std::vector<float>, std::vector<std::string>>;

// In the file's order.
using GgufMetadata = std::vector<std::pair<std::string, GgufField>>;

// Memory use doesn't grow with the tensors. Whole or absent: under another name until Finish(), and
// destroyed before, it leaves nothing behind; a file of the name is replaced in one step. Any
// number of threads may write at once. Errors name the file and the tensor.
class GgufWriter {
 public:
  // `tensors` are F32, F16, BF16 or Q8_0, in the file's order, with 1 to 4 dimensions. Refuses what
  // llama.cpp doesn't read: a key or a name twice, a name of 64 bytes or more, rows of Q8_0 that
  // aren't whole blocks, another general.alignment than 32.
  static absl::StatusOr<std::unique_ptr<GgufWriter>> Create(const std::filesystem::path& file,
                                                            const GgufMetadata& metadata,
                                                            std::vector<TensorInfo> tensors);

  // Elements begin … begin + values.size() - 1 of the flattened tensor, rounded to its dtype; of
  // Q8_0 whole blocks of 32. In any order, each element once. kInvalidArgument for a value that the
  // dtype can't hold: what would become infinite, and in Q8_0 NaN and infinity.
  absl::Status Write(std::string_view name, int64_t begin, std::span<const float> values);
  // Flushes to disk and gives the file its name. kFailedPrecondition names what was not written.
  absl::Status Finish();

 private:
  GgufWriter() = default;

  std::string where_;
  std::map<std::string, DType, std::less<>> dtype_of_;
  std::unique_ptr<TensorFileWriter> file_;
};

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_GGUF_WRITER_H_
