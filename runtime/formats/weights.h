// Named tensors in files, read range by range as fp32.
#ifndef TANREN_RUNTIME_FORMATS_WEIGHTS_H_
#define TANREN_RUNTIME_FORMATS_WEIGHTS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/formats/dtype.h"

namespace tanren::formats {

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;   // as stored
  std::vector<int64_t> shape;  // row-major: the last dimension is contiguous; {} is one number

  int64_t numel() const;
};

// "[49152, 576]"
std::string ShapeText(std::span<const int64_t> shape);

// The product of the dimensions; kInvalidArgument for a negative one, or beyond 2^63 - 1.
absl::StatusOr<int64_t> CheckedNumel(std::span<const int64_t> shape);

// Immutable and memory-mapped: any number of threads may read. The file must not be cut while it is
// open.
class WeightsReader {
 public:
  virtual ~WeightsReader() = default;
  WeightsReader(const WeightsReader&) = delete;
  WeightsReader& operator=(const WeightsReader&) = delete;

  // In the file's order; names are unique.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // Null if there is none of this name.
  const TensorInfo* Find(std::string_view name) const;

  // Elements begin … end-1 of the flattened tensor, as fp32; `values` holds end - begin. Errors
  // name the file and the tensor: kNotFound, kOutOfRange, kInvalidArgument for an integer tensor.
  absl::Status Read(std::string_view name, int64_t begin, int64_t end,
                    std::span<float> values) const;
  // The whole tensor.
  absl::StatusOr<std::vector<float>> Read(std::string_view name) const;

  // The file or folder, for errors.
  const std::string& where() const { return where_; }

 protected:
  explicit WeightsReader(std::string where) : where_(std::move(where)) {}
  // kInvalidArgument if a name comes twice.
  absl::Status SetTensors(std::vector<TensorInfo> tensors);

 private:
  // The range lies inside tensor `index`, whose dtype has float values.
  virtual absl::Status ReadRange(size_t index, int64_t begin, int64_t end,
                                 std::span<float> values) const = 0;

  std::string where_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t, std::less<>> index_of_;
};

}  // namespace tanren::formats

#endif  // TANREN_RUNTIME_FORMATS_WEIGHTS_H_
