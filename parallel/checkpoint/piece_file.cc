#include "parallel/checkpoint/piece_file.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "parallel/checkpoint/checksum.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::parallel {
namespace {

namespace fs = std::filesystem;

// Copied from a GPU at a time.
constexpr int64_t kChunkBytes = 16 * kChecksumBlock;

absl::Status DataLoss(const fs::path& path, const IndexedPiece& piece, std::string_view what) {
  return absl::DataLossError(fmt::format("{}: {}, elements {} to {}: {}", path.string(),
                                         Describe(piece.piece.id), piece.piece.range.begin,
                                         piece.piece.range.end, what));
}

}  // namespace

absl::StatusOr<PieceFileWriter> PieceFileWriter::Create(const fs::path& path, DiskHook hook) {
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook, "create", path));
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) return ErrnoOf("can't create", path);
  return PieceFileWriter(path, descriptor, std::move(hook));
}

PieceFileWriter::PieceFileWriter(fs::path path, int descriptor, DiskHook hook)
    : path_(std::move(path)), descriptor_(descriptor), hook_(std::move(hook)) {}

PieceFileWriter::PieceFileWriter(PieceFileWriter&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      hook_(std::move(other.hook_)),
      bytes_(other.bytes_) {}

PieceFileWriter::~PieceFileWriter() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status PieceFileWriter::Write(std::span<const std::byte> bytes) {
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook_, "write", path_));
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoOf(fmt::format("can't write past byte {}", bytes_), path_);
    bytes = bytes.subspan(static_cast<size_t>(written));
    bytes_ += written;
  }
  return absl::OkStatus();
}

absl::Status PieceFileWriter::Append(const at::Tensor& values, IndexedPiece& piece) {
  const at::NoGradGuard no_grad;
  TANREN_CHECK(values.numel() == piece.piece.range.size() && values.scalar_type() == piece.dtype,
               "{} has other values", Describe(piece.piece.id));
  static constexpr std::array<std::byte, kPieceAlignment> kPadding = {};
  const auto padding = static_cast<size_t>(-bytes_ & (kPieceAlignment - 1));
  if (padding > 0) TANREN_RETURN_IF_ERROR(Write(std::span(kPadding).first(padding)));
  piece.offset = bytes_;
  piece.checksums.clear();
  const int64_t chunk = kChunkBytes / static_cast<int64_t>(values.element_size());
  for (int64_t done = 0; done < values.numel(); done += chunk) {
    const at::Tensor part =
        values.narrow(0, done, std::min(chunk, values.numel() - done)).to(at::kCPU).contiguous();
    std::span<const std::byte> bytes(static_cast<const std::byte*>(part.data_ptr()), part.nbytes());
    while (!bytes.empty()) {
      const auto block = bytes.first(std::min<size_t>(bytes.size(), kChecksumBlock));
      piece.checksums.push_back(Checksum(block));
      TANREN_RETURN_IF_ERROR(Write(block));
      bytes = bytes.subspan(block.size());
    }
  }
  return absl::OkStatus();
}

absl::Status PieceFileWriter::Finish() {
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook_, "fsync", path_));
  if (fsync(descriptor_) != 0) return ErrnoOf("can't flush to disk", path_);
  if (close(std::exchange(descriptor_, -1)) != 0) return ErrnoOf("can't close", path_);
  return absl::OkStatus();
}

absl::StatusOr<PieceFile> PieceFile::Open(const fs::path& path, int64_t bytes) {
  PieceFile file(path, open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.descriptor_ < 0) return ErrnoOf("can't open", path);
  struct stat info;
  if (fstat(file.descriptor_, &info) != 0) return ErrnoOf("can't stat", path);
  if (!S_ISREG(info.st_mode) || info.st_size != bytes) {
    return absl::DataLossError(
        fmt::format("{}: found {} bytes, expected {}", path.string(), info.st_size, bytes));
  }
  return file;
}

PieceFile::PieceFile(fs::path path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

PieceFile::PieceFile(PieceFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

PieceFile::~PieceFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status PieceFile::Read(const IndexedPiece& piece, ElementRange range,
                             std::span<float> values) const {
  const at::NoGradGuard no_grad;
  TANREN_CHECK(range.begin >= piece.piece.range.begin && range.end <= piece.piece.range.end &&
                   range.size() == static_cast<int64_t>(values.size()),
               "elements {} to {} aren't of this piece", range.begin, range.end);
  const auto element = static_cast<int64_t>(c10::elementSize(piece.dtype));
  const int64_t end = (range.end - piece.piece.range.begin) * element;  // bytes of the piece
  int64_t at = (range.begin - piece.piece.range.begin) * element;
  std::vector<std::byte> block(std::min(kChecksumBlock, piece.bytes()));
  while (at < end) {
    // Whole blocks are read, as checksums are of whole blocks.
    const int64_t index = at / kChecksumBlock;
    const int64_t start = index * kChecksumBlock;
    const auto size = std::min(kChecksumBlock, piece.bytes() - start);
    for (int64_t got = 0; got < size;) {
      const ssize_t count =
          pread(descriptor_, block.data() + got, size - got, piece.offset + start + got);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return ErrnoOf("can't read", path_);
      if (count == 0) return DataLoss(path_, piece, "the file ends before it");
      got += count;
    }
    if (Checksum(std::span<const std::byte>(block.data(), size)) != piece.checksums[index]) {
      return DataLoss(path_, piece,
                      fmt::format("bytes {} to {} of the file don't fit their checksum",
                                  piece.offset + start, piece.offset + start + size));
    }
    const int64_t part = std::min(end, start + size) - at;  // bytes
    at::from_blob(values.data(), {part / element}, at::kFloat)
        .copy_(at::from_blob(block.data() + (at - start), {part / element}, piece.dtype));
    values = values.subspan(part / element);
    at += part;
  }
  return absl::OkStatus();
}

}  // namespace tanren::parallel
