#include "runtime/telemetry/tensorboard_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <system_error>

#include "absl/strings/numbers.h"
#include "proto/tensorboard.pb.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/telemetry/crc32c.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "events.out.tfevents.";

template <typename Integer>
void AppendLittleEndian(Integer value, std::string& to) {
  static_assert(std::endian::native == std::endian::little);
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// TFRecord: the length, its checksum, the bytes, their checksum.
std::string Framed(std::string_view bytes) {
  std::string record;
  AppendLittleEndian(uint64_t{bytes.size()}, record);
  AppendLittleEndian(telemetry::MaskedCrc32c(record), record);
  record += bytes;
  AppendLittleEndian(telemetry::MaskedCrc32c(bytes), record);
  return record;
}

double SecondsSinceEpoch() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

// The time in the name of the latest file there; 0 if there is none.
int64_t LatestIn(const fs::path& directory) {
  int64_t latest = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const std::string rest = name.substr(kPrefix.size());
    int64_t seconds = 0;
    if (absl::SimpleAtoi(rest.substr(0, rest.find('.')), &seconds)) {
      latest = std::max(latest, seconds);
    }
  }
  return latest;
}

}  // namespace

absl::StatusOr<TensorBoardFile> TensorBoardFile::Create(const fs::path& directory) {
  TANREN_RETURN_IF_ERROR(MakeDirectories(directory));
  const int64_t seconds =
      std::max(static_cast<int64_t>(SecondsSinceEpoch()), LatestIn(directory) + 1);
  const fs::path path =
      directory / fmt::format("{}{:010}.{}.{}", kPrefix, seconds, telemetry::HostName(), getpid());
  const int descriptor =
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't create", path.string()));
  }
  TensorBoardFile file(path, descriptor);
  tensorboard::Event first;
  first.set_file_version("brain.Event:2");
  TANREN_RETURN_IF_ERROR(file.Append(std::move(first)));
  return file;
}

TensorBoardFile::TensorBoardFile(fs::path path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

TensorBoardFile::TensorBoardFile(TensorBoardFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

TensorBoardFile& TensorBoardFile::operator=(TensorBoardFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

TensorBoardFile::~TensorBoardFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status TensorBoardFile::AppendScalars(
    int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  tensorboard::Event event;
  event.set_step(step);
  for (const auto& [tag, value] : values) {
    tensorboard::Summary::Value& scalar = *event.mutable_summary()->add_value();
    scalar.set_tag(tag);
    scalar.set_simple_value(static_cast<float>(value));
  }
  return Append(std::move(event));
}

absl::Status TensorBoardFile::AppendRestart(int64_t step) {
  tensorboard::Event event;
  event.set_step(step);
  event.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  return Append(std::move(event));
}

absl::Status TensorBoardFile::Append(tensorboard::Event event) {
  event.set_wall_time(SecondsSinceEpoch());
  const std::string record = Framed(event.SerializeAsString());
  std::string_view rest = record;
  while (!rest.empty()) {
    const ssize_t written = write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return absl::ErrnoToStatus(errno, fmt::format("{}: can't write", path_.string()));
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace tanren
