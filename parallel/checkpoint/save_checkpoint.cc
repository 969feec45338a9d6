#include <algorithm>
#include <set>
#include <utility>

#include "parallel/checkpoint/checkpoint.h"
#include "parallel/checkpoint/checkpoint_folder.h"
#include "parallel/checkpoint/checksum.h"
#include "parallel/checkpoint/piece_file.h"
#include "parallel/checkpoint/rank_agreement.h"
#include "parallel/checkpoint/stored_state.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

namespace tanren::parallel {
namespace {

namespace fs = std::filesystem;

constexpr char kUnit[] = "save checkpoint";  // names the collectives

// Which shard this rank has, of how many, and whether it is the one to write it.
struct Part {
  int shard = 0;
  int count = 1;
  bool writes = true;
};

Part PartOf(comm::Communicator& world, const Engine& engine) {
  TANREN_CHECK(!engine.groups().empty(), "a model without parameters");
  const ShardGroup& group = *engine.groups().front();
  Part part{group.rank(), group.layout().world_size(), true};
  const auto shards = GatherNumbers(world, part.shard, kUnit);
  const std::set<int64_t> distinct(shards.begin(), shards.end());
  TANREN_CHECK(static_cast<int>(distinct.size()) == part.count,
               "group '{}' has {} of {} shards of the model", world.name(), distinct.size(),
               part.count);
  const auto first = std::find(shards.begin(), shards.end(), part.shard);
  part.writes = first - shards.begin() == world.rank();
  return part;
}

std::string FileName(int shard, int count) {
  return fmt::format("rank-{:04}-of-{:04}.tanren", shard, count);
}

// What a rank tells rank 0 of its file.
struct Written {
  int64_t bytes = 0;
  std::vector<IndexedPiece> pieces;
};

absl::StatusOr<Written> WritePieces(const fs::path& path, int file,
                                    const std::vector<StatePiece>& pieces, const DiskHook& hook) {
  TANREN_ASSIGN_OR_RETURN(PieceFileWriter writer, PieceFileWriter::Create(path, hook));
  Written written;
  for (const StatePiece& one : pieces) {
    IndexedPiece piece{one.piece, one.values.scalar_type(), file, 0, {}};
    TANREN_RETURN_IF_ERROR(writer.Append(one.values, piece));
    written.pieces.push_back(std::move(piece));
  }
  TANREN_RETURN_IF_ERROR(writer.Finish());
  written.bytes = writer.bytes();
  return written;
}

absl::Status WriteDescription(const fs::path& path, const std::string& text, const DiskHook& hook) {
  TANREN_RETURN_IF_ERROR(BeforeDiskOperation(hook, "write", path));
  return WriteFileAtomically(path, text);
}

// Rank 0's last part: everything but the descriptions is on disk. `indices` are of each rank; one
// that wrote nothing has none.
absl::Status Complete(const fs::path& incoming, const fs::path& folder, Manifest manifest,
                      const std::vector<std::string>& indices, const DiskHook& hook) {
  std::vector<IndexedPiece> pieces;
  for (const std::string& text : indices) {
    if (text.empty()) continue;
    TANREN_ASSIGN_OR_RETURN(const auto some, ParseIndex(text, manifest.files));
    pieces.insert(pieces.end(), some.begin(), some.end());
  }
  // Ranks on machines that don't share this folder would notice only when they load.
  for (const StoredFile& file : manifest.files) {
    TANREN_RETURN_IF_ERROR(PieceFile::Open(incoming / file.name, file.bytes).status());
  }
  const std::string index = IndexText(pieces);
  manifest.index_bytes = static_cast<int64_t>(index.size());
  manifest.index_checksum = ChecksumText(Checksum(std::string_view(index)));
  TANREN_ASSIGN_OR_RETURN(const std::string text, ManifestText(manifest));
  TANREN_RETURN_IF_ERROR(WriteDescription(incoming / kIndexFile, index, hook));
  TANREN_RETURN_IF_ERROR(WriteDescription(incoming / kManifestFile, text, hook));
  return Publish(incoming, folder, manifest.meta.step, hook);
}

// The files of all shards, once every rank has told the size of its own.
std::vector<StoredFile> FilesOf(comm::Communicator& world, const Part& part, int64_t bytes) {
  const auto shards = GatherNumbers(world, part.shard, kUnit);
  const auto sizes = GatherNumbers(world, part.writes ? bytes : 0, kUnit);
  std::vector<StoredFile> files(part.count);
  for (int rank = 0; rank < world.size(); ++rank) {
    StoredFile& file = files[shards[rank]];
    file.name = FileName(static_cast<int>(shards[rank]), part.count);
    file.bytes += sizes[rank];
  }
  return files;
}

}  // namespace

absl::Status SaveCheckpoint(const fs::path& folder, comm::Communicator& world, const Engine& engine,
                            Optimizer& optimizer, const LossScaler* scaler,
                            const CheckpointMeta& meta, const SaveOptions& options) {
  const DiskHook& hook = options.before_disk_operation;
  const bool first = world.rank() == 0;
  const Part part = PartOf(world, engine);

  absl::StatusOr<fs::path> made = fs::path();
  if (first) made = MakeIncoming(folder, meta.step, hook);
  TANREN_RETURN_IF_ERROR(AgreeOnStatus(world, made.status(), kUnit));
  const fs::path incoming = BroadcastText(world, made->string(), 0, kUnit);

  absl::StatusOr<Written> written = Written();
  if (part.writes) {
    std::vector<StatePiece> pieces = PiecesOfState(engine, &optimizer);
    if (!options.store_frozen) {
      std::erase_if(pieces, [](const auto& one) { return one.piece.id.kind == kFrozen; });
    }
    written = WritePieces(incoming / FileName(part.shard, part.count), part.shard, pieces, hook);
  }
  absl::Status status = AgreeOnStatus(world, written.status(), kUnit);
  if (status.ok()) {
    Manifest manifest;
    manifest.meta = meta;
    manifest.meta.world_size = world.size();
    manifest.meta.frozen_stored = options.store_frozen;
    manifest.meta.optimizer_steps = optimizer.steps_taken();
    if (scaler != nullptr) manifest.meta.loss_scaler = scaler->state();
    manifest.files = FilesOf(world, part, written->bytes);
    const auto indices =
        GatherText(world, part.writes ? IndexText(written->pieces) : std::string(), kUnit);
    if (first) status = Complete(incoming, folder, std::move(manifest), indices, hook);
    status = AgreeOnStatus(world, status, kUnit);
  }
  if (!first) return status;
  if (!status.ok()) {
    std::error_code ignored;  // the next writer removes it otherwise
    fs::remove_all(incoming, ignored);
    return status;
  }
  // The checkpoint is safe; a file that can't be deleted is no reason to end a run.
  const absl::Status pruned = Prune(folder, meta.step, options.retention, hook);
  if (!pruned.ok()) LogWarning("old checkpoints stay: {}", pruned.ToString());
  return absl::OkStatus();
}

}  // namespace tanren::parallel
