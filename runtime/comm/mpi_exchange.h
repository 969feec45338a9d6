// How the mpi backend moves bytes: messages of bounded size between all pairs.
#ifndef TANREN_RUNTIME_COMM_MPI_EXCHANGE_H_
#define TANREN_RUNTIME_COMM_MPI_EXCHANGE_H_

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/comm/communicator.h"

namespace tanren::comm {

// Throws Error(kInternal) with MPI's own words unless `code` is MPI_SUCCESS.
void CheckMpi(int code, std::string_view what);

// A range of memory for, or from, one rank.
struct SendPart {
  const std::byte* data = nullptr;
  int64_t bytes = 0;
};
struct ReceivePart {
  std::byte* data = nullptr;
  int64_t bytes = 0;
};

class MpiExchange {
 public:
  // `group` stays the caller's. Messages carry at most `chunk_bytes`.
  MpiExchange(MPI_Comm group, int64_t chunk_bytes);
  int rank() const { return rank_; }
  int size() const { return size_; }

  // To each other rank its part, from each its own; a rank's part for itself is left alone. Sizes
  // must match between sender and receiver.
  void All(const std::vector<SendPart>& to, const std::vector<ReceivePart>& from) const;

  // output, of size × bytes: each rank's `bytes`, by rank. `input` may be its place in `output`.
  void AllGather(std::byte* output, const std::byte* input, int64_t bytes) const;
  // output = the reduction over ranks of their input[rank]; each of `count` elements.
  void ReduceScatter(std::byte* output, const std::byte* input, int64_t count, at::ScalarType dtype,
                     ReduceOp op);
  // In place.
  void AllReduce(std::byte* data, int64_t count, at::ScalarType dtype, ReduceOp op);
  void Broadcast(std::byte* data, int64_t bytes, int root) const;

 private:
  // Reduces this rank's range over all ranks into `output`: `begin[i]` and `count[i]` say, in
  // elements of `input`, which range is rank i's.
  void ReduceRanges(std::byte* output, const std::byte* input, const std::vector<int64_t>& begin,
                    const std::vector<int64_t>& count, at::ScalarType dtype, ReduceOp op);

  MPI_Comm group_;
  int rank_ = 0;
  int size_ = 1;
  int64_t chunk_bytes_;
  std::vector<std::byte> scratch_;
};

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_MPI_EXCHANGE_H_
