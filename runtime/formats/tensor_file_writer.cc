#include "runtime/formats/tensor_file_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/temporary_name.h"
#include "runtime/formats/leftovers.h"

namespace tanren::formats {
namespace {

constexpr size_t kChunk = 1 << 16;  // elements converted at a time: whole blocks

}  // namespace

bool WrittenRanges::Add(int64_t begin, int64_t end) {
  if (begin == end) return true;
  auto next = end_of_.lower_bound(begin);
  if (next != end_of_.end() && next->first < end) return false;
  if (next != end_of_.begin()) {
    const auto previous = std::prev(next);
    if (previous->second > begin) return false;
    if (previous->second == begin) {
      begin = previous->first;
      end_of_.erase(previous);
    }
  }
  if (next != end_of_.end() && next->first == end) {
    end = next->second;
    end_of_.erase(next);
  }
  end_of_.emplace(begin, end);
  return true;
}

int64_t WrittenRanges::FirstMissing(int64_t size) const {
  if (size == 0) return 0;
  const auto first = end_of_.begin();
  return first == end_of_.end() || first->first > 0 ? 0 : first->second;
}

TensorFileWriter::TensorFileWriter(std::filesystem::path path)
    : path_(std::move(path)), temporary_(TemporaryNameOf(path_)) {}

TensorFileWriter::~TensorFileWriter() {
  if (file_ >= 0) close(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status TensorFileWriter::ErrnoOf(std::string_view action) const {
  return absl::ErrnoToStatus(errno, fmt::format("{}: {}", temporary_.string(), action));
}

absl::StatusOr<std::unique_ptr<TensorFileWriter>> TensorFileWriter::Create(
    const std::filesystem::path& path, std::string_view header, std::vector<PlacedTensor> tensors,
    int64_t file_bytes) {
  std::unique_ptr<TensorFileWriter> writer(new TensorFileWriter(path));
  TANREN_RETURN_IF_ERROR(writer->Start(header, std::move(tensors), file_bytes));
  return writer;
}

absl::Status TensorFileWriter::Start(std::string_view header, std::vector<PlacedTensor> tensors,
                                     int64_t file_bytes) {
  for (PlacedTensor& tensor : tensors) {
    std::string name = tensor.info.name;
    slots_[std::move(name)] = {std::move(tensor), {}};
  }
  RemoveLeftovers(path_);
  file_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file_ < 0) return ErrnoOf("can't create");
  mark_ = WriterMark(temporary_);
  // Takes the space now, where the file system can: a full disk shows before hours of work.
  if (fallocate(file_, 0, 0, file_bytes) != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS) return ErrnoOf("can't take space on disk");
    if (ftruncate(file_, file_bytes) != 0) return ErrnoOf("can't set the length");
  }
  return WriteBytes(std::as_bytes(std::span(header)), 0);
}

absl::Status TensorFileWriter::WriteBytes(std::span<const std::byte> bytes, int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(file_, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoOf("can't write");
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += written;
  }
  return absl::OkStatus();
}

absl::Status TensorFileWriter::Claim(Slot& slot, int64_t begin, int64_t end) {
  const TensorInfo& info = slot.tensor.info;
  const int64_t block = BlockElements(info.dtype);
  if (begin % block != 0 || end % block != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}: elements {} to {} are not whole blocks of {}", path_.string(),
                    info.name, begin, end, block));
  }
  std::lock_guard lock(mutex_);
  if (!slot.written.Add(begin, end)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}: some of elements {} to {} were written before", path_.string(),
                    info.name, begin, end));
  }
  return absl::OkStatus();
}

absl::Status TensorFileWriter::Write(std::string_view name, int64_t begin,
                                     std::span<const float> values) {
  if (file_ < 0) {
    return absl::FailedPreconditionError(
        fmt::format("{}: written to after it was finished", path_.string()));
  }
  const auto found = slots_.find(name);
  if (found == slots_.end()) {
    return absl::NotFoundError(
        fmt::format("{}: the tensor {} wasn't declared", path_.string(), name));
  }
  const PlacedTensor& tensor = found->second.tensor;
  const auto count = static_cast<int64_t>(values.size());
  if (begin < 0 || begin > tensor.info.numel() || count > tensor.info.numel() - begin) {
    return absl::OutOfRangeError(fmt::format("{}: {}: {} elements from {} on, where it has {}",
                                             path_.string(), name, count, begin,
                                             tensor.info.numel()));
  }
  TANREN_RETURN_IF_ERROR(Claim(found->second, begin, begin + count));
  absl::Status status = WriteValues(tensor, begin, values);
  if (status.ok()) return status;
  std::lock_guard lock(mutex_);
  failed_ = true;
  return Annotate(status, name);
}

absl::Status TensorFileWriter::WriteValues(const PlacedTensor& tensor, int64_t begin,
                                           std::span<const float> values) {
  const DType dtype = tensor.info.dtype;
  const int64_t block = BlockElements(dtype), block_bytes = BlockBytes(dtype);
  std::vector<std::byte> bytes;
  for (int64_t offset = tensor.offset + begin / block * block_bytes; !values.empty();) {
    const std::span<const float> chunk = values.first(std::min(values.size(), kChunk));
    bytes.resize(static_cast<size_t>(static_cast<int64_t>(chunk.size()) / block * block_bytes));
    ConvertFromFloat(dtype, chunk, bytes);
    TANREN_RETURN_IF_ERROR(WriteBytes(bytes, offset));
    offset += static_cast<int64_t>(bytes.size());
    values = values.subspan(chunk.size());
  }
  return absl::OkStatus();
}

absl::Status TensorFileWriter::Complete() {
  std::lock_guard lock(mutex_);
  if (file_ < 0 || failed_) {
    return absl::FailedPreconditionError(
        fmt::format("{}: finished twice, or after a write that failed", path_.string()));
  }
  for (const auto& [name, slot] : slots_) {
    const int64_t size = slot.tensor.info.numel();
    const int64_t missing = slot.written.FirstMissing(size);
    if (missing < size) {
      return absl::FailedPreconditionError(fmt::format("{}: {}: element {} of {} wasn't written",
                                                       path_.string(), name, missing, size));
    }
  }
  if (fsync(file_) != 0) return ErrnoOf("can't flush to disk");
  if (close(std::exchange(file_, -1)) != 0) return ErrnoOf("can't close");
  return absl::OkStatus();
}

absl::Status TensorFileWriter::Rename() {
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    return ErrnoOf(fmt::format("can't rename to {}", path_.string()));
  }
  temporary_.clear();
  return SyncToDisk(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path("."));
}

}  // namespace tanren::formats
