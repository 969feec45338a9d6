// What the handlers of a coordinator share.
#ifndef TANREN_COORDINATOR_SERVER_COORDINATOR_PARTS_H_
#define TANREN_COORDINATOR_SERVER_COORDINATOR_PARTS_H_

#include <cstdint>
#include <functional>

#include "coordinator/server/admission.h"
#include "coordinator/server/agent_hub.h"
#include "coordinator/server/audit.h"
#include "coordinator/server/explainer.h"
#include "coordinator/server/loop.h"
#include "coordinator/server/open_streams.h"
#include "coordinator/server/task_thread.h"
#include "coordinator/state/core.h"

namespace tanren::coordinator {

// References to what outlives every call. All of it may be used from any thread.
struct CoordinatorParts {
  const CoreOptions& core_options;
  const Admission& admission;
  Loop& loop;
  Explainer& explainer;
  AgentHub& agents;
  OpenStreams& streams;
  TaskThread& tasks;
  TaskThread& slow_tasks;  // those that take seconds
  AuditLog* audit;         // null: none is kept
  // When the listener's certificate ends, since the epoch; 0, or no function: it has none.
  const std::function<int64_t()>& certificate_expires_ms;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_COORDINATOR_PARTS_H_
