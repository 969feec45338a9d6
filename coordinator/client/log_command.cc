// logs: what a job's ranks wrote.
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "coordinator/client/commands.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/job_text.h"
#include "coordinator/client/log_reader.h"
#include "coordinator/client/quantities.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"

namespace tanren::coordinator {
namespace {

struct Arguments {
  LogQuery query;
  std::string rank = "0";
  std::string tail;
  std::string since;
  bool raw = false;
};

absl::StatusOr<int> Logs(const CommonOptions& common, const Arguments& arguments) {
  LogQuery query = arguments.query;
  if (arguments.rank == "all") {
    query.rank = -1;
  } else if (!absl::SimpleAtoi(arguments.rank, &query.rank) || query.rank < 0) {
    return absl::InvalidArgumentError(
        fmt::format("--rank: found \"{}\", expected a number or all", arguments.rank));
  }
  if (!arguments.tail.empty()) {
    auto bytes = ParseBytes(arguments.tail);
    if (!bytes.ok()) return Annotate(bytes.status(), "--tail");
    query.tail_bytes = *bytes;
  }
  if (!arguments.since.empty()) {
    auto since = ParseTimeOrAge(arguments.since, WallMs());
    if (!since.ok()) return Annotate(since.status(), "--since");
    query.since_ms = *since;
  }
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  LogPrinter printer(stdout, arguments.raw, query.rank < 0);
  TANREN_RETURN_IF_ERROR(ReadLogs(*client, query, printer));
  return kDone;
}

}  // namespace

void AddLogs(CLI::App& program, const CommonOptions& common, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand("logs", "What a job's ranks wrote");
  command->add_option("job", arguments->query.job, "The job's number")->required();
  command->add_flag("-f,--follow", arguments->query.follow,
                    "Goes on until the job has ended, over all its further attempts");
  command->add_option("--rank", arguments->rank, "A rank's number, or all")->capture_default_str();
  command->add_option("--role", arguments->query.role, "Of a gang of several; default: the first");
  command->add_option("--attempt", arguments->query.attempt, "Default: the last");
  CLI::Option* since = command->add_option(
      "--since", arguments->since,
      "What was written since then, or a little before: 10m, 2h, or 2026-11-26T05:41:36Z");
  CLI::Option* from = command->add_option("--from-byte", arguments->query.offset,
                                          "From this byte of the rank's log on");
  CLI::Option* tail =
      command->add_option("--tail", arguments->tail, "Only so much of the end, as 8KiB");
  since->excludes(from, tail);
  from->excludes(tail);
  command->add_flag("--raw", arguments->raw,
                    "Byte by byte as written; else control characters are shown as \\xNN");
  command->callback(
      [=, &common, &action] { action = [=, &common] { return Logs(common, *arguments); }; });
}

}  // namespace tanren::coordinator
