// Jobs in words.
#ifndef TANREN_COORDINATOR_CLIENT_JOB_TEXT_H_
#define TANREN_COORDINATOR_CLIENT_JOB_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

bool HasEnded(JobState state);
// "running"; "pending, held".
std::string StateText(const Job& job);
// kInvalidArgument names the states there are.
absl::StatusOr<JobState> ParseState(const std::string& text);

int RanksOf(const JobSpec& spec);
int GpusOf(const JobSpec& spec);
// "t1 t2", at most three and how many more.
std::string NodesText(const Attempt& attempt);
// "2 GPUs, 1.5 cores, 16.0 GiB"; "nothing".
std::string ResourcesText(const Resources& resources);
// "tanren-worker train …" or the command.
std::string WorkText(const JobSpec& spec);
// "4.2e-03", "3.071".
std::string LossText(double loss);
// "exit code 1 on t1, rank 0: message".
std::string EndText(const AttemptEnd& end);

// All that `tanren show` says.
std::string Describe(const Job& job, const std::optional<Progress>& progress, int64_t now_ms);

// Why, what would help, and when it starts, a line each.
std::string ExplanationText(const Explanation& explanation);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_JOB_TEXT_H_
