// A checkpoint as tensors, whoever wrote it on however many ranks: for resuming, and for using a
// checkpoint's weights without the optimizer (generation, evaluation, export).
//   TANREN_ASSIGN_OR_RETURN(auto reader, CheckpointReader::Open(path));
//   engine.LoadParameters(reader.Weights());
#ifndef TANREN_PARALLEL_CHECKPOINT_CHECKPOINT_READER_H_
#define TANREN_PARALLEL_CHECKPOINT_CHECKPOINT_READER_H_

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parallel/checkpoint/load_plan.h"
#include "parallel/checkpoint/manifest.h"
#include "parallel/checkpoint/piece_file.h"
#include "parallel/engine/engine.h"

namespace tanren::parallel {

class CheckpointReader {
 public:
  struct Parameter {
    std::string name;
    std::vector<int64_t> shape;
    at::ScalarType dtype = at::kFloat;  // as stored
    bool trained = false;               // stored as a master, not frozen
  };

  // `path` is one checkpoint's folder. Verifies all but the elements: descriptions against their
  // checksums, files' sizes, and that each tensor is there once and whole. Errors name the file and
  // the tensor. Takes memory for the index only.
  static absl::StatusOr<CheckpointReader> Open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const CheckpointMeta& meta() const { return manifest_.meta; }
  // All parameters, by name.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  bool HasParameter(const std::string& name) const;
  // Everything that is stored, optimizer state too.
  const StoredTensors& tensors() const { return tensors_; }

  // Elements begin … end − 1 of the flattened parameter, as fp32. Verifies their checksums and
  // takes 1 MiB, so a large parameter can be streamed. kNotFound, kOutOfRange, kDataLoss. Several
  // threads may read at once.
  absl::Status Read(const std::string& name, int64_t begin, int64_t end,
                    std::span<float> values) const;
  // The same for any stored tensor.
  absl::Status Read(const TensorId& id, int64_t begin, int64_t end, std::span<float> values) const;

  // Read as Engine::LoadParameters takes it: throws its errors. The reader must outlive it.
  ParameterReader Weights() const;

 private:
  CheckpointReader() = default;
  absl::Status OpenFiles();
  absl::Status IndexTensors();

  std::filesystem::path path_;
  Manifest manifest_;
  std::vector<IndexedPiece> pieces_;
  StoredTensors tensors_;
  std::vector<Parameter> parameters_;
  std::vector<PieceFile> files_;
};

}  // namespace tanren::parallel

#endif  // TANREN_PARALLEL_CHECKPOINT_CHECKPOINT_READER_H_
