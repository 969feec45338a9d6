#include "parallel/checkpoint/background_save.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>
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
struct WrittenFile {
  int64_t bytes = 0;
  std::vector<IndexedPiece> pieces;
};

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

struct BackgroundSave::Parts {
  fs::path folder;
  comm::Communicator& world;
  SaveOptions options;
  Part part;
  fs::path incoming;
  Manifest manifest;  // without its files and the index's checksum

  // The thread's, while it runs: it writes this rank's file, then on rank 0 another one describes
  // them all. `pieces` are views of the shards.
  std::thread thread;
  std::vector<StatePiece> pieces;
  absl::StatusOr<WrittenFile> written = WrittenFile();
  std::vector<std::string> indices;  // of each rank
  absl::Status described;
  bool all_told = false;  // all ranks have told what they wrote

  std::mutex mutex;
  std::condition_variable changed;
  bool read = false;   // the shards may change
  bool ended = false;  // the thread has nothing left to do

  ~Parts() { Join(); }
  void Join() {
    if (thread.joinable()) thread.join();
  }

  void Mark(bool& flag) {
    const std::lock_guard lock(mutex);
    flag = true;
    changed.notify_all();
  }
  void WaitFor(const bool& flag) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return flag; });
  }

  absl::Status StartThread(const std::function<void()>& body) {
    try {
      thread = std::thread(body);
    } catch (const std::system_error& error) {
      return absl::ResourceExhaustedError(
          fmt::format("{}: can't start a thread to write it: {}; memory is short, or the number of "
                      "processes is limited (ulimit -u)",
                      incoming.string(), error.what()));
    }
    return absl::OkStatus();
  }

  void WriteFile() {
    try {
      written = WritePieces();
    } catch (...) {
      written = StatusOfCurrentException();
    }
    Mark(read);
    Mark(ended);
  }

  absl::StatusOr<WrittenFile> WritePieces() {
    const fs::path path = incoming / FileName(part.shard, part.count);
    TANREN_ASSIGN_OR_RETURN(PieceFileWriter writer,
                            PieceFileWriter::Create(path, options.before_disk_operation));
    WrittenFile result;
    for (StatePiece& one : pieces) {
      IndexedPiece piece{one.piece, one.values.scalar_type(), part.shard, 0, {}};
      TANREN_RETURN_IF_ERROR(writer.Append(one.values, piece));
      one.values.reset();  // where it is a copy of a GPU's, this frees it
      result.pieces.push_back(std::move(piece));
    }
    Mark(read);  // it is all in the system's memory, and has to reach the disk
    TANREN_RETURN_IF_ERROR(writer.Finish());
    result.bytes = writer.bytes();
    return result;
  }

  void Describe() {
    const DiskHook& hook = options.before_disk_operation;
    try {
      described = Complete(incoming, folder, manifest, indices, hook);
    } catch (...) {
      described = StatusOfCurrentException();
    }
    if (described.ok()) {
      // The checkpoint is safe; a file that can't be deleted is no reason to end a run.
      const absl::Status pruned = Prune(folder, manifest.meta.step, options.retention, hook);
      if (!pruned.ok()) LogWarning("old checkpoints stay: {}", pruned.ToString());
    }
    Mark(ended);
  }

  // Rank 0's, after an error: the next writer would remove it otherwise.
  void RemoveIncoming() const {
    std::error_code ignored;
    if (world.rank() == 0) fs::remove_all(incoming, ignored);
  }
};

BackgroundSave::BackgroundSave(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

BackgroundSave::~BackgroundSave() = default;

absl::StatusOr<std::unique_ptr<BackgroundSave>> BackgroundSave::Start(
    const fs::path& folder, comm::Communicator& world, const Engine& engine, Optimizer& optimizer,
    const LossScaler* scaler, const CheckpointMeta& meta, const SaveOptions& options) {
  std::unique_ptr<Parts> parts(new Parts{folder, world, options, PartOf(world, engine)});
  absl::StatusOr<fs::path> made = fs::path();
  if (world.rank() == 0) made = MakeIncoming(folder, meta.step, options.before_disk_operation);
  TANREN_RETURN_IF_ERROR(AgreeOnStatus(world, made.status(), kUnit));
  parts->incoming = BroadcastText(world, made->string(), 0, kUnit);

  CheckpointMeta& stored = parts->manifest.meta;
  stored = meta;
  stored.world_size = world.size();
  stored.frozen_stored = options.store_frozen;
  stored.optimizer_steps = optimizer.steps_taken();
  if (scaler != nullptr) stored.loss_scaler = scaler->state();
  if (!parts->part.writes) {
    parts->read = parts->ended = true;
  } else {
    parts->pieces = PiecesOfState(engine, &optimizer);
    if (!options.store_frozen) {
      std::erase_if(parts->pieces, [](const auto& one) { return one.piece.id.kind == kFrozen; });
    }
    for (StatePiece& one : parts->pieces) one.values = one.values.to(at::kCPU);
    Parts* const shared = parts.get();
    const absl::Status started = shared->StartThread([shared] { shared->WriteFile(); });
    // All ranks learn of it where they tell each other what they wrote.
    if (!started.ok()) {
      parts->written = started;
      parts->read = parts->ended = true;
    }
  }
  return std::unique_ptr<BackgroundSave>(new BackgroundSave(std::move(parts)));
}

void BackgroundSave::WaitUntilRead() { parts_->WaitFor(parts_->read); }

bool BackgroundSave::Ready() const {
  const std::lock_guard lock(parts_->mutex);
  return parts_->ended;
}

int64_t BackgroundSave::step() const { return parts_->manifest.meta.step; }

absl::StatusOr<bool> BackgroundSave::Advance() {
  parts_->WaitFor(parts_->ended);
  parts_->Join();
  comm::Communicator& world = parts_->world;
  const absl::Status status =
      AgreeOnStatus(world, parts_->all_told ? parts_->described : parts_->written.status(), kUnit);
  if (!status.ok()) {
    parts_->RemoveIncoming();
    return status;
  }
  if (std::exchange(parts_->all_told, true)) return true;

  parts_->manifest.files = FilesOf(world, parts_->part, parts_->written->bytes);
  parts_->indices = GatherText(
      world, parts_->part.writes ? IndexText(parts_->written->pieces) : std::string(), kUnit);
  if (world.rank() == 0) {
    parts_->ended = false;
    Parts* const shared = parts_.get();
    parts_->described = shared->StartThread([shared] { shared->Describe(); });
    if (!parts_->described.ok()) parts_->ended = true;
  }
  return false;
}

absl::Status BackgroundSave::Publish() {
  while (true) {
    TANREN_ASSIGN_OR_RETURN(const bool published, Advance());
    if (published) return absl::OkStatus();
  }
}

absl::Status SaveCheckpoint(const fs::path& folder, comm::Communicator& world, const Engine& engine,
                            Optimizer& optimizer, const LossScaler* scaler,
                            const CheckpointMeta& meta, const SaveOptions& options) {
  TANREN_ASSIGN_OR_RETURN(
      const std::unique_ptr<BackgroundSave> save,
      BackgroundSave::Start(folder, world, engine, optimizer, scaler, meta, options));
  return save->Publish();
}

}  // namespace tanren::parallel
