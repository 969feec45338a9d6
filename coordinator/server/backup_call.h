// A backup while everything else goes on.
#ifndef TANREN_COORDINATOR_SERVER_BACKUP_CALL_H_
#define TANREN_COORDINATOR_SERVER_BACKUP_CALL_H_

#include <string>

#include "coordinator/server/change_call.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// Copies the history to the new file `path` in slices, between which the loop does its other work;
// then checks it on a thread of its own, and finishes `call`.
void MakeBackup(const CoordinatorParts& parts, const std::string& path, BackupReply* reply,
                ChangeCall call);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_BACKUP_CALL_H_
