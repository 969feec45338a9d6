#include "runtime/comm/nccl_buffers.h"

#include <algorithm>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::comm {
namespace {

// A block may be larger than what it is used for by a quarter.
constexpr int64_t kLargestWaste = 4;

}  // namespace

c10::DataPtr NcclBuffers::Take(int64_t bytes) {
  const at::Device device = origin_->api().device();
  const Block block = bytes > 0 && !unavailable_ ? Find(bytes) : Block{};
  if (block.data == nullptr) {
    return c10::GetAllocator(device.type())->allocate(static_cast<size_t>(bytes));
  }
  auto* loan = new Loan{shared_from_this(), block};
  return {block.data, loan,
          [](void* context) {
            const std::unique_ptr<Loan> loan(static_cast<Loan*>(context));
            loan->owner->GiveBack(loan->block);
          },
          device};
}

NcclBuffers::Block NcclBuffers::Find(int64_t bytes) {
  {
    std::lock_guard lock(mutex_);
    auto best = free_.end();
    for (auto block = free_.begin(); block != free_.end(); ++block) {
      const bool fits = block->bytes >= bytes && block->bytes <= bytes + bytes / kLargestWaste;
      if (fits && (best == free_.end() || block->bytes < best->bytes)) best = block;
    }
    if (best != free_.end()) {
      const Block found = *best;
      free_.erase(best);
      return found;
    }
  }
  return Allocate(bytes);
}

NcclBuffers::Block NcclBuffers::Allocate(int64_t bytes) {
  Block block{nullptr, bytes, nullptr};
  const NcclApi::Result allocated = origin_->api().AllocateMemory(bytes, &block.data);
  if (allocated.code != NcclApi::Code::kOk) {
    Warn(allocated);
    return {};
  }
  NcclApi::Result failure;
  const auto do_register = [&]() -> NcclApi::Result {
    NcclApi::Result result =
        origin_->api().Register(group_, block.data, block.bytes, &block.handle);
    if (result.code != NcclApi::Code::kFailed) return result;
    // No reason to end the run.
    failure = std::move(result);
    return {};
  };
  origin_->Do("registering a buffer", &group_, do_register, origin_->options().call_timeout);
  if (failure.code == NcclApi::Code::kFailed) {
    Warn(failure);
    origin_->api().FreeMemory(block.data);
    return {};
  }
  std::lock_guard lock(mutex_);
  handles_.push_back(block.handle);
  return block;
}

void NcclBuffers::GiveBack(Block block) {
  std::lock_guard lock(mutex_);
  if (closed_) {
    origin_->api().FreeMemory(block.data);
  } else {
    free_.push_back(block);
  }
}

void NcclBuffers::Close() {
  std::vector<Block> unused;
  std::vector<void*> handles;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    unused.swap(free_);
    handles.swap(handles_);
  }
  try {
    // Not with our lock: the watcher gives blocks back while it holds the origin's.
    for (void* handle : handles) {
      origin_->Do(
          "deregistering a buffer", &group_,
          [&] { return origin_->api().Deregister(group_, handle); },
          origin_->options().call_timeout);
    }
  } catch (const Error&) {
    // An abort has freed the group, and what it knew of them with it.
  }
  for (const Block& block : unused) origin_->api().FreeMemory(block.data);
}

void NcclBuffers::Warn(const NcclApi::Result& result) {
  unavailable_ = true;
  LogWarning("gathered weights are not in memory that NCCL has registered: {}", result.message);
}

}  // namespace tanren::comm
