// What happened, a line each.
#ifndef TANREN_COORDINATOR_CLIENT_EVENT_TEXT_H_
#define TANREN_COORDINATOR_CLIENT_EVENT_TEXT_H_

#include <cstdint>
#include <string>

#include "proto/history.pb.h"

namespace tanren::coordinator {

// "1042  14:03:22  job 17 placed on t1 t2 (attempt 1)". Without control characters.
std::string EventText(const HistoryEvent& event, int64_t now_ms);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_EVENT_TEXT_H_
