#include "runtime/formats/weights.h"

#include "fmt/ranges.h"
#include "runtime/base/error.h"

namespace tanren::formats {

int64_t TensorInfo::numel() const {
  int64_t product = 1;
  for (const int64_t dimension : shape) product *= dimension;
  return product;
}

std::string ShapeText(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

absl::StatusOr<int64_t> CheckedNumel(std::span<const int64_t> shape) {
  int64_t product = 1;
  for (const int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(product, dimension, &product)) {
      return absl::InvalidArgumentError(
          fmt::format("the shape {} has no sensible number of elements", ShapeText(shape)));
    }
  }
  return product;
}

absl::Status WeightsReader::SetTensors(std::vector<TensorInfo> tensors) {
  tensors_ = std::move(tensors);
  index_of_.clear();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!index_of_.emplace(tensors_[i].name, i).second) {
      return absl::InvalidArgumentError(
          fmt::format("{}: the tensor {} is there twice", where_, tensors_[i].name));
    }
  }
  return absl::OkStatus();
}

const TensorInfo* WeightsReader::Find(std::string_view name) const {
  const auto found = index_of_.find(name);
  return found == index_of_.end() ? nullptr : &tensors_[found->second];
}

absl::Status WeightsReader::Read(std::string_view name, int64_t begin, int64_t end,
                                 std::span<float> values) const {
  const TensorInfo* info = Find(name);
  if (info == nullptr) {
    return absl::NotFoundError(fmt::format("{}: there is no tensor {}", where_, name));
  }
  if (begin < 0 || begin > end || end > info->numel() ||
      static_cast<int64_t>(values.size()) != end - begin) {
    return absl::OutOfRangeError(
        fmt::format("{}: {}: elements {} to {} into {} values were asked for; it has {}", where_,
                    name, begin, end, values.size(), info->numel()));
  }
  if (!HasFloatValues(info->dtype)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}: found {}, expected a float type", where_, name, Name(info->dtype)));
  }
  if (begin == end) return absl::OkStatus();
  return ReadRange(static_cast<size_t>(info - tensors_.data()), begin, end, values);
}

absl::StatusOr<std::vector<float>> WeightsReader::Read(std::string_view name) const {
  const TensorInfo* info = Find(name);
  std::vector<float> values(info == nullptr ? 0 : static_cast<size_t>(info->numel()));
  TANREN_RETURN_IF_ERROR(Read(name, 0, static_cast<int64_t>(values.size()), values));
  return values;
}

}  // namespace tanren::formats
