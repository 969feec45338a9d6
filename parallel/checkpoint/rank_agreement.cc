#include "parallel/checkpoint/rank_agreement.h"

#include <ATen/ATen.h>

#include <cstring>

#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

at::Tensor EmptyBytes(comm::Communicator& world, int64_t size) {
  return at::empty({size}, at::device(world.device_type()).dtype(at::kByte));
}

at::Tensor ToTensor(comm::Communicator& world, const std::string& text) {
  at::Tensor bytes = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
  if (!text.empty()) std::memcpy(bytes.data_ptr(), text.data(), text.size());
  return bytes.to(world.device_type());
}

std::string ToText(const at::Tensor& tensor) {
  const at::Tensor bytes = tensor.to(at::kCPU);
  return {static_cast<const char*>(bytes.data_ptr()), static_cast<size_t>(bytes.numel())};
}

}  // namespace

std::vector<int64_t> GatherNumbers(comm::Communicator& world, int64_t number,
                                   std::string_view unit) {
  const auto options = at::device(world.device_type()).dtype(at::kLong);
  const at::Tensor all = at::empty({world.size()}, options);
  world.AllGather(all, at::full({1}, number, options), unit)->Wait();
  const at::Tensor numbers = all.to(at::kCPU);
  const auto* data = numbers.data_ptr<int64_t>();
  return {data, data + world.size()};
}

absl::Status AgreeOnStatus(comm::Communicator& world, const absl::Status& mine,
                           std::string_view unit) {
  const auto codes = GatherNumbers(world, static_cast<int64_t>(mine.code()), unit);
  for (int rank = 0; rank < world.size(); ++rank) {
    if (codes[rank] == 0) continue;
    const std::string message =
        BroadcastText(world, std::string(mine.message().data(), mine.message().size()), rank, unit);
    const absl::Status status(static_cast<absl::StatusCode>(codes[rank]), message);
    return world.size() == 1 ? status : Annotate(status, fmt::format("rank {}", rank));
  }
  return absl::OkStatus();
}

std::string BroadcastText(comm::Communicator& world, const std::string& text, int root,
                          std::string_view unit) {
  const auto size = GatherNumbers(world, static_cast<int64_t>(text.size()), unit)[root];
  const at::Tensor bytes = world.rank() == root ? ToTensor(world, text) : EmptyBytes(world, size);
  world.Broadcast(bytes, root, unit)->Wait();
  return ToText(bytes);
}

std::vector<std::string> GatherText(comm::Communicator& world, const std::string& text,
                                    std::string_view unit) {
  const auto sizes = GatherNumbers(world, static_cast<int64_t>(text.size()), unit);
  if (world.rank() != 0) {
    world.Send(ToTensor(world, text), 0, unit)->Wait();
    return {};
  }
  std::vector<std::string> texts = {text};
  for (int rank = 1; rank < world.size(); ++rank) {
    const at::Tensor bytes = EmptyBytes(world, sizes[rank]);
    world.Receive(bytes, rank, unit)->Wait();
    texts.push_back(ToText(bytes));
  }
  return texts;
}

}  // namespace tanren::parallel
