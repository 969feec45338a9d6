#include "runtime/comm/mpi_exchange.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/comm/reduction.h"

namespace tanren::comm {
namespace {

constexpr int kTag = 1;
// Up to here an all-reduce sends everything to everyone: one round trip instead of two.
constexpr int64_t kSmallBytes = 16 << 10;

}  // namespace

void CheckMpi(int code, std::string_view what) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw Error(absl::InternalError(fmt::format("{}: {}", what, std::string(text.data(), length))));
}

MpiExchange::MpiExchange(MPI_Comm group, int64_t chunk_bytes)
    : group_(group), chunk_bytes_(chunk_bytes) {
  TANREN_CHECK(chunk_bytes >= 64 && chunk_bytes <= int64_t{1} << 30, "chunks of {} bytes",
               chunk_bytes);
  CheckMpi(MPI_Comm_rank(group_, &rank_), "MPI_Comm_rank");
  CheckMpi(MPI_Comm_size(group_, &size_), "MPI_Comm_size");
}

void MpiExchange::All(const std::vector<SendPart>& to, const std::vector<ReceivePart>& from) const {
  int64_t longest = 0;
  for (int i = 0; i < size_; ++i) {
    if (i != rank_) longest = std::max({longest, to[i].bytes, from[i].bytes});
  }
  std::vector<MPI_Request> requests;
  requests.reserve(2 * size_);
  for (int64_t begin = 0; begin < longest; begin += chunk_bytes_) {
    requests.clear();
    // Each rank starts with its neighbour, so that not all send to the same one at once.
    for (int distance = 1; distance < size_; ++distance) {
      const int source = (rank_ - distance + size_) % size_;
      const int target = (rank_ + distance) % size_;
      if (const int64_t length = std::min(from[source].bytes - begin, chunk_bytes_); length > 0) {
        CheckMpi(MPI_Irecv(from[source].data + begin, static_cast<int>(length), MPI_BYTE, source,
                           kTag, group_, &requests.emplace_back()),
                 "MPI_Irecv");
      }
      if (const int64_t length = std::min(to[target].bytes - begin, chunk_bytes_); length > 0) {
        CheckMpi(MPI_Isend(to[target].data + begin, static_cast<int>(length), MPI_BYTE, target,
                           kTag, group_, &requests.emplace_back()),
                 "MPI_Isend");
      }
    }
    CheckMpi(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE),
             "MPI_Waitall");
  }
}

void MpiExchange::AllGather(std::byte* output, const std::byte* input, int64_t bytes) const {
  if (bytes == 0) return;
  std::byte* mine = output + rank_ * bytes;
  if (bytes <= chunk_bytes_) {
    const void* source = input == mine ? MPI_IN_PLACE : input;
    const int count = static_cast<int>(bytes);
    CheckMpi(MPI_Allgather(source, count, MPI_BYTE, output, count, MPI_BYTE, group_),
             "MPI_Allgather");
    return;
  }
  std::vector<SendPart> to(size_, {input, bytes});
  std::vector<ReceivePart> from(size_);
  for (int i = 0; i < size_; ++i) from[i] = {output + i * bytes, bytes};
  All(to, from);
  if (input != mine) std::memcpy(mine, input, bytes);
}

void MpiExchange::ReduceRanges(std::byte* output, const std::byte* input,
                               const std::vector<int64_t>& begin, const std::vector<int64_t>& count,
                               at::ScalarType dtype, ReduceOp op) {
  const auto width = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t chunk = std::max<int64_t>(1, chunk_bytes_ / (width * size_));
  const int64_t longest = *std::max_element(count.begin(), count.end());
  scratch_.resize(std::max<size_t>(scratch_.size(), std::min(chunk, longest) * width * size_));
  std::vector<SendPart> to(size_);
  std::vector<ReceivePart> from(size_);
  std::vector<const void*> parts(size_);
  for (int64_t at = 0; at < longest; at += chunk) {
    const auto length = [&](int rank) { return std::clamp<int64_t>(count[rank] - at, 0, chunk); };
    const int64_t mine = length(rank_);
    for (int i = 0; i < size_; ++i) {
      to[i] = {input + (begin[i] + at) * width, length(i) * width};
      from[i] = {scratch_.data() + i * mine * width, mine * width};
      parts[i] = i == rank_ ? to[i].data : from[i].data;
    }
    All(to, from);
    if (mine > 0) Reduce(op, dtype, output + at * width, parts, mine);
  }
}

void MpiExchange::ReduceScatter(std::byte* output, const std::byte* input, int64_t count,
                                at::ScalarType dtype, ReduceOp op) {
  if (count == 0) return;
  std::vector<int64_t> begin(size_);
  for (int i = 0; i < size_; ++i) begin[i] = i * count;
  ReduceRanges(output, input, begin, std::vector<int64_t>(size_, count), dtype, op);
}

void MpiExchange::AllReduce(std::byte* data, int64_t count, at::ScalarType dtype, ReduceOp op) {
  const auto width = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t bytes = count * width;
  if (bytes == 0) return;
  if (bytes <= std::min(kSmallBytes, chunk_bytes_)) {
    scratch_.resize(std::max<size_t>(scratch_.size(), bytes * size_));
    AllGather(scratch_.data(), data, bytes);
    std::vector<const void*> parts(size_);
    for (int i = 0; i < size_; ++i) parts[i] = scratch_.data() + i * bytes;
    Reduce(op, dtype, data, parts, count);
    return;
  }
  const int64_t share = (count + size_ - 1) / size_;
  std::vector<int64_t> begins(size_), counts(size_);
  for (int i = 0; i < size_; ++i) {
    begins[i] = std::min(count, share * i);
    counts[i] = std::min(count - begins[i], share);
  }
  std::byte* mine = data + begins[rank_] * width;
  ReduceRanges(mine, data, begins, counts, dtype, op);
  std::vector<SendPart> to(size_, {mine, counts[rank_] * width});
  std::vector<ReceivePart> from(size_);
  for (int i = 0; i < size_; ++i) from[i] = {data + begins[i] * width, counts[i] * width};
  All(to, from);
}

void MpiExchange::Broadcast(std::byte* data, int64_t bytes, int root) const {
  for (int64_t at = 0; at < bytes; at += chunk_bytes_) {
    const int length = static_cast<int>(std::min(bytes - at, chunk_bytes_));
    CheckMpi(MPI_Bcast(data + at, length, MPI_BYTE, root, group_), "MPI_Bcast");
  }
}

}  // namespace tanren::comm
