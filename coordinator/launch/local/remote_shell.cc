// tanren-agent remote-shell: see launch_command.h.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "coordinator/launch/local/launch_command.h"
#include "coordinator/launch/local/shell_words.h"
#include "coordinator/launch/local/unix_socket.h"
#include "coordinator/state/cluster.h"
#include "fmt/format.h"
#include "proto/coordinator.pb.h"
#include "runtime/base/error.h"

extern char** environ;

namespace tanren::coordinator {
namespace {

constexpr int kWrongUse = 2;
constexpr int kFailed = 1;
// An agent that is being replaced is back long before; mpirun itself sees when its daemon is gone.
constexpr int kConnectAttempts = 600;
constexpr useconds_t kBetweenAttemptsUs = 100'000;

int Fail(int code, std::string_view why) {
  fmt::print(stderr, "tanren-agent remote-shell: {}\n", why);
  return code;
}

absl::StatusOr<RemoteStart> RequestOf(const std::vector<std::string>& words) {
  RemoteStart request;
  if (!FromTokenText(words[4], *request.mutable_token())) {
    return absl::InvalidArgumentError(fmt::format("'{}' is no token", words[4]));
  }
  request.set_to(words[5]);
  TANREN_ASSIGN_OR_RETURN(const std::vector<std::string> command,
                          ShellWords(absl::StrJoin(words.begin() + 6, words.end(), " ")));
  for (const std::string& word : command) request.add_argv(word);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string line = *entry;
    const size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    if (absl::StartsWith(line, "OMPI_") || absl::StartsWith(line, "PMIX_")) {
      (*request.mutable_environment())[line.substr(0, equals)] = line.substr(equals + 1);
    }
  }
  std::random_device device;
  request.set_request((uint64_t{device()} << 32 | device()) | 1);
  return request;
}

// Sends the request, or, when the agent it was sent to is gone, only who waits for its answer.
absl::StatusOr<Descriptor> Ask(const std::string& socket, const RemoteStart& request) {
  absl::StatusOr<Descriptor> agent = absl::UnavailableError("no agent");
  for (int i = 0; i < kConnectAttempts && !agent.ok(); ++i) {
    if (i > 0) usleep(kBetweenAttemptsUs);
    agent = Connect(socket, SOCK_SEQPACKET);
  }
  if (!agent.ok()) return agent.status();
  TANREN_RETURN_IF_ERROR(SendPacket(*agent, request.SerializeAsString()));
  return agent;
}

}  // namespace

int RunRemoteShell(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 7 || words[1] != "--socket" || words[3] != "--token") {
    return Fail(kWrongUse, "expected --socket SOCKET --token TOKEN HOST COMMAND...");
  }
  absl::StatusOr<RemoteStart> request = RequestOf(words);
  if (!request.ok()) return Fail(kWrongUse, std::string(request.status().message()));
  while (true) {
    const absl::StatusOr<Descriptor> agent = Ask(words[2], *request);
    if (!agent.ok()) return Fail(kFailed, std::string(agent.status().message()));
    const absl::StatusOr<std::optional<Packet>> answer = ReceivePacket(*agent);
    RemoteEnd end;
    if (answer.ok() && answer->has_value() && end.ParseFromString((*answer)->bytes)) {
      if (!end.message().empty()) return Fail(kFailed, end.message());
      return end.exit_code();
    }
    request->clear_argv();
  }
}

}  // namespace tanren::coordinator
