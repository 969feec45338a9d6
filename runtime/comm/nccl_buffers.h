// Memory that a NCCL group knows: what is gathered into it comes without a copy through NCCL's own
// buffers, and with fewer of the GPU's multiprocessors at work.
#ifndef TANREN_RUNTIME_COMM_NCCL_BUFFERS_H_
#define TANREN_RUNTIME_COMM_NCCL_BUFFERS_H_

#include <c10/core/Allocator.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/comm/nccl_api.h"
#include "runtime/comm/nccl_origin.h"

namespace tanren::comm {

// A block is allocated and registered once and then goes from user to user. All of them use it on
// the current stream, or on the group's, which waits for that one: so the next may have it as soon
// as the program has let go of it.
class NcclBuffers final : public std::enable_shared_from_this<NcclBuffers> {
 public:
  NcclBuffers(std::shared_ptr<NcclOrigin> origin, NcclApi::Group* group)
      : origin_(std::move(origin)), group_(group) {}
  NcclBuffers(const NcclBuffers&) = delete;
  NcclBuffers& operator=(const NcclBuffers&) = delete;

  // Where NCCL can't allocate or register, libtorch's memory serves, and a warning says so once.
  c10::DataPtr Take(int64_t bytes);
  // Before the group's end. Blocks that are still in use are freed when they come back.
  void Close();

 private:
  struct Block {
    void* data = nullptr;
    int64_t bytes = 0;
    void* handle = nullptr;  // null: not registered
  };
  struct Loan {
    std::shared_ptr<NcclBuffers> owner;
    Block block;
  };

  // A free block that fits, or a new one; one without data if there can be none.
  Block Find(int64_t bytes);
  Block Allocate(int64_t bytes);
  void GiveBack(Block block);
  void Warn(const NcclApi::Result& result);

  std::shared_ptr<NcclOrigin> origin_;
  NcclApi::Group* group_;
  std::mutex mutex_;  // blocks may come back on any thread
  std::vector<Block> free_;
  std::vector<void*> handles_;  // of all blocks
  bool closed_ = false;
  bool unavailable_ = false;
};

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_NCCL_BUFFERS_H_
