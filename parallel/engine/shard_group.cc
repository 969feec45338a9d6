#include "parallel/engine/shard_group.h"

#include <ATen/ATen.h>

#include <utility>

#include "runtime/base/error.h"
#include "runtime/kernels/device_copy.h"

namespace tanren::parallel {
namespace {

ShardLayout MakeLayout(const std::vector<ParameterSpec>& specs, int world_size) {
  std::vector<ParameterShape> shapes;
  for (const ParameterSpec& spec : specs) shapes.push_back({spec.name, spec.shape});
  return ShardLayout(shapes, world_size, ShardGroup::kAlignment);
}

// Adds a sparse gradient of rows, those of an embedding that were looked up, summed in fp32.
void AddRows(const at::Tensor& gradient, at::Tensor& whole) {
  at::Tensor rows = gradient._indices()[0], values = gradient._values().to(at::kFloat);
  if (whole.scalar_type() != at::kFloat && !whole.is_cpu()) {
    // Which rows are the same isn't asked: the answer's size would have to be waited for.
    whole.add_(at::embedding_dense_backward(values, rows, whole.size(0), /*padding_idx=*/-1,
                                            /*scale_grad_by_freq=*/false));
    return;
  }
  if (whole.scalar_type() != at::kFloat) {
    const at::Tensor summed =
        at::sparse_coo_tensor(gradient._indices(), values, gradient.sizes()).coalesce();
    rows = summed.indices()[0];
    values = summed.values().to(whole.scalar_type());
  }
  whole.index_add_(0, rows, values);
}

}  // namespace

ShardGroup::ShardGroup(std::string name, std::vector<ParameterSpec> parameters,
                       comm::Communicator& comm, const ShardGroupOptions& options)
    : name_(std::move(name)),
      specs_(std::move(parameters)),
      comm_(comm),
      options_(options),
      layout_(MakeLayout(specs_, comm.size())),
      whole_(layout_.padded_numel(), at::device(comm.device_type()).dtype(options.compute_dtype)) {
  const auto device = at::device(comm.device_type());
  shard_ = at::zeros({layout_.shard_numel()},
                     device.dtype(trainable() ? at::kFloat : options_.compute_dtype));
  if (trainable()) gradient_shard_ = at::zeros_like(shard_);
  for (size_t i = 0; i < specs_.size(); ++i) {
    TANREN_CHECK(specs_[i].trainable == trainable(), "group '{}' mixes trainable and frozen",
                 name_);
    parameters_.push_back(whole_.Alias(layout_.parameters()[i].offset, specs_[i].shape));
    parameters_.back().set_requires_grad(trainable());
  }
  written_.resize(specs_.size());
}

TrainableShard ShardGroup::AsTrainableShard() const {
  TrainableShard shard{name_, shard_, gradient_shard_, {}};
  for (const Piece& piece : layout_.PiecesOf(comm_.rank())) {
    for (const ParameterSpec& spec : specs_) {
      if (spec.name != piece.name || !spec.decay) continue;
      const ElementRange range{piece.shard_offset, piece.shard_offset + piece.range.size()};
      if (!shard.decayed.empty() && shard.decayed.back().end == range.begin) {
        shard.decayed.back().end = range.end;
      } else {
        shard.decayed.push_back(range);
      }
    }
  }
  return shard;
}

void ShardGroup::StartGather() {
  if (gathering_ != nullptr) return;
  if (whole_.filled() && gathered_version_ == shard_._version()) return;
  const at::NoGradGuard no_grad;
  whole_.Take([this](int64_t bytes) { return comm_.TakeBuffer(bytes); });
  gathered_version_ = shard_._version();
  const ElementRange mine = layout_.RangeOf(comm_.rank());
  const at::Tensor slot = whole_.flat().narrow(0, mine.begin, mine.size());
  kernels::Assign(slot, shard_);
  gathering_ = comm_.AllGather(whole_.flat(), slot, name_);
}

void ShardGroup::FinishGather() {
  StartGather();
  if (gathering_ == nullptr) return;
  std::exchange(gathering_, nullptr)->Wait();
}

void ShardGroup::Release() {
  const at::NoGradGuard no_grad;
  // An interrupted step may leave a gather under way, which still writes to the memory.
  if (gathering_ != nullptr) FinishGather();
  whole_.Free(options_.fill_released_with_nan);
}

at::Tensor ShardGroup::WholeGradientView(int index) {
  if (!gradient_.defined() && comm_.size() == 1) {
    // The sum of this rank alone is the whole sum.
    gradient_ = gradient_shard_;
    written_.assign(specs_.size(), !gradient_shard_is_old_);
  } else if (!gradient_.defined()) {
    const at::ScalarType dtype = options_.sums_before_reduce ? at::kFloat : options_.gradient_dtype;
    gradient_ = at::empty({layout_.padded_numel()}, shard_.options().dtype(dtype));
    written_.assign(specs_.size(), false);
  }
  const PlacedParameter& placed = layout_.parameters()[index];
  return gradient_.narrow(0, placed.offset, placed.numel).view(placed.shape);
}

void ShardGroup::AddGradient(int index, const at::Tensor& gradient) {
  const at::NoGradGuard no_grad;
  TANREN_CHECK(trainable() && reducing_ == nullptr, "group '{}' takes no gradient now", name_);
  at::Tensor view = WholeGradientView(index);
  if (gradient.is_sparse()) {
    if (!written_[index]) view.zero_();
    AddRows(gradient, view);
  } else if (written_[index]) {
    view.add_(gradient);
  } else {
    kernels::Assign(view, gradient);
  }
  written_[index] = true;
}

at::Tensor ShardGroup::MutableGradient(int index) {
  const at::NoGradGuard no_grad;
  TANREN_CHECK(trainable() && options_.sums_before_reduce && reducing_ == nullptr,
               "group '{}' lends no gradient now", name_);
  at::Tensor view = WholeGradientView(index);
  if (!written_[index]) view.zero_();
  written_[index] = true;
  return view;
}

void ShardGroup::StartReduce() {
  const at::NoGradGuard no_grad;
  TANREN_CHECK(trainable() && reducing_ == nullptr, "group '{}' is being reduced", name_);
  ZeroUnwritten();
  if (comm_.size() == 1) {
    gradient_.reset();
    gradient_shard_is_old_ = false;
    return;
  }
  gradient_ = gradient_.to(options_.gradient_dtype);
  const ElementRange mine = layout_.RangeOf(comm_.rank());
  reducing_ = comm_.ReduceScatter(gradient_.narrow(0, mine.begin, mine.size()), gradient_,
                                  comm::ReduceOp::kSum, name_);
}

void ShardGroup::ZeroUnwritten() {
  if (!gradient_.defined()) WholeGradientView(0);
  if (comm_.size() == 1 && !gradient_shard_is_old_) return;
  int64_t written_end = 0;
  const auto zero_up_to = [&](int64_t end) {
    if (end > written_end) gradient_.narrow(0, written_end, end - written_end).zero_();
  };
  for (size_t i = 0; i < specs_.size(); ++i) {
    const PlacedParameter& placed = layout_.parameters()[i];
    if (!written_[i]) continue;
    zero_up_to(placed.offset);
    written_end = placed.offset + placed.numel;
  }
  zero_up_to(layout_.padded_numel());
}

void ShardGroup::FinishReduce() {
  if (reducing_ == nullptr) return;
  const at::NoGradGuard no_grad;
  std::exchange(reducing_, nullptr)->Wait();
  const ElementRange mine = layout_.RangeOf(comm_.rank());
  const at::Tensor sum = gradient_.narrow(0, mine.begin, mine.size());
  if (gradient_shard_is_old_) {
    kernels::Assign(gradient_shard_, sum);
  } else {
    gradient_shard_.add_(sum);
  }
  gradient_shard_is_old_ = false;
  gradient_.reset();
}

void ShardGroup::ResetGradients() {
  if (!trainable()) return;
  const at::NoGradGuard no_grad;
  reducing_.reset();
  gradient_.reset();
  gradient_shard_is_old_ = true;
}

void ShardGroup::FinishGradients() {
  if (!trainable() || !gradient_shard_is_old_) return;
  const at::NoGradGuard no_grad;
  gradient_shard_.zero_();
  gradient_shard_is_old_ = false;
}

}  // namespace tanren::parallel
