#include "coordinator/client/local_cluster.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "coordinator/client/job_text.h"
#include "coordinator/client/worker_commands.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/machine.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kToStart{20};
constexpr std::chrono::seconds kToSave{35};
constexpr std::chrono::seconds kToEnd{15};
constexpr char kLock[] = "up.lock";
// Marks a machine that was emptied by us, to be filled again by the next start.
constexpr char kDrainReason[] = "tanren up ended";

// False where `limit` passes first.
bool WaitUntil(std::chrono::seconds limit, const std::function<bool()>& condition) {
  const Clock::time_point end = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

absl::Status Failed(const SupervisedProgram& program, const std::string& how) {
  const std::string said = program.LogTail();
  return absl::InternalError(fmt::format("{} {}; its log is {}{}{}", program.name(), how,
                                         program.log().string(), said.empty() ? "" : ":\n", said));
}

}  // namespace

LocalCluster::LocalCluster(LocalClusterOptions options)
    : options_(std::move(options)),
      coordinator_("tanren-coordinator", options_.folder / "coordinator.log"),
      agent_("tanren-agent", options_.folder / "agent.log") {}

LocalCluster::~LocalCluster() {
  if (lock_ >= 0) close(lock_);
}

pid_t LocalCluster::WhoIsUp(const fs::path& folder) {
  const int lock = open((folder / kLock).c_str(), O_RDWR | O_CLOEXEC);
  if (lock < 0) return 0;
  const bool is_free = flock(lock, LOCK_EX | LOCK_NB) == 0;
  close(lock);
  if (is_free) return 0;
  const std::string text = ReadFile(folder / kLock, 64).value_or("");
  pid_t process = 0;
  return absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &process) ? process : 0;
}

absl::Status LocalCluster::TakeLock() {
  const fs::path path = options_.folder / kLock;
  lock_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) return absl::InternalError(fmt::format("{}: {}", path.string(), strerror(errno)));
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        fmt::format("it is up already, by process {}: see `tanren status`; `tanren down` ends it",
                    WhoIsUp(options_.folder)));
  }
  holds_ = true;
  const std::string text = fmt::format("{}\n", getpid());
  if (ftruncate(lock_, 0) != 0 || pwrite(lock_, text.data(), text.size(), 0) < 0) {
    return absl::InternalError(fmt::format("{}: {}", path.string(), strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::StartCoordinator() {
  const fs::path endpoint = options_.folder / "endpoint";
  std::error_code ignored;
  fs::remove(endpoint, ignored);
  TANREN_ASSIGN_OR_RETURN(const fs::path program, FindSibling("tanren-coordinator"));
  const auto arguments = [&](const std::string& listen) {
    return std::vector<std::string>{program.string(), "--state", options_.folder.string(),
                                    "--listen",       listen,    "--allow-commands"};
  };
  TANREN_RETURN_IF_ERROR(coordinator_.Start(arguments(options_.listen)));
  std::string how;
  const bool listens = WaitUntil(kToStart, [&] {
    how = coordinator_.Look();
    return !how.empty() || fs::exists(endpoint);
  });
  if (!how.empty()) {
    coordinator_.End(milliseconds(0));
    return Failed(coordinator_, "can't start");
  }
  if (!listens) return Failed(coordinator_, "doesn't get ready");
  TANREN_ASSIGN_OR_RETURN(const std::string text, ReadFile(endpoint, 4096));
  address_ = std::string(absl::StripAsciiWhitespace(text));
  // Should it be started again, it is found where it was.
  coordinator_.KeepArguments(arguments(address_));
  return absl::OkStatus();
}

absl::StatusOr<NodeUse> LocalCluster::OwnNode() {
  TANREN_ASSIGN_OR_RETURN(
      const ListNodesReply reply,
      client_->Call(client_->jobs(), &Jobs::Stub::ListNodes, ListNodesRequest()));
  const auto incarnation = ReadFile(options_.folder / "agent/incarnation", 4096);
  for (const NodeUse& use : reply.nodes()) {
    if (use.node().state() != Node::UP || !incarnation.ok()) continue;
    if (use.node().incarnation() == absl::StripAsciiWhitespace(*incarnation)) return use;
  }
  return absl::NotFoundError("this machine has not joined");
}

absl::Status LocalCluster::StartAgent() {
  TANREN_ASSIGN_OR_RETURN(const fs::path program, FindSibling("tanren-agent"));
  std::vector<std::string> arguments = {program.string(),
                                        "--coordinator",
                                        address_,
                                        "--token-file",
                                        (options_.folder / "agent.token").string(),
                                        "--state",
                                        (options_.folder / "agent").string(),
                                        "--stop-parts"};
  // Whoever types this as root wants their own jobs to run.
  if (geteuid() == 0) arguments.emplace_back("--allow-root");
  const auto worker = FindSibling("tanren-worker");
  if (worker.ok()) arguments.insert(arguments.end(), {"--worker", worker->string()});
  arguments.insert(arguments.end(), options_.agent_arguments.begin(),
                   options_.agent_arguments.end());
  TANREN_RETURN_IF_ERROR(agent_.Start(std::move(arguments)));
  std::string how;
  const bool joined = WaitUntil(kToStart, [&] {
    how = agent_.Look();
    auto node = OwnNode();
    if (node.ok()) node_ = *std::move(node);
    return !how.empty() || node_.has_node();
  });
  if (!how.empty()) return Failed(agent_, "can't start");
  if (!joined) return Failed(agent_, "doesn't join");
  return absl::OkStatus();
}

absl::Status LocalCluster::Start() {
  TANREN_RETURN_IF_ERROR(MakeDirectories(options_.folder));
  TANREN_RETURN_IF_ERROR(TakeLock());
  TANREN_RETURN_IF_ERROR(StartCoordinator());
  Endpoint endpoint;
  endpoint.address = address_;
  endpoint.token_file = options_.folder / "admin.token";
  TANREN_ASSIGN_OR_RETURN(client_, Client::Open(endpoint));
  TANREN_RETURN_IF_ERROR(StartAgent());
  // (The coordinator puts before it who asked.)
  if (node_.node().draining() && absl::EndsWith(node_.node().drain_reason(), kDrainReason)) {
    NodeRequest request;
    request.set_request_id(NewRequestId());
    request.set_node(node_.node().name());
    TANREN_RETURN_IF_ERROR(client_->Call(client_->admin(), &Admin::Stub::Resume, request).status());
  }
  return absl::OkStatus();
}

std::vector<std::string> LocalCluster::Look() {
  std::vector<std::string> happened;
  for (SupervisedProgram* program : {&coordinator_, &agent_}) {
    std::string how = program->Look();
    if (!how.empty()) happened.push_back(std::move(how));
  }
  return happened;
}

bool LocalCluster::JobsRun() {
  const auto node = OwnNode();
  return node.ok() && !node->jobs().empty();
}

void LocalCluster::End(const std::function<bool()>& hurry) {
  if (!holds_) return;  // what is there is another's
  if (client_ != nullptr && node_.has_node() && agent_.running() && JobsRun()) {
    NodeRequest request;
    request.set_request_id(NewRequestId());
    request.set_node(node_.node().name());
    request.set_reason(kDrainReason);
    request.set_evict(true);
    if (client_->Call(client_->admin(), &Admin::Stub::Drain, request).ok()) {
      WaitUntil(kToSave, [&] {
        std::this_thread::sleep_for(milliseconds(50));
        return hurry() || !JobsRun();
      });
    }
  }
  // Where the coordinator couldn't be asked, the agent itself lets what runs save.
  agent_.End(hurry() ? kToEnd : kToSave);
  coordinator_.End(kToEnd);
  std::error_code ignored;
  fs::remove(options_.folder / "endpoint", ignored);
}

std::string LocalCluster::Screen(bool detached) const {
  const Node& node = node_.node();
  Resources all;
  all.set_gpus(node.gpus_size());
  all.set_cpu_millis(node.cpu_millis());
  all.set_memory_bytes(node.memory_bytes());
  std::string text = "Tanren is up on this machine.\n\n";
  text += fmt::format("  coordinator  {:<22} log: {}\n", address_, coordinator_.log().string());
  text += fmt::format("  agent        {:<22} log: {}\n", node.name(), agent_.log().string());
  text += fmt::format("  to give      {}\n", ResourcesText(all));
  text += fmt::format("  jobs         any program, run as {}, by whoever reads {}\n\n",
                      geteuid() == 0 ? "root" : "you", (options_.folder / "admin.token").string());
  text +=
      "What next:\n"
      "  tanren submit RECIPE.yaml --ranks 2      train as a job (deploy/recipes has some)\n"
      "  tanren run --follow -- /bin/echo hello   run any program as a job\n"
      "  tanren jobs; tanren top                  how far they are\n"
      "  tanren logs -f JOB; tanren explain JOB   what it writes; why it waits\n\n";
  return text + (detached ? "`tanren down` ends it: " : "Ctrl-C ends it: ") +
         "what runs saves first, and goes on after the next `tanren up`.\n";
}

}  // namespace tanren::coordinator
