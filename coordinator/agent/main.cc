// tanren-agent: one for each machine. Holds its lease from the coordinator, and starts and ends
// what that gives it.
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/agent/agent.h"
#include "coordinator/agent/agent_metrics.h"
#include "coordinator/agent/connection.h"
#include "coordinator/agent/machine_node.h"
#include "coordinator/agent/open_launcher.h"
#include "coordinator/agent/outbox.h"
#include "coordinator/agent/reach_listener.h"
#include "coordinator/agent/remembered_epoch.h"
#include "coordinator/agent/replacement.h"
#include "coordinator/launch/local/fork_server.h"
#include "coordinator/launch/local/launch_command.h"
#include "coordinator/launch/slurm/slurm_batch.h"
#include "coordinator/wire/channel.h"
#include "coordinator/wire/protocol.h"
#include "fmt/format.h"
#include "runtime/base/build.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/machine.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string address = kDefaultAddress;
  std::string token_file;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  std::string state;
  std::string worker;
  std::string log_file;
  std::string metrics;
  bool allow_root = false;
  bool shared_account = false;
  bool stop_parts = false;
  bool no_isolation = false;
  int reach_port = 0;
  NodeOptions node;
};

std::string HomeState() {
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "/var/lib" : home) + "/.local/state/tanren";
}

void AddOptions(CLI::App& program, Arguments& arguments) {
  program.add_option("--coordinator", arguments.address, "HOST:PORT")->capture_default_str();
  program.add_option("--token-file", arguments.token_file,
                     "A file with the agent's token; default: $TANREN_TOKEN_FILE, or what a "
                     "coordinator of this machine made");
  program.add_option("--ca", arguments.ca_file,
                     "The authority of the coordinator's certificate: for another machine's");
  program.add_option("--certificate", arguments.certificate_file, "This agent's certificate");
  program.add_option("--key", arguments.key_file, "Its key");
  program.add_option("--state", arguments.state, "Where its parts and their logs are kept")
      ->capture_default_str();
  program.add_option("--name", arguments.node.name, "Default: the host's");
  program.add_option("--address", arguments.node.address,
                     "Where other machines reach its ranks; default: that of the interface "
                     "towards the coordinator");
  program
      .add_option("--reach-port", arguments.reach_port,
                  "The port of that address on which the machines of a gang try whether they reach "
                  "this one; 0: any that is free, -1: they don't try")
      ->check(CLI::Range(-1, 65535))
      ->capture_default_str();
  program.add_option("--rack", arguments.node.rack, "Gangs are kept within few racks");
  program
      .add_option("--label", arguments.node.labels,
                  "NAME=VALUE that jobs may ask for; may be given repeatedly")
      ->allow_extra_args(false);
  program.add_option("--cpus", arguments.node.cpus, "Cores to give; default: what is found");
  program.add_option("--memory", arguments.node.memory_bytes, "Bytes to give; default: all");
  program.add_option("--gpus", arguments.node.gpus, "GPUs to give; default: all");
  program.add_option("--launcher", arguments.node.launcher, "What starts processes")
      ->check(CLI::IsMember({"local", "slurm"}))
      ->capture_default_str();
  program.add_option("--worker", arguments.worker,
                     "tanren-worker; default: beside this program, or in PATH");
  program.add_flag("--allow-root", arguments.allow_root, "Jobs may run as root, if this does");
  program.add_flag("--shared-account", arguments.shared_account,
                   "With --launcher slurm, not as root: jobs of others run as this user too");
  program.add_flag("--no-isolation", arguments.no_isolation,
                   "No namespaces of their own for parts: only process groups");
  program.add_flag("--stop-parts", arguments.stop_parts,
                   "At SIGTERM, what runs here saves and stops first");
  program.add_option("--metrics", arguments.metrics,
                     "HOST:PORT that answers /metrics for Prometheus; default: none");
  program.add_option("--log-file", arguments.log_file, "Gets every line of the log as well");
}

// Signals come by a descriptor from here on; what is started before this has none blocked.
absl::StatusOr<int> TakeSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor < 0) return absl::InternalError(fmt::format("signalfd: {}", strerror(errno)));
  return descriptor;
}

Endpoint EndpointOf(const Arguments& arguments) {
  Endpoint endpoint;
  endpoint.address = arguments.address;
  endpoint.token_file = arguments.token_file;
  if (endpoint.token_file.empty()) {
    const char* file = std::getenv("TANREN_TOKEN_FILE");
    endpoint.token_file = file != nullptr ? file : HomeState() + "/coordinator/agent.token";
  }
  endpoint.ca_file = arguments.ca_file;
  endpoint.certificate_file = arguments.certificate_file;
  endpoint.key_file = arguments.key_file;
  return endpoint;
}

// Null where nobody is to try, or can.
std::unique_ptr<ReachListener> ListenForReach(const Arguments& arguments, Node& node) {
  if (arguments.reach_port < 0 || arguments.node.launcher == "slurm") return nullptr;
  absl::StatusOr<std::unique_ptr<ReachListener>> listener =
      ReachListener::Open(node.address(), arguments.reach_port);
  if (!listener.ok()) {
    LogWarning("the machines of a gang can't try whether they reach this one: {}",
               std::string(listener.status().message()));
    return nullptr;
  }
  node.set_reach((*listener)->where());
  return *std::move(listener);
}

// Returns whether this is to be replaced.
absl::StatusOr<AgentOutcome> Serve(const Arguments& arguments, ForkServer fork_server) {
  TANREN_ASSIGN_OR_RETURN(const int signals, TakeSignals());
  const Endpoint endpoint = EndpointOf(arguments);
  TANREN_ASSIGN_OR_RETURN(Node node, NodeOf(ProbeMachine({}), arguments.node, endpoint.address));

  const std::unique_ptr<ReachListener> reach = ListenForReach(arguments, node);
  AgentMetrics metrics;
  if (!arguments.metrics.empty()) TANREN_RETURN_IF_ERROR(metrics.Serve(arguments.metrics));
  Wake wake;
  const auto outbox = std::make_shared<Outbox>(wake);
  OpenLauncherOptions options;
  options.kind = arguments.node.launcher;
  options.state = arguments.state;
  options.node = node.name();
  options.worker = arguments.worker;
  options.allow_root = arguments.allow_root;
  options.shared_account = arguments.shared_account;
  options.isolate = !arguments.no_isolation;
  TANREN_ASSIGN_OR_RETURN(const OpenedLauncher opened,
                          OpenLauncher(options, std::move(fork_server), outbox));
  TANREN_ASSIGN_OR_RETURN(*node.mutable_incarnation(), Incarnation(arguments.state));
  ConnectionOptions connecting;
  TANREN_ASSIGN_OR_RETURN(connecting.node_key, NodeKey(arguments.state));
  TANREN_ASSIGN_OR_RETURN(Channel channel, Channel::Open(endpoint));

  LogInfo("tanren-agent {}: node {} with {} cores, {} of memory and {} GPUs, for {}", kVersion,
          node.name(), node.cpu_millis() / 1000.0,
          FormatBytes(static_cast<uint64_t>(node.memory_bytes())), node.gpus_size(),
          endpoint.address);
  AgentSettings settings;
  settings.stop_parts = arguments.stop_parts;
  settings.core.lease_ends_parts = arguments.node.launcher != "slurm";
  settings.state = arguments.state;
  TANREN_ASSIGN_OR_RETURN(settings.epoch, RememberedEpoch(arguments.state));
  Connection connection(
      std::move(channel), std::move(node), [&wake] { wake(); }, std::move(connecting));
  Agent running(settings, connection, *opened.launcher, wake, outbox, metrics, opened.remote_end);
  AgentOutcome outcome = AgentOutcome::kEnded;
  while ((outcome = running.Run(signals)) == AgentOutcome::kReplace) {
    const absl::Status replaced = ReplaceProcess();
    LogError("still the program that it was: {}", std::string(replaced.message()));
  }
  opened.launcher->OnChange([] {});
  return outcome;
}

int Run(int argc, char** argv) {
  CLI::App program("Starts and ends on this machine what the coordinator gives it.",
                   "tanren-agent");
  program.set_version_flag("--version", VersionText("tanren-agent"));
  Arguments arguments;
  arguments.state = HomeState() + "/agent";
  AddOptions(program, arguments);
  CLI11_PARSE(program, argc, argv);
  RememberProgram(argc, argv);
  // Before anything makes a thread.
  absl::StatusOr<ForkServer> fork_server = StartForkServer();
  absl::Status status = fork_server.status();
  if (status.ok() && !arguments.log_file.empty()) status = AddLogFile(arguments.log_file);
  if (status.ok()) status = Serve(arguments, *std::move(fork_server)).status();
  if (status.ok()) return 0;
  LogError("{}", std::string(status.message()));
  return 1;
}

}  // namespace
}  // namespace tanren::coordinator

int main(int argc, char** argv) {
  using tanren::coordinator::RunLaunchCommand;
  using tanren::coordinator::RunSlurmCommand;
  if (const std::optional<int> code = RunLaunchCommand(argc, argv)) return *code;
  if (const std::optional<int> code = RunSlurmCommand(argc, argv)) return *code;
  return tanren::coordinator::Run(argc, argv);
}
