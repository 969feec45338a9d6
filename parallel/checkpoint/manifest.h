// The two descriptions inside a checkpoint's folder. `manifest.json` is small and for people too:
// what was saved when, and the files with their sizes. `index.json` says where each stored piece
// lies and what its checksums are. Each is protected by a checksum itself.
#ifndef TANREN_PARALLEL_CHECKPOINT_MANIFEST_H_
#define TANREN_PARALLEL_CHECKPOINT_MANIFEST_H_

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "parallel/checkpoint/load_plan.h"
#include "parallel/optimizer/loss_scaler.h"

namespace tanren::parallel {

inline constexpr int kCheckpointVersion = 1;
inline constexpr char kManifestFile[] = "manifest.json";
inline constexpr char kIndexFile[] = "index.json";

// Each so many bytes of a piece have a checksum of their own, so that a part of a piece can be
// read and verified without the rest.
inline constexpr int64_t kChecksumBlock = int64_t{1} << 20;
// Pieces start at multiples of this in their file.
inline constexpr int64_t kPieceAlignment = 64;

// What is known of a checkpoint besides its tensors.
struct CheckpointMeta {
  int64_t step = 0;              // training steps done
  std::optional<double> metric;  // by which retention knows the best; finite
  // The loop's own: data cursor, random state, recipe digest, … UTF-8.
  std::map<std::string, std::string> extra;

  // SaveCheckpoint sets these.
  int world_size = 0;
  bool frozen_stored = true;  // whether frozen parameters are in the checkpoint
  int64_t optimizer_steps = 0;
  std::optional<LossScaler::State> loss_scaler;
};

struct StoredFile {
  std::string name;
  int64_t bytes = 0;
};

struct Manifest {
  CheckpointMeta meta;
  std::vector<StoredFile> files;  // that hold pieces
  int64_t index_bytes = 0;
  std::string index_checksum;
};

// kInvalidArgument for text in `extra` that isn't UTF-8 and a metric that isn't finite.
absl::StatusOr<std::string> ManifestText(const Manifest& manifest);
// kInvalidArgument for text that isn't a manifest of this version, kDataLoss if it was changed.
absl::StatusOr<Manifest> ParseManifest(const std::string& text);

// A stored piece and its place: in file `file` of Manifest::files, from byte `offset`.
struct IndexedPiece {
  StoredPiece piece;
  at::ScalarType dtype = at::kFloat;  // fp32, bf16 or fp16
  int file = 0;
  int64_t offset = 0;
  std::vector<uint64_t> checksums;  // of each kChecksumBlock bytes

  int64_t bytes() const {
    return piece.range.size() * static_cast<int64_t>(c10::elementSize(dtype));
  }
};

std::string IndexText(const std::vector<IndexedPiece>& pieces);
// Checks each piece by itself and against the size of its file: what passes can be read.
absl::StatusOr<std::vector<IndexedPiece>> ParseIndex(const std::string& text,
                                                     const std::vector<StoredFile>& files);

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_MANIFEST_H_
