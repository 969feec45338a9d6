// The files that hold a checkpoint's elements: pieces one after another, each from a multiple of 64
// bytes on, nothing else. Where they lie is in the index.
#ifndef TANREN_PARALLEL_CHECKPOINT_PIECE_FILE_H_
#define TANREN_PARALLEL_CHECKPOINT_PIECE_FILE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parallel/checkpoint/disk_hook.h"
#include "parallel/checkpoint/manifest.h"

namespace tanren::parallel {

class PieceFileWriter {
 public:
  // Makes the file, which may not be there.
  static absl::StatusOr<PieceFileWriter> Create(const std::filesystem::path& path, DiskHook hook);
  PieceFileWriter(PieceFileWriter&& other) noexcept;
  PieceFileWriter& operator=(PieceFileWriter&&) = delete;
  ~PieceFileWriter();

  // Appends `values` (flat, contiguous, on any device): the elements of `piece`, whose offset and
  // checksums are set here.
  absl::Status Append(const at::Tensor& values, IndexedPiece& piece);
  // Flushes everything to disk.
  absl::Status Finish();
  int64_t bytes() const { return bytes_; }

 private:
  PieceFileWriter(std::filesystem::path path, int descriptor, DiskHook hook);
  absl::Status Write(std::span<const std::byte> bytes);

  std::filesystem::path path_;
  int descriptor_;
  DiskHook hook_;
  int64_t bytes_ = 0;
};

// Open for reading; several threads may read at once.
class PieceFile {
 public:
  // kDataLoss unless the file has `bytes` bytes.
  static absl::StatusOr<PieceFile> Open(const std::filesystem::path& path, int64_t bytes);
  PieceFile(PieceFile&& other) noexcept;
  PieceFile& operator=(PieceFile&&) = delete;
  ~PieceFile();

  // Elements `range` of the tensor, all of which lie in `piece`, as fp32. kDataLoss where a
  // checksum doesn't fit; `values` is then undefined.
  absl::Status Read(const IndexedPiece& piece, ElementRange range, std::span<float> values) const;

 private:
  PieceFile(std::filesystem::path path, int descriptor);

  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_PIECE_FILE_H_
