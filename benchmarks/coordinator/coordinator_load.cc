// Load for a coordinator that runs: what it takes a second, and what it needs for it.
//   coordinator_load submit  --clients 16 --seconds 10    durable submissions a second
//     … --explainers 10 --explain 1                       while so many ask why job 1 waits
//   coordinator_load fill    --jobs 100000                jobs that wait, for a long history
//     … --free                                            and would start if there were room
//   coordinator_load ready                                how long until it answers
//   coordinator_load streams --agents 500 --followers 200 --seconds 60 --pid PID
//                                                         its memory and time with so many streams
// Each takes --coordinator and --token-file; streams --agent-token-file too. The coordinator is to
// be started with --allow-commands, on a state folder of its own.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "benchmarks/coordinator/streaming_peers.h"
#include "coordinator/wire/channel.h"
#include "fmt/format.h"
#include "proto/coordinator.grpc.pb.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Arguments {
  Endpoint endpoint;
  std::filesystem::path agent_token_file;
  int clients = 16;
  int explainers = 0;
  uint64_t explained = 1;
  bool free = false;
  double seconds = 10;
  int jobs = 100'000;
  int agents = 500;
  int followers = 200;
  int64_t pid = 0;
};

// What no two runs share.
std::string RunName() {
  return fmt::format("{}-{}", getpid(),
                     std::chrono::system_clock::now().time_since_epoch().count());
}

JobSpec WaitingJob(bool held) {
  JobSpec spec;
  spec.set_name("load");
  spec.set_project("benchmark");
  spec.mutable_command()->add_argv("/bin/true");
  Role& role = *spec.add_roles();
  role.set_name("trainer");
  role.set_ranks(1);
  role.mutable_per_rank()->set_cpu_millis(10);
  spec.set_folder("/tmp");
  spec.set_held(held);
  return spec;
}

absl::StatusOr<SubmitReply> Submit(const Channel& channel, Jobs::Stub& stub,
                                   const std::string& request_id, const JobSpec& spec) {
  SubmitRequest request;
  request.set_request_id(request_id);
  *request.mutable_spec() = spec;
  SubmitReply reply;
  grpc::ClientContext context;
  channel.Prepare(context, 60);
  TANREN_RETURN_IF_ERROR(FromGrpc(stub.Submit(&context, request, &reply)));
  return reply;
}

// Asks again and again until it is told to stop; adds each question's milliseconds.
absl::Status KeepAsking(const Arguments& arguments, const std::atomic<bool>& stop,
                        std::vector<double>& latencies) {
  TANREN_ASSIGN_OR_RETURN(const Channel channel, Channel::Open(arguments.endpoint));
  const auto stub = Jobs::NewStub(channel.grpc());
  while (!stop) {
    JobRequest request;
    request.set_job(arguments.explained);
    Explanation explanation;
    grpc::ClientContext context;
    channel.Prepare(context, 60);
    const auto asked = Clock::now();
    TANREN_RETURN_IF_ERROR(FromGrpc(stub->Explain(&context, request, &explanation)));
    latencies.push_back(SecondsSince(asked) * 1000);
  }
  return absl::OkStatus();
}

void PrintLatencies(const std::string& what, double seconds, std::vector<double> latencies) {
  if (latencies.empty()) return;
  std::sort(latencies.begin(), latencies.end());
  fmt::print("{}: {:.0f}/s; median {:.1f} ms, 99 % within {:.1f} ms\n", what,
             static_cast<double>(latencies.size()) / seconds, latencies[latencies.size() / 2],
             latencies[latencies.size() * 99 / 100]);
}

absl::Status MeasureSubmits(const Arguments& arguments) {
  const std::string run = RunName();
  std::mutex mutex;
  std::vector<double> latencies;
  absl::Status failed;
  std::vector<std::thread> clients;
  std::atomic<bool> stop = false;
  std::vector<double> explanations;
  std::vector<std::thread> explainers;
  for (int i = 0; i < arguments.explainers; ++i) {
    explainers.emplace_back([&] {
      std::vector<double> own;
      const absl::Status status = KeepAsking(arguments, stop, own);
      const std::lock_guard lock(mutex);
      explanations.insert(explanations.end(), own.begin(), own.end());
      if (!status.ok()) failed = status;
    });
  }
  const auto begin = Clock::now();
  for (int i = 0; i < arguments.clients; ++i) {
    clients.emplace_back([&, i] {
      std::vector<double> own;
      absl::Status status;
      const auto channel = Channel::Open(arguments.endpoint);
      status = channel.status();
      const auto stub = status.ok() ? Jobs::NewStub(channel->grpc()) : nullptr;
      for (int n = 0; status.ok() && SecondsSince(begin) < arguments.seconds; ++n) {
        const auto asked = Clock::now();
        status =
            Submit(*channel, *stub, fmt::format("{}-{}-{}", run, i, n), WaitingJob(true)).status();
        own.push_back(SecondsSince(asked) * 1000);
      }
      const std::lock_guard lock(mutex);
      latencies.insert(latencies.end(), own.begin(), own.end());
      if (!status.ok()) failed = status;
    });
  }
  for (std::thread& client : clients) client.join();
  const double seconds = SecondsSince(begin);
  stop = true;
  for (std::thread& explainer : explainers) explainer.join();
  TANREN_RETURN_IF_ERROR(failed);
  PrintLatencies(fmt::format("{} clients, durable submissions", arguments.clients), seconds,
                 std::move(latencies));
  PrintLatencies(fmt::format("{} clients, explanations", arguments.explainers), seconds,
                 std::move(explanations));
  return absl::OkStatus();
}

absl::Status Fill(const Arguments& arguments) {
  TANREN_ASSIGN_OR_RETURN(const Channel channel, Channel::Open(arguments.endpoint));
  const auto stub = Jobs::NewStub(channel.grpc());
  const std::string run = RunName();
  const auto begin = Clock::now();
  for (int done = 0; done < arguments.jobs;) {
    JobSpec spec = WaitingJob(!arguments.free);
    const int size = std::min(1000, arguments.jobs - done);
    spec.set_array_size(size);
    TANREN_RETURN_IF_ERROR(Submit(channel, *stub, fmt::format("{}-{}", run, done), spec).status());
    done += size;
  }
  fmt::print("{} jobs in {:.1f} s\n", arguments.jobs, SecondsSince(begin));
  return absl::OkStatus();
}

absl::Status WaitUntilReady(const Arguments& arguments) {
  const auto begin = Clock::now();
  while (true) {
    const auto channel = Channel::Open(arguments.endpoint);
    absl::Status status = channel.status();
    StatusReply reply;
    if (status.ok()) {
      grpc::ClientContext context;
      channel->Prepare(context, 60);
      status = FromGrpc(Jobs::NewStub(channel->grpc())->Status(&context, {}, &reply));
    }
    if (status.ok()) {
      int64_t jobs = 0;
      for (const auto& [state, count] : reply.jobs_by_state()) jobs += count;
      fmt::print("answers after {:.2f} s: {} events, {} jobs\n", SecondsSince(begin),
                 reply.last_sequence(), jobs);
      return absl::OkStatus();
    }
    if (SecondsSince(begin) > 60) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// Of /proc/PID/status, in MB.
double MemoryOf(int64_t pid, const std::string& field) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind(field + ":", 0) == 0) return std::stod(line.substr(field.size() + 1)) / 1024;
  }
  return 0;
}

// Processor seconds that the process has had.
double TimeOf(int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  std::istringstream rest(text.substr(text.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  double user = 0;
  double system = 0;
  rest >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

absl::Status HoldStreams(const Arguments& arguments) {
  Endpoint agents_endpoint = arguments.endpoint;
  agents_endpoint.token_file = arguments.agent_token_file;
  TANREN_ASSIGN_OR_RETURN(const Channel channel, Channel::Open(arguments.endpoint));
  const double alone = MemoryOf(arguments.pid, "VmRSS");
  StreamingPeers peers;
  for (int i = 0; i < arguments.agents; ++i) {
    // Each over a connection of its own, as from machines of their own.
    TANREN_ASSIGN_OR_RETURN(const Channel own, Channel::Open(agents_endpoint));
    peers.AddAgent(own, fmt::format("load-{}", i));
  }
  const auto stub = Jobs::NewStub(channel.grpc());
  const std::string run = RunName();
  std::vector<uint64_t> jobs;
  for (int i = 0; i < arguments.followers; ++i) {
    TANREN_ASSIGN_OR_RETURN(
        const SubmitReply reply,
        Submit(channel, *stub, fmt::format("{}-{}", run, i), WaitingJob(false)));
    jobs.push_back(reply.jobs(0));
  }
  for (const uint64_t job : jobs) {
    TANREN_ASSIGN_OR_RETURN(const Channel own, Channel::Open(arguments.endpoint));
    peers.AddFollower(own, job);
  }
  std::this_thread::sleep_for(std::chrono::seconds(3));
  const double time = TimeOf(arguments.pid);
  const int64_t bytes = peers.bytes();
  const auto begin = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(arguments.seconds));
  const double seconds = SecondsSince(begin);
  fmt::print(
      "{} agents with {} orders heard, {} followers that got {:.0f} bytes/s: {:.0f} MB (alone "
      "{:.0f}, at "
      "most {:.0f}), {:.1f} % of a core\n",
      peers.agents_open(), peers.orders(), peers.followers_open(),
      static_cast<double>(peers.bytes() - bytes) / seconds, MemoryOf(arguments.pid, "VmRSS"), alone,
      MemoryOf(arguments.pid, "VmHWM"), (TimeOf(arguments.pid) - time) / seconds * 100);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  CLI::App program{"Load for a coordinator that runs."};
  program.require_subcommand(1);
  Arguments arguments;
  std::function<absl::Status(const Arguments&)> action;
  const auto add = [&](const std::string& name, const std::string& what,
                       absl::Status (*measure)(const Arguments&)) {
    CLI::App* command = program.add_subcommand(name, what);
    command->add_option("--coordinator", arguments.endpoint.address)->required();
    command->add_option("--token-file", arguments.endpoint.token_file)->required();
    command->callback([&action, measure] { action = measure; });
    return command;
  };
  CLI::App* submit = add("submit", "Durable submissions a second", MeasureSubmits);
  submit->add_option("--clients", arguments.clients)->capture_default_str();
  submit->add_option("--seconds", arguments.seconds)->capture_default_str();
  submit->add_option("--explainers", arguments.explainers)->capture_default_str();
  submit->add_option("--explain", arguments.explained)->capture_default_str();
  CLI::App* fill = add("fill", "Submits jobs that wait", Fill);
  fill->add_option("--jobs", arguments.jobs)->capture_default_str();
  fill->add_flag("--free", arguments.free, "Not held");
  add("ready", "How long until it answers", WaitUntilReady);
  CLI::App* streams = add("streams", "Agents and followers at once", HoldStreams);
  streams->add_option("--agent-token-file", arguments.agent_token_file)->required();
  streams->add_option("--agents", arguments.agents)->capture_default_str();
  streams->add_option("--followers", arguments.followers)->capture_default_str();
  streams->add_option("--seconds", arguments.seconds)->capture_default_str();
  streams->add_option("--pid", arguments.pid, "The coordinator's")->required();
  CLI11_PARSE(program, argc, argv);
  const absl::Status status = action(arguments);
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", status.ToString());
  return 1;
}

}  // namespace
}  // namespace tanren::coordinator

int main(int argc, char** argv) { return tanren::coordinator::Main(argc, argv); }
