// Where a coordinator's metrics come from.
#ifndef TANREN_COORDINATOR_SERVER_METRICS_SOURCES_H_
#define TANREN_COORDINATOR_SERVER_METRICS_SOURCES_H_

#include <cstddef>
#include <functional>

#include "coordinator/server/loop.h"
#include "coordinator/server/metrics.h"

namespace tanren::coordinator {

// Asks the loop at each scrape, and waits a second at most for its answer: kDeadlineExceeded. The
// loop must outlive the calls, that is Metrics::Close.
Metrics::Sources SourcesOf(Loop& loop, std::function<size_t()> streams,
                           std::function<size_t()> agents,
                           std::function<int64_t()> certificate_expires_ms = nullptr);

// Makes the loop's listener count. `metrics` outlives the loop.
void CountInto(Metrics& metrics, LoopListener& listener);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_METRICS_SOURCES_H_
