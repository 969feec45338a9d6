// tanren: what people type. Commands of one machine's models are tanren-worker's; the others talk
// to a coordinator.
#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string_view>
#include <vector>

#include "coordinator/client/commands.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/worker_commands.h"
#include "fmt/format.h"
#include "runtime/base/build.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

void AddCommonOptions(CLI::App& program, CommonOptions& common) {
  program.add_option("--coordinator", common.endpoint.address,
                     "HOST:PORT; default: $TANREN_COORDINATOR, ~/.config/tanren/client.yaml, or "
                     "what `tanren up` started");
  program.add_option("--token-file", common.endpoint.token_file,
                     "A file with your token; default: $TANREN_TOKEN_FILE, …");
  program.add_option("--ca", common.endpoint.ca_file,
                     "The authority of the coordinator's certificate: for another machine's");
  program.add_option("--certificate", common.endpoint.certificate_file,
                     "Your own certificate, where the coordinator asks for one");
  program.add_option("--key", common.endpoint.key_file, "Its key");
  program.add_option_function<double>(
      "--patience",
      [&common](double seconds) {
        common.patience.unreached_seconds = seconds;
        common.patience.lost_seconds = seconds;
      },
      "Seconds that a coordinator which can't be reached or can't answer is waited for; "
      "default: 2, and 30 once it has answered");
  program.add_flag("--json", common.json, "Answers for programs: JSON, a line each");
}

using AddCommands = void (*)(CLI::App& program, const CommonOptions& common, Action& action);

struct CommandGroup {
  std::vector<std::string_view> names;
  AddCommands add;
};

const CommandGroup kCommands[] = {
    {{"up", "down"}, AddUp},         {{"submit", "run"}, AddSubmit},
    {{"jobs", "show"}, AddJobs},     {{"logs"}, AddLogs},
    {{"explain"}, AddExplain},       {{"cancel", "hold", "release", "requeue"}, AddChanges},
    {{"watch"}, AddWatch},           {{"top"}, AddTop},
    {{"nodes", "status"}, AddNodes}, {{"admin"}, AddAdmin},
};

// Only those that a word of the line may mean: describing all to the parser takes as long as the
// rest of a command's start. All of them where none is named or help is asked for.
void AddNamedCommands(int argc, char** argv, CLI::App& program, const CommonOptions& common,
                      Action& action) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  const auto has = [&](std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const auto is_named = [&](const CommandGroup& group) {
    return std::any_of(group.names.begin(), group.names.end(), has);
  };
  const bool all = has("--help") || has("-h") ||
                   std::none_of(std::begin(kCommands), std::end(kCommands), is_named);
  for (const CommandGroup& group : kCommands) {
    if (all || is_named(group)) group.add(program, common, action);
  }
}

// Else an option that may be given repeatedly would take the words behind its value too.
void TakeOneValueEach(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) option->allow_extra_args(false);
  }
  for (CLI::App* inner : command.get_subcommands({})) TakeOneValueEach(*inner);
}

int Run(int argc, char** argv) {
  if (argc > 1 && IsWorkerCommand(argv[1])) return BecomeWorker(argc, argv);
  CLI::App program("Trains language models on one machine or many.", "tanren");
  program.require_subcommand(1);
  program.set_version_flag("--version", VersionText("tanren"));
  program.footer(WorkerCommandsHelp() + kExitCodes);
  program.fallthrough();
  CommonOptions common;
  AddCommonOptions(program, common);
  Action action;
  AddNamedCommands(argc, argv, program, common, action);
  TakeOneValueEach(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? kDone : kWrongUse;
  }
  absl::StatusOr<int> code = kWrongUse;
  try {
    code = action();
  } catch (...) {
    code = StatusOfCurrentException();
  }
  if (code.ok()) return *code;
  std::fflush(stdout);
  fmt::print(stderr, "tanren: {}\n", std::string(code.status().message()));
  return ExitCodeOf(code.status());
}

}  // namespace

}  // namespace tanren::coordinator

int main(int argc, char** argv) {
  // A command allocates little: gRPC's threads need no arenas of their own.
  mallopt(M_ARENA_MAX, 1);
  const int code = tanren::coordinator::Run(argc, argv);
  std::fflush(nullptr);
  // Without the destructors of static objects, and the threads that they would wait for.
  _exit(code);
}
