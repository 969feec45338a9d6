#include "tests/coordinator/launch/slurm/fake_cluster.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>

#include "gtest/gtest.h"

namespace tanren::coordinator {

namespace fs = std::filesystem;

FakeCluster::FakeCluster() {
  fs::copy("tests/coordinator/launch/slurm/fake_slurm", folder_ / "bin");
}

FakeCluster::~FakeCluster() {
  for (const std::string& id : Jobs()) {
    const std::string pid = JobFile(id, "pid");
    const std::string state = JobFile(id, "state");
    WriteJobFile(id, "state", "CANCELLED\n");
    if (!pid.empty() && state.rfind("RUNNING", 0) == 0) kill(std::stoi(pid), SIGTERM);
  }
  std::error_code error;
  for (int i = 0; i < 50 && fs::exists(folder_); ++i) {
    fs::remove_all(folder_, error);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

SlurmLauncherOptions FakeCluster::Options(const std::string& agent) const {
  SlurmLauncherOptions options;
  options.state = folder_ / agent;
  options.program = fs::read_symlink("/proc/self/exe");
  options.worker = "/bin/true";
  options.allow_root = true;
  options.commands = folder_ / "bin";
  options.poll_ms = 50;
  options.command_timeout_ms = 5'000;
  options.folder_lease_ms = 10'000;  // a busy disk takes seconds over a beat
  options.heartbeat_ms = 100;
  options.record_wait_ms = 500;
  options.record_trust_ms = 1'000;
  options.forgotten_after_ms = 500;
  options.reason_holds_ms = 0;
  return options;
}

std::unique_ptr<SlurmLauncher> FakeCluster::OpenLauncher(const std::string& agent) const {
  auto launcher = SlurmLauncher::Open(Options(agent));
  EXPECT_TRUE(launcher.ok()) << launcher.status();
  return launcher.ok() ? *std::move(launcher) : nullptr;
}

void FakeCluster::Set(const std::string& what, const std::string& text) const {
  std::ofstream(folder_ / what) << text;
}
void FakeCluster::Clear(const std::string& what) const { fs::remove(folder_ / what); }

std::vector<std::string> FakeCluster::Jobs() const {
  std::vector<std::string> ids;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_ / "jobs", error)) {
    ids.push_back(entry.path().filename().string());
  }
  return ids;
}

size_t FakeCluster::Listings() const { return TextOf(folder_ / "listings").size(); }

std::string FakeCluster::JobFile(const std::string& id, const std::string& name) const {
  return TextOf(folder_ / "jobs" / id / name);
}

void FakeCluster::WriteJobFile(const std::string& id, const std::string& name,
                               const std::string& text) const {
  // Whole, for squeue may read it now.
  const fs::path file = folder_ / "jobs" / id / name;
  std::ofstream(file.string() + ".new") << text;
  std::error_code gone;
  fs::rename(file.string() + ".new", file, gone);
}

// In one step: what still runs of it may be writing its state.
void FakeCluster::ForgetJob(const std::string& id) const {
  fs::rename(folder_ / "jobs" / id, folder_ / ("forgotten-" + id));
}

PartSpec ShellPart(const fs::path& folder, uint64_t job, uint32_t attempt,
                   const std::string& script) {
  PartSpec part;
  part.mutable_token()->set_epoch(1);
  part.mutable_token()->set_job(job);
  part.mutable_token()->set_attempt(attempt);
  JobSpec& spec = *part.mutable_spec();
  spec.set_folder(folder.string());
  for (const std::string& argument : {std::string("/bin/sh"), std::string("-c"), script}) {
    spec.mutable_command()->add_argv(argument);
  }
  Role& role = *spec.add_roles();
  role.set_name("trainer");
  role.set_ranks(1);
  return part;
}

std::string Lasting(const fs::path& folder) {
  const std::string at = "'" + folder.string() + "'";
  return "echo begin >>" + at + "/ran; until [ -e " + at +
         "/go ]; do sleep 0.05; done; echo end >>" + at + "/ran";
}

bool WaitUntil(double seconds, const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

PartReport ReportOf(Launcher& launcher, const AttemptToken& token) {
  for (const PartReport& part : launcher.Parts()) {
    if (part.token().SerializeAsString() == token.SerializeAsString()) return part;
  }
  return {};
}

bool WaitUntilSubmitted(Launcher& launcher, const AttemptToken& token) {
  return WaitUntil(60, [&] { return !ReportOf(launcher, token).slurm_job().empty(); });
}

bool WaitForState(Launcher& launcher, const AttemptToken& token, PartState state, double seconds) {
  return WaitUntil(seconds, [&] { return ReportOf(launcher, token).state() == state; });
}

bool Lives(const std::string& process) {
  const std::string stat = TextOf("/proc/" + process + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.compare(name_end, 3, ") Z") != 0;
}

std::string TextOf(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace tanren::coordinator
