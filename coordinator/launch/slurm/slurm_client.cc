#include "coordinator/launch/slurm/slurm_client.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "coordinator/launch/slurm/slurm_command.h"
#include "runtime/base/error.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

// Id, state, user, name, comment, reason. The reason comes last: it alone may hold anything.
constexpr char kSqueueFormat[] = "--format=%A|%T|%U|%j|%k|%r";
constexpr int kSqueueFields = 6;
constexpr size_t kLongestMessage = 2000;

bool IsNumber(absl::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         text.find_first_not_of("0123456789") == absl::string_view::npos;
}

bool IsState(absl::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == absl::string_view::npos;
}

std::string Shown(absl::string_view text) {
  return OnOneLine(std::string(absl::StripAsciiWhitespace(text.substr(0, kLongestMessage))));
}

absl::StatusOr<std::filesystem::path> FindInPath(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (absl::string_view folder : absl::StrSplit(path == nullptr ? "/usr/bin" : path, ':')) {
    if (folder.empty() || folder[0] != '/') continue;
    const std::filesystem::path candidate = std::filesystem::path(std::string(folder)) / program;
    if (access(candidate.c_str(), X_OK) == 0) return candidate.parent_path();
  }
  return absl::NotFoundError(
      fmt::format("{} isn't in PATH: install Slurm's client programs here", program));
}

// The controller is away, restarts, or is overwhelmed.
bool IsTransient(absl::string_view errors) {
  for (absl::string_view sign :
       {"contact slurm controller", "timed out", "emporarily un", "refused", "Zero Bytes",
        "authentication", "not responding", "ommunication", "configuration source",
        "Transport endpoint", "unge", "in standby mode"}) {
    if (absl::StrContains(errors, sign)) return true;
  }
  return false;
}

std::string User(const SlurmTarget& job) { return fmt::format("--user={}", job.user); }

absl::StatusOr<CommandResult> Run(const SlurmClientOptions& options,
                                  std::vector<std::string> argv) {
  auto result = RunCommand(argv, SlurmClientEnvironment(), options.timeout_ms);
  if (result.ok() || absl::IsDeadlineExceeded(result.status())) return result;
  return absl::UnavailableError(result.status().message());
}

}  // namespace

absl::StatusOr<SlurmClient> SlurmClient::Open(SlurmClientOptions options) {
  for (const char* program : {"sbatch", "squeue", "scancel"}) {
    if (options.folder.empty()) {
      TANREN_ASSIGN_OR_RETURN(options.folder, FindInPath(program));
    }
    if (access((options.folder / program).c_str(), X_OK) != 0) {
      return absl::NotFoundError(
          fmt::format("{}: no such program", (options.folder / program).string()));
    }
  }
  return SlurmClient(std::move(options));
}

absl::StatusOr<std::string> SlurmClient::Submit(const std::vector<std::string>& options,
                                                const std::vector<std::string>& script) const {
  std::vector<std::string> argv = {Program("sbatch")};
  argv.insert(argv.end(), options.begin(), options.end());
  argv.insert(argv.end(), script.begin(), script.end());
  TANREN_ASSIGN_OR_RETURN(const CommandResult result, Run(options_, std::move(argv)));
  if (result.exit_code != 0) return SubmissionError(result.errors);
  return ParseSbatch(result.output);
}

absl::StatusOr<std::vector<SlurmJob>> SlurmClient::Find(
    const std::vector<std::string>& names) const {
  if (names.empty()) return std::vector<SlurmJob>{};
  std::vector<std::string> argv = {Program("squeue"), "--noheader", "--states=all",
                                   "--name=" + absl::StrJoin(names, ","), kSqueueFormat};
  if (geteuid() != 0) argv.push_back(fmt::format("--user={}", geteuid()));
  TANREN_ASSIGN_OR_RETURN(const CommandResult result, Run(options_, std::move(argv)));
  if (result.exit_code != 0) return absl::UnavailableError("squeue: " + Shown(result.errors));
  return ParseSqueue(result.output);
}

absl::Status SlurmClient::Cancel(const SlurmTarget& job) const {
  // With both filters scancel asks the controller what the number names, and leaves a stranger be.
  TANREN_ASSIGN_OR_RETURN(
      const CommandResult result,
      Run(options_, {Program("scancel"), User(job), "--name=" + job.name, job.id}));
  if (result.exit_code == 0 || absl::StrContains(result.errors, "Invalid job id") ||
      absl::StrContains(result.errors, "already completing or completed")) {
    return absl::OkStatus();
  }
  return absl::UnavailableError("scancel: " + Shown(result.errors));
}

absl::Status SlurmClient::SignalToSave(const SlurmTarget& job) const {
  TANREN_ASSIGN_OR_RETURN(
      const CommandResult result,
      Run(options_, {Program("scancel"), "--batch", "--signal=USR1", "--state=RUNNING", User(job),
                     "--name=" + job.name, job.id}));
  if (result.exit_code == 0) return absl::OkStatus();
  return absl::UnavailableError("scancel: " + Shown(result.errors));
}

std::optional<SlurmAccount> SlurmClient::Account(const SlurmTarget& job) const {
  if (access(Program("sacct").c_str(), X_OK) != 0) return std::nullopt;
  const auto result = Run(
      options_, {Program("sacct"), "--jobs=" + job.id, "--name=" + job.name, User(job),
                 "--parsable2", "--noheader", "--allocations", "--format=JobIDRaw,State,ExitCode"});
  if (!result.ok() || result->exit_code != 0) return std::nullopt;
  const auto account = ParseSacct(result->output);
  return account.ok() ? *account : std::nullopt;
}

absl::StatusOr<std::string> ParseSbatch(absl::string_view output) {
  // "<id>" or, with several clusters, "<id>;<cluster>".
  absl::string_view text = absl::StripAsciiWhitespace(output);
  text = text.substr(0, text.find(';'));
  if (IsNumber(text)) return std::string(text);
  return absl::DataLossError(
      fmt::format("sbatch: expected the id of a job, found \"{}\"", Shown(output)));
}

absl::StatusOr<std::vector<SlurmJob>> ParseSqueue(absl::string_view output) {
  std::vector<SlurmJob> jobs;
  for (absl::string_view line : absl::StrSplit(output, '\n', absl::SkipWhitespace())) {
    const std::vector<absl::string_view> fields =
        absl::StrSplit(line, absl::MaxSplits('|', kSqueueFields - 1));
    uid_t user = 0;
    if (fields.size() != kSqueueFields || !IsNumber(fields[0]) || !IsState(fields[1]) ||
        !absl::SimpleAtoi(fields[2], &user)) {
      return absl::DataLossError(fmt::format(
          "squeue: expected id|state|user|name|comment|reason, found \"{}\"", Shown(line)));
    }
    jobs.push_back({std::string(fields[0]), std::string(fields[1]), user, std::string(fields[3]),
                    std::string(fields[4]), std::string(fields[5])});
  }
  return jobs;
}

absl::StatusOr<std::optional<SlurmAccount>> ParseSacct(absl::string_view output) {
  std::optional<SlurmAccount> account;
  for (absl::string_view line : absl::StrSplit(output, '\n', absl::SkipWhitespace())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, '|');
    const auto wrong = [&] {
      return absl::DataLossError(
          fmt::format("sacct: expected id|state|code:signal, found \"{}\"", Shown(line)));
    };
    if (fields.size() != 3 || !IsNumber(fields[0])) return wrong();
    // "CANCELLED by 1000"
    const absl::string_view state = fields[1].substr(0, fields[1].find(' '));
    const std::pair<absl::string_view, absl::string_view> code =
        absl::StrSplit(fields[2], absl::MaxSplits(':', 1));
    SlurmAccount read{std::string(state)};
    if (!IsState(state) || !absl::SimpleAtoi(code.first, &read.exit_code) ||
        !absl::SimpleAtoi(code.second, &read.signal)) {
      return wrong();
    }
    account = read;  // the last one, where an id was used twice
  }
  return account;
}

absl::Status SubmissionError(absl::string_view errors) {
  const std::string text = "sbatch: " + Shown(errors);
  if (IsTransient(errors)) return absl::UnavailableError(text);
  for (absl::string_view sign : {"QOS policy", "submit limit", "AssocMaxSubmit", "QOSMaxSubmit"}) {
    if (absl::StrContains(errors, sign)) return absl::ResourceExhaustedError(text);
  }
  return absl::InvalidArgumentError(text);
}

}  // namespace tanren::coordinator
