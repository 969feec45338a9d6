#include "parallel/optimizer/optimizer.h"

#include <ATen/ATen.h>

#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

void CheckShard(const TrainableShard& shard) {
  int64_t end = 0;
  bool ranges_fit = true;
  for (const ElementRange& range : shard.decayed) {
    ranges_fit = ranges_fit && range.begin >= end && range.begin <= range.end;
    end = range.end;
  }
  const auto is_flat = [](const at::Tensor& tensor) {
    return tensor.defined() && tensor.dim() == 1 && tensor.scalar_type() == at::kFloat &&
           tensor.is_contiguous();
  };
  if (is_flat(shard.master) && is_flat(shard.gradient) && ranges_fit &&
      end <= shard.master.numel() && shard.master.numel() == shard.gradient.numel()) {
    return;
  }
  throw Error(absl::InvalidArgumentError(fmt::format(
      "shard '{}' needs a flat fp32 master and gradient of one size with its decayed ranges inside",
      shard.group)));
}

// Where weight decay doesn't apply.
std::vector<ElementRange> Complement(const std::vector<ElementRange>& ranges, int64_t numel) {
  std::vector<ElementRange> rest;
  int64_t begin = 0;
  for (const ElementRange& range : ranges) {
    rest.push_back({begin, range.begin});
    begin = range.end;
  }
  rest.push_back({begin, numel});
  return rest;
}

}  // namespace

Optimizer::Optimizer(std::vector<TrainableShard> shards) : shards_(std::move(shards)) {
  for (const TrainableShard& shard : shards_) CheckShard(shard);
}

void Optimizer::Step(double learning_rate, double gradient_scale) {
  TANREN_CHECK(gradient_scale != 0, "a gradient scale of 0");
  const at::NoGradGuard no_grad;
  ++steps_taken_;
  if (shards_.empty()) return;
  std::optional<at::Tensor> inverse_scale;
  if (gradient_scale != 1) {
    inverse_scale = at::full({}, 1 / gradient_scale, shards_.front().master.options());
  }
  Update(learning_rate, inverse_scale);
  // The engine sees by the version that its gathered copies are old.
  for (const TrainableShard& shard : shards_) shard.master.unsafeGetTensorImpl()->bump_version();
}

std::vector<at::Tensor> Optimizer::ZerosBesideMasters() const {
  std::vector<at::Tensor> zeros;
  for (const TrainableShard& shard : shards_) zeros.push_back(at::zeros_like(shard.master));
  return zeros;
}

Optimizer::Parts Optimizer::Cut(bool decayed, const std::vector<at::Tensor>& first,
                                const std::vector<at::Tensor>& second) const {
  Parts parts;
  for (size_t i = 0; i < shards_.size(); ++i) {
    const TrainableShard& shard = shards_[i];
    for (const ElementRange& range :
         decayed ? shard.decayed : Complement(shard.decayed, shard.master.numel())) {
      if (range.size() == 0) continue;
      const auto cut = [&](const at::Tensor& tensor) {
        return tensor.narrow(0, range.begin, range.size());
      };
      parts.masters.push_back(cut(shard.master));
      parts.gradients.push_back(cut(shard.gradient));
      if (!first.empty()) parts.first.push_back(cut(first[i]));
      if (!second.empty()) parts.second.push_back(cut(second[i]));
    }
  }
  return parts;
}

}  // namespace tanren::parallel
