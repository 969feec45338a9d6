// The deadline of a machine's lease, in a page of memory that the agent writes and every supervisor
// reads: it holds whether the agent runs or not.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_LEASE_PAGE_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_LEASE_PAGE_H_

#include <atomic>
#include <cstdint>
#include <filesystem>

#include "absl/status/statusor.h"

namespace tanren::coordinator {

// One int64 at the file's beginning: CLOCK_BOOTTIME, milliseconds. 0: no lease was given since the
// machine booted or the folder was made, and nothing ends for the lack of one.
class LeasePage {
 public:
  // For the agent: made if absent.
  static absl::StatusOr<LeasePage> Create(const std::filesystem::path& path);
  // For supervisors.
  static absl::StatusOr<LeasePage> Open(const std::filesystem::path& path);
  LeasePage(LeasePage&& other) noexcept;
  LeasePage& operator=(LeasePage&& other) noexcept;
  ~LeasePage();

  void Set(int64_t deadline_ms) { page_->store(deadline_ms, std::memory_order_release); }
  int64_t deadline_ms() const { return page_->load(std::memory_order_acquire); }
  bool HasPassed(int64_t now_ms) const {
    const int64_t deadline = deadline_ms();
    return deadline != 0 && now_ms > deadline;
  }

 private:
  explicit LeasePage(std::atomic<int64_t>* page) : page_(page) {}
  static absl::StatusOr<LeasePage> Map(const std::filesystem::path& path, bool write);
  std::atomic<int64_t>* page_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_LEASE_PAGE_H_
