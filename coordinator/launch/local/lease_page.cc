#include "coordinator/launch/local/lease_page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {
namespace {

static_assert(std::atomic<int64_t>::is_always_lock_free && sizeof(std::atomic<int64_t>) == 8);
constexpr size_t kPage = 4096;

}  // namespace

absl::StatusOr<LeasePage> LeasePage::Map(const std::filesystem::path& path, bool write) {
  const Descriptor file(
      open(path.c_str(), (write ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0644));
  struct stat status = {};
  if (!file.is_open() || fstat(file.get(), &status) != 0 ||
      (write && status.st_size < static_cast<off_t>(kPage) && ftruncate(file.get(), kPage) != 0)) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't open the lease", path.string()));
  }
  if (!write && status.st_size < static_cast<off_t>(kPage)) {
    return absl::DataLossError(fmt::format("{}: has {} bytes, expected a page of {}", path.string(),
                                           status.st_size, kPage));
  }
  void* page =
      mmap(nullptr, kPage, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file.get(), 0);
  if (page == MAP_FAILED) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't map the lease", path.string()));
  }
  return LeasePage(static_cast<std::atomic<int64_t>*>(page));
}

absl::StatusOr<LeasePage> LeasePage::Create(const std::filesystem::path& path) {
  return Map(path, true);
}
absl::StatusOr<LeasePage> LeasePage::Open(const std::filesystem::path& path) {
  return Map(path, false);
}

LeasePage::LeasePage(LeasePage&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
LeasePage& LeasePage::operator=(LeasePage&& other) noexcept {
  std::swap(page_, other.page_);
  return *this;
}
LeasePage::~LeasePage() {
  if (page_ != nullptr) munmap(page_, kPage);
}

}  // namespace tanren::coordinator
