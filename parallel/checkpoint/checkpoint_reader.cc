#include "parallel/checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <map>
#include <utility>

#include "parallel/checkpoint/checksum.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::parallel {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLongestManifest = uint64_t{64} << 20;
constexpr int64_t kLongestIndex = int64_t{8} << 30;

absl::StatusOr<Manifest> ReadManifest(const fs::path& path) {
  TANREN_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kLongestManifest));
  auto manifest = ParseManifest(text);
  if (!manifest.ok()) return Annotate(manifest.status(), path.string());
  return manifest;
}

absl::StatusOr<std::string> ReadIndex(const fs::path& path, const Manifest& manifest) {
  const int64_t bytes = std::min(manifest.index_bytes, kLongestIndex);
  TANREN_ASSIGN_OR_RETURN(std::string text, ReadFile(path, static_cast<uint64_t>(bytes)));
  if (static_cast<int64_t>(text.size()) != manifest.index_bytes ||
      ChecksumText(Checksum(std::string_view(text))) != manifest.index_checksum) {
    return absl::DataLossError(
        fmt::format("{}: found {} bytes, expected {} with checksum {}: it was damaged or cut",
                    path.string(), text.size(), manifest.index_bytes, manifest.index_checksum));
  }
  return text;
}

}  // namespace

absl::StatusOr<CheckpointReader> CheckpointReader::Open(const fs::path& path) {
  CheckpointReader reader;
  reader.path_ = path;
  TANREN_ASSIGN_OR_RETURN(reader.manifest_, ReadManifest(path / kManifestFile));
  TANREN_RETURN_IF_ERROR(reader.OpenFiles());
  const fs::path index = path / kIndexFile;
  TANREN_ASSIGN_OR_RETURN(const std::string text, ReadIndex(index, reader.manifest_));
  auto pieces = ParseIndex(text, reader.manifest_.files);
  if (!pieces.ok()) return Annotate(pieces.status(), index.string());
  reader.pieces_ = *std::move(pieces);
  const absl::Status status = reader.IndexTensors();
  if (!status.ok()) return Annotate(status, index.string());
  return reader;
}

absl::Status CheckpointReader::OpenFiles() {
  for (const StoredFile& file : manifest_.files) {
    TANREN_ASSIGN_OR_RETURN(PieceFile opened, PieceFile::Open(path_ / file.name, file.bytes));
    files_.push_back(std::move(opened));
  }
  return absl::OkStatus();
}

absl::Status CheckpointReader::IndexTensors() {
  std::vector<StoredPiece> pieces;
  std::map<std::string, Parameter> parameters;
  std::map<std::string, std::string> kinds;  // of parameters
  for (const IndexedPiece& one : pieces_) {
    const StoredPiece& piece = one.piece;
    pieces.push_back(piece);
    if (!IsWeight(piece.id)) continue;
    const auto [kind, is_new] = kinds.emplace(piece.id.name, piece.id.kind);
    if (kind->second != piece.id.kind) {
      return absl::InvalidArgumentError(
          fmt::format("'{}' is stored both as master and as frozen", piece.id.name));
    }
    parameters[piece.id.name] = {piece.id.name, piece.shape, one.dtype, piece.id.kind == kMaster};
  }
  TANREN_ASSIGN_OR_RETURN(tensors_, StoredTensors::Make(pieces));
  for (auto& [name, parameter] : parameters) parameters_.push_back(std::move(parameter));
  return absl::OkStatus();
}

bool CheckpointReader::HasParameter(const std::string& name) const {
  return tensors_.shapes().contains({name, kMaster}) || tensors_.shapes().contains({name, kFrozen});
}

absl::Status CheckpointReader::Read(const std::string& name, int64_t begin, int64_t end,
                                    std::span<float> values) const {
  if (!HasParameter(name)) {
    return absl::NotFoundError(fmt::format("{}: no parameter '{}'", path_.string(), name));
  }
  const bool trained = tensors_.shapes().contains({name, kMaster});
  return Read(TensorId{name, trained ? kMaster : kFrozen}, begin, end, values);
}

absl::Status CheckpointReader::Read(const TensorId& id, int64_t begin, int64_t end,
                                    std::span<float> values) const {
  auto copies = tensors_.Plan(id, {begin, end});
  if (!copies.ok()) return Annotate(copies.status(), path_.string());
  TANREN_CHECK(end - begin == static_cast<int64_t>(values.size()),
               "{} values for elements {} to {}", values.size(), begin, end);
  for (const PlannedCopy& copy : *copies) {
    const IndexedPiece& piece = pieces_[copy.piece];
    TANREN_RETURN_IF_ERROR(files_[piece.file].Read(
        piece, copy.range, values.subspan(copy.range.begin - begin, copy.range.size())));
  }
  return absl::OkStatus();
}

ParameterReader CheckpointReader::Weights() const {
  return [this](const std::string& name, int64_t begin, int64_t end, std::span<float> values) {
    ThrowIfError(Read(name, begin, end, values));
  };
}

}  // namespace tanren::parallel
