#include "coordinator/server/backup_call.h"

#include <filesystem>
#include <memory>
#include <utility>

#include "coordinator/store/store.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kSliceMs = 4;

struct Backup {
  const CoordinatorParts parts;
  const std::string path;
  BackupReply* const reply;
  ChangeCall call;
  std::unique_ptr<BackupRun> run;
};

void Conclude(const std::shared_ptr<Backup>& backup) {
  const absl::StatusOr<uint64_t> last = backup->run->Finish();
  if (last.ok()) {
    backup->reply->set_last_sequence(*last);
    std::error_code error;
    const auto bytes = std::filesystem::file_size(backup->path, error);
    if (!error) backup->reply->set_bytes(static_cast<int64_t>(bytes));
  }
  backup->call.Finish(last.status());
}

// True once all is copied.
absl::StatusOr<bool> CopySlice(Backup& backup, const View& view) {
  if (backup.run == nullptr) {
    if (view.store == nullptr) return absl::UnavailableError("the history can't be read now");
    absl::StatusOr<std::unique_ptr<BackupRun>> run = view.store->StartBackup(backup.path);
    if (!run.ok()) return run.status();
    backup.run = *std::move(run);
  }
  return backup.run->Step(kSliceMs);
}

void NextSlice(std::shared_ptr<Backup> backup) {
  const absl::Status posted =
      backup->parts.loop.Read([backup](const absl::Status& status, const View* view) {
        const absl::StatusOr<bool> copied =
            status.ok() ? CopySlice(*backup, *view) : absl::StatusOr<bool>(status);
        if (!copied.ok()) {
          backup->run.reset();
          backup->call.Finish(copied.status());
        } else if (*copied) {
          backup->parts.slow_tasks.Run([backup] { Conclude(backup); });
        } else {
          NextSlice(backup);
        }
      });
  if (posted.ok()) return;
  // Where a run has begun this is the loop's thread.
  backup->run.reset();
  backup->call.Finish(posted);
}

}  // namespace

void MakeBackup(const CoordinatorParts& parts, const std::string& path, BackupReply* reply,
                ChangeCall call) {
  NextSlice(std::make_shared<Backup>(Backup{parts, path, reply, std::move(call), nullptr}));
}

}  // namespace tanren::coordinator
