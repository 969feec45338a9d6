#include "coordinator/agent/agent_metrics.h"

#include <exception>

#include "absl/strings/ascii.h"
#include "fmt/format.h"
#include "runtime/base/build.h"

namespace tanren::coordinator {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Registry;

Counter& AddCounter(Registry& registry, const std::string& name, const std::string& help) {
  return BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

Gauge& AddGauge(Registry& registry, const std::string& name, const std::string& help) {
  return BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

// "PART_RUNNING" -> "running".
std::string StateLabel(PartState state) {
  return absl::AsciiStrToLower(PartState_Name(state).substr(5));
}

}  // namespace

AgentMetrics::AgentMetrics()
    : registry_(std::make_shared<Registry>()),
      connected_(AddGauge(*registry_, "tanren_agent_connected",
                          "Whether a stream to the coordinator is open")),
      streams_(AddCounter(*registry_, "tanren_agent_streams_total", "Streams that were opened")),
      reports_(AddCounter(*registry_, "tanren_agent_reports_total", "Reports that were sent")),
      starts_(
          AddCounter(*registry_, "tanren_agent_parts_started_total", "Parts that were started")),
      stops_(AddCounter(*registry_, "tanren_agent_parts_stopped_total",
                        "Parts that were told to stop")),
      lease_(AddGauge(*registry_, "tanren_agent_lease_seconds",
                      "Until the lease ends; negative once it has")) {
  auto& parts = BuildGauge()
                    .Name("tanren_agent_parts")
                    .Help("Parts of attempts on this machine")
                    .Register(*registry_);
  for (int i = PART_STARTING; i <= PART_ENDED; ++i) {
    const auto state = static_cast<PartState>(i);
    parts_[state] = &parts.Add({{"state", StateLabel(state)}});
  }
  BuildGauge()
      .Name("tanren_agent_build_info")
      .Help("Always 1")
      .Register(*registry_)
      .Add({{"version", kVersion}})
      .Set(1);
}

absl::Status AgentMetrics::Serve(const std::string& address) {
  try {
    exposer_ = std::make_unique<prometheus::Exposer>(address, /*num_threads=*/1);
  } catch (const std::exception& error) {
    return absl::UnavailableError(fmt::format("--metrics {}: {}", address, error.what()));
  }
  exposer_->RegisterCollectable(registry_);
  return absl::OkStatus();
}

void AgentMetrics::SetConnected(bool connected) {
  if (connected) streams_.Increment();
  connected_.Set(connected ? 1 : 0);
}

void AgentMetrics::SetCertificateEnd(int64_t expires_ms) {
  if (expires_ms == 0) return;
  if (certificate_ == nullptr) {
    certificate_ = &AddGauge(*registry_, "tanren_agent_certificate_expires_seconds",
                             "When the certificate that this agent shows ends, since the epoch");
  }
  certificate_->Set(static_cast<double>(expires_ms) / 1000);
}

void AgentMetrics::SetParts(const std::vector<PartReport>& parts) {
  std::map<PartState, int> counts;
  for (const PartReport& part : parts) ++counts[part.state()];
  for (const auto& [state, gauge] : parts_) gauge->Set(counts[state]);
}

}  // namespace tanren::coordinator
