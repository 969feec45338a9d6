// The command line of `submit` and `run` as a job.
#ifndef TANREN_COORDINATOR_CLIENT_JOB_OPTIONS_H_
#define TANREN_COORDINATOR_CLIENT_JOB_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/client/endpoint.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

struct JobOptions {
  std::string recipe;                 // of submit
  std::vector<std::string> settings;  // --set, of submit
  std::vector<std::string> argv;      // of run

  int ranks = 0;
  int gpus = 0;
  double cpus = 0;
  std::string memory;
  int ranks_per_node = 0;
  std::vector<std::string> roles;

  std::string name;
  std::string project;
  int priority = 0;
  std::string time_limit;
  int array = 0;
  int array_running = 0;
  std::vector<uint64_t> after;
  std::vector<uint64_t> after_success;
  std::vector<uint64_t> after_failure;
  bool hold = false;
  bool preemptible = false;
  int retries = -1;
  std::string hang_after;
  std::vector<std::string> environment;
  std::vector<std::string> labels;
  std::vector<std::string> excluded_nodes;
  std::string folder;
  std::string launcher;
  std::vector<std::string> slurm;
};

// All but the recipe and the program.
void AddJobOptions(CLI::App& command, JobOptions& options);

// The job, with the recipe read and resolved here: its errors name file and line.
//
// What isn't said: one rank, or as many as there are GPUs; a rank has as many cores as its recipe
// has threads, else one, and no memory that is counted; the name is the recipe's or the program's;
// the folder is runs/ in `working_folder`. `--env NAME` takes the value from `environment`.
//
// kInvalidArgument names the option, what was found and what was expected.
absl::StatusOr<JobSpec> MakeJobSpec(const JobOptions& options, const Environment& environment,
                                    const std::filesystem::path& working_folder);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_JOB_OPTIONS_H_
