#include "runtime/formats/safetensors_file_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::formats {
namespace {

constexpr size_t kChunk = 1 << 16;  // elements converted at a time

// The reference's order, so that the same tensors make the same file: wide elements first, which
// keeps all aligned, and BF16 before F16.
bool ComesBefore(const TensorInfo& a, const TensorInfo& b) {
  const auto rank = [](DType dtype) {
    return dtype == DType::kF32 ? 0 : dtype == DType::kBF16 ? 1 : 2;
  };
  if (a.dtype != b.dtype) return rank(a.dtype) < rank(b.dtype);
  return a.name < b.name;
}

// Padded so that the data that follows is aligned.
absl::StatusOr<std::string> HeaderText(const nlohmann::ordered_json& header) {
  try {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(fmt::format("a tensor's name is no UTF-8: {}", error.what()));
  }
}

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

SafetensorsFileWriter::SafetensorsFileWriter(std::filesystem::path path)
    : path_(std::move(path)), temporary_(fmt::format("{}.tmp.{}", path_.string(), getpid())) {}

SafetensorsFileWriter::~SafetensorsFileWriter() {
  if (file_ >= 0) close(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status SafetensorsFileWriter::ErrnoOf(std::string_view action) const {
  return absl::ErrnoToStatus(errno, fmt::format("{}: {}", temporary_.string(), action));
}

absl::StatusOr<std::unique_ptr<SafetensorsFileWriter>> SafetensorsFileWriter::Create(
    const std::filesystem::path& path, std::vector<TensorInfo> tensors) {
  std::unique_ptr<SafetensorsFileWriter> writer(new SafetensorsFileWriter(path));
  TANREN_RETURN_IF_ERROR(writer->Start(std::move(tensors)));
  return writer;
}

absl::Status SafetensorsFileWriter::Start(std::vector<TensorInfo> tensors) {
  std::sort(tensors.begin(), tensors.end(), ComesBefore);
  nlohmann::ordered_json header;
  header["__metadata__"] = {{"format", "pt"}};
  int64_t position = 0;
  for (const TensorInfo& tensor : tensors) {
    int64_t end = 0;
    TANREN_ASSIGN_OR_RETURN(const int64_t elements, CheckedNumel(tensor.shape));
    TANREN_ASSIGN_OR_RETURN(const int64_t bytes, BytesFor(tensor.dtype, elements));
    if (__builtin_add_overflow(position, bytes, &end)) {
      return absl::InvalidArgumentError(fmt::format("{}: too many bytes", path_.string()));
    }
    header[tensor.name] = {
        {"dtype", Name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {position, end}}};
    slots_[tensor.name] = {tensor, position, {}};
    position = end;
  }
  TANREN_ASSIGN_OR_RETURN(const std::string text, HeaderText(header));
  const uint64_t length = text.size();
  const auto data = static_cast<int64_t>(8 + length);
  for (auto& [name, slot] : slots_) slot.offset += data;

  file_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file_ < 0) return ErrnoOf("can't create");
  // Takes the space now, where the file system can: a full disk shows before hours of work.
  if (fallocate(file_, 0, 0, data + position) != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS) return ErrnoOf("can't take space on disk");
    if (ftruncate(file_, data + position) != 0) return ErrnoOf("can't set the length");
  }
  TANREN_RETURN_IF_ERROR(WriteBytes(std::as_bytes(std::span(&length, 1)), 0));
  return WriteBytes(std::as_bytes(std::span(text)), 8);
}

absl::Status SafetensorsFileWriter::WriteBytes(std::span<const std::byte> bytes, int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(file_, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoOf("can't write");
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += written;
  }
  return absl::OkStatus();
}

absl::Status SafetensorsFileWriter::Write(std::string_view name, int64_t begin,
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
  Slot& slot = found->second;
  const auto count = static_cast<int64_t>(values.size());
  if (begin < 0 || begin > slot.info.numel() || count > slot.info.numel() - begin) {
    return absl::OutOfRangeError(fmt::format("{}: {}: {} elements from {} on, where it has {}",
                                             path_.string(), name, count, begin,
                                             slot.info.numel()));
  }
  {
    std::lock_guard lock(mutex_);
    if (!slot.written.Add(begin, begin + count)) {
      return absl::InvalidArgumentError(
          fmt::format("{}: {}: some of elements {} to {} were written before", path_.string(), name,
                      begin, begin + count));
    }
  }
  const int64_t width = BlockBytes(slot.info.dtype);
  std::vector<std::byte> bytes;
  for (int64_t offset = slot.offset + begin * width; !values.empty();) {
    const std::span<const float> chunk = values.first(std::min(values.size(), kChunk));
    bytes.resize(chunk.size() * static_cast<size_t>(width));
    ConvertFromFloat(slot.info.dtype, chunk, bytes);
    if (absl::Status status = WriteBytes(bytes, offset); !status.ok()) {
      std::lock_guard lock(mutex_);
      failed_ = true;
      return status;
    }
    offset += static_cast<int64_t>(bytes.size());
    values = values.subspan(chunk.size());
  }
  return absl::OkStatus();
}

absl::Status SafetensorsFileWriter::Complete() {
  std::lock_guard lock(mutex_);
  if (file_ < 0 || failed_) {
    return absl::FailedPreconditionError(
        fmt::format("{}: finished twice, or after a write that failed", path_.string()));
  }
  for (const auto& [name, slot] : slots_) {
    const int64_t missing = slot.written.FirstMissing(slot.info.numel());
    if (missing < slot.info.numel()) {
      return absl::FailedPreconditionError(fmt::format("{}: {}: element {} of {} wasn't written",
                                                       path_.string(), name, missing,
                                                       slot.info.numel()));
    }
  }
  if (fsync(file_) != 0) return ErrnoOf("can't flush to disk");
  if (close(std::exchange(file_, -1)) != 0) return ErrnoOf("can't close");
  return absl::OkStatus();
}

absl::Status SafetensorsFileWriter::Rename() {
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return ErrnoOf("can't rename");
  temporary_.clear();
  return SyncToDisk(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path("."));
}

}  // namespace tanren::formats
