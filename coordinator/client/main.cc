// tanren: what people type. Commands of one machine's models are tanren-worker's; the others talk
// to a coordinator.
#include <CLI/CLI.hpp>
#include <cstdio>

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
  program
      .add_option("--patience", common.patience.unreached_seconds,
                  "Seconds that a coordinator which can't be reached is waited for")
      ->capture_default_str();
  program.add_flag("--json", common.json, "Answers for programs: JSON, a line each");
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
  program.set_version_flag("--version",
                           fmt::format("tanren {} (build {})", tanren::kVersion, BuildId()));
  program.footer(WorkerCommandsHelp() + kExitCodes);
  program.fallthrough();
  CommonOptions common;
  AddCommonOptions(program, common);
  Action action;
  AddUp(program, common, action);
  AddSubmit(program, common, action);
  AddJobs(program, common, action);
  AddLogs(program, common, action);
  AddExplain(program, common, action);
  AddChanges(program, common, action);
  AddWatch(program, common, action);
  AddTop(program, common, action);
  AddNodes(program, common, action);
  AddAdmin(program, common, action);
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

absl::StatusOr<std::unique_ptr<Client>> CommonOptions::Connect() const {
  TANREN_ASSIGN_OR_RETURN(const Endpoint found, FindEndpoint(endpoint, OwnEnvironment));
  return Client::Open(found, patience);
}

}  // namespace tanren::coordinator

int main(int argc, char** argv) { return tanren::coordinator::Run(argc, argv); }
