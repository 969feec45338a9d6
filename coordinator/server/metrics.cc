#include "coordinator/server/metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "fmt/format.h"
#include "prometheus/client_metric.h"
#include "prometheus/collectable.h"
#include "prometheus/counter.h"
#include "prometheus/exposer.h"
#include "prometheus/histogram.h"
#include "prometheus/metric_family.h"
#include "prometheus/registry.h"
#include "runtime/base/build.h"

namespace tanren::coordinator {
namespace {

constexpr std::array<std::string_view, std::variant_size_v<Input>> kKinds = {
    "submit", "change_job", "change_node", "set_quota", "join", "leave", "report", "tick"};
static_assert(std::is_same_v<std::variant_alternative_t<0, Input>, SubmitInput> &&
              std::is_same_v<std::variant_alternative_t<6, Input>, ReportInput> &&
              std::is_same_v<std::variant_alternative_t<7, Input>, TickInput>);

const prometheus::Histogram::BucketBoundaries kSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                          0.05,   0.1,   0.25,   0.5,   1,    2.5};

std::string Name(std::string_view what) { return fmt::format("tanren_coordinator_{}", what); }

void CallOnce(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  (void)connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  close(connection);
}

// Gauges that are asked for at each scrape.
class Asked final : public prometheus::Collectable {
 public:
  explicit Asked(Metrics::Sources sources) : sources_(std::move(sources)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> families;
    Add("queued_inputs", "Inputs that wait for the loop", sources_.queued(), families);
    Add("open_streams", "Watchers and log readers", sources_.streams(), families);
    Add("connected_agents", "Agents whose stream is open", sources_.agents(), families);
    if (sources_.certificate_expires_ms) {
      Add("certificate_expires_seconds", "When the listener's certificate ends, since the epoch",
          sources_.certificate_expires_ms() / 1000, families);
    }
    const absl::StatusOr<StatusReply> status = sources_.status();
    Add("up", "1 if the last durable state could be read", status.ok() ? 1 : 0, families);
    if (status.ok()) AddStatus(*status, families);
    return families;
  }

 private:
  using Families = std::vector<prometheus::MetricFamily>;

  static prometheus::MetricFamily& Family(std::string_view name, std::string_view help,
                                          Families& families) {
    prometheus::MetricFamily& family = families.emplace_back();
    family.name = Name(name);
    family.help = std::string(help);
    family.type = prometheus::MetricType::Gauge;
    return family;
  }
  static void Set(prometheus::MetricFamily& family, const std::string& label,
                  const std::string& value, double number) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    if (!label.empty()) metric.label.push_back({label, value});
    metric.gauge.value = number;
  }
  template <typename Number>
  static void Add(std::string_view name, std::string_view help, Number number, Families& families) {
    Set(Family(name, help, families), "", "", static_cast<double>(number));
  }

  static void AddStatus(const StatusReply& status, Families& families) {
    Add("accepting", "1 while changes are made durable", status.accepting() ? 1 : 0, families);
    Add("epoch", "Rises when an older history was restored", status.epoch(), families);
    Add("last_event", "Number of the last event", status.last_sequence(), families);
    Add("started_seconds", "When this process started, seconds since the epoch",
        static_cast<double>(status.started_ms()) / 1000, families);
    if (status.agent_certificate_expires_ms() != 0) {
      Add("agent_certificate_expires_seconds",
          "When the first of the agents' certificates ends, since the epoch",
          status.agent_certificate_expires_ms() / 1000, families);
    }
    prometheus::MetricFamily& jobs = Family("jobs", "Jobs by state", families);
    for (int state = PENDING; state < JobState_ARRAYSIZE; ++state) {
      if (!JobState_IsValid(state)) continue;
      const std::string& name = JobState_Name(static_cast<JobState>(state));
      const auto count = status.jobs_by_state().find(name);
      Set(jobs, "state", name,
          count == status.jobs_by_state().end() ? 0 : static_cast<double>(count->second));
    }
    prometheus::MetricFamily& nodes = Family("nodes", "Nodes by state", families);
    Set(nodes, "state", "UP", status.nodes_up());
    Set(nodes, "state", "SILENT", status.nodes_silent());
    Set(nodes, "state", "LOST", status.nodes_lost());
    AddResources("capacity", "Of all nodes that aren't lost", status.capacity(), families);
    AddResources("free", "Of nodes that take work", status.free(), families);
  }

  static void AddResources(const std::string& which, const std::string& help,
                           const Resources& resources, Families& families) {
    Add(which + "_gpus", help, resources.gpus(), families);
    Add(which + "_cores", help, static_cast<double>(resources.cpu_millis()) / 1000, families);
    Add(which + "_memory_bytes", help, resources.memory_bytes(), families);
  }

  const Metrics::Sources sources_;
};

}  // namespace

std::string_view KindOf(const Input& input) { return kKinds[input.index()]; }

class Metrics::Exposed {
 public:
  Exposed() : registry_(std::make_shared<prometheus::Registry>()) {
    auto& inputs = prometheus::BuildCounter()
                       .Name(Name("inputs_total"))
                       .Help("Inputs that the core decided on, by kind")
                       .Register(*registry_);
    for (size_t i = 0; i < kKinds.size(); ++i) {
      inputs_[i] = &inputs.Add({{"kind", std::string(kKinds[i])}});
    }
    auto& commits = prometheus::BuildCounter()
                        .Name(Name("commits_total"))
                        .Help("Commits to the store, by outcome")
                        .Register(*registry_);
    committed_ = &commits.Add({{"outcome", "durable"}});
    failed_ = &commits.Add({{"outcome", "failed"}});
    events_ = &prometheus::BuildCounter()
                   .Name(Name("events_total"))
                   .Help("Events made durable by this process")
                   .Register(*registry_)
                   .Add({});
    commit_seconds_ = &prometheus::BuildHistogram()
                           .Name(Name("commit_seconds"))
                           .Help("How long a commit took to be durable")
                           .Register(*registry_)
                           .Add({}, kSeconds);
    pass_seconds_ = &prometheus::BuildHistogram()
                         .Name(Name("pass_seconds"))
                         .Help("How long a tick took, its scheduling pass included")
                         .Register(*registry_)
                         .Add({}, kSeconds);
    prometheus::BuildGauge()
        .Name(Name("build_info"))
        .Help("1; the version is a label")
        .Register(*registry_)
        .Add({{"version", std::string(kVersion)}})
        .Set(1);
  }

  std::shared_ptr<prometheus::Registry> registry_;
  std::array<prometheus::Counter*, kKinds.size()> inputs_{};
  prometheus::Counter* committed_ = nullptr;
  prometheus::Counter* failed_ = nullptr;
  prometheus::Counter* events_ = nullptr;
  prometheus::Histogram* commit_seconds_ = nullptr;
  prometheus::Histogram* pass_seconds_ = nullptr;
  std::shared_ptr<Asked> asked_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

Metrics::Metrics() : exposed_(std::make_unique<Exposed>()) {}
Metrics::~Metrics() { Close(); }

absl::Status Metrics::Listen(const std::string& address, Sources sources) {
  // The server below throws, and says little.
  try {
    exposed_->exposer_ = std::make_unique<prometheus::Exposer>(address, 1);
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        fmt::format("metrics: can't listen on {}: {}", address, error.what()));
  }
  exposed_->asked_ = std::make_shared<Asked>(std::move(sources));
  exposed_->exposer_->RegisterCollectable(exposed_->registry_);
  exposed_->exposer_->RegisterCollectable(exposed_->asked_);
  return absl::OkStatus();
}

void Metrics::Close() {
  if (exposed_->exposer_ == nullptr) return;
  // The server looks whether it is to stop every two seconds, or when somebody calls.
  std::atomic<bool> closed = false;
  std::thread caller([&closed, port = port()] {
    while (!closed) {
      CallOnce(port);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  exposed_->exposer_.reset();
  closed = true;
  caller.join();
  exposed_->asked_.reset();
}

int Metrics::port() const {
  if (exposed_->exposer_ == nullptr) return 0;
  const std::vector<int> ports = exposed_->exposer_->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

void Metrics::CountInput(const Input& input) { exposed_->inputs_[input.index()]->Increment(); }

void Metrics::CountCommit(double seconds, size_t events, bool ok) {
  (ok ? exposed_->committed_ : exposed_->failed_)->Increment();
  if (ok) exposed_->events_->Increment(static_cast<double>(events));
  exposed_->commit_seconds_->Observe(seconds);
}

void Metrics::CountPass(double seconds) { exposed_->pass_seconds_->Observe(seconds); }

}  // namespace tanren::coordinator
