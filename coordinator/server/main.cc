// tanren-coordinator: the daemon that owns jobs, machines and their history.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "coordinator/server/server.h"
#include "coordinator/server/tls.h"
#include "coordinator/store/backup.h"
#include "coordinator/store/sqlite_store.h"
#include "coordinator/store/state_folder.h"
#include "coordinator/wire/protocol.h"
#include "fmt/format.h"
#include "runtime/base/build.h"
#include "runtime/base/descriptor.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

constexpr char kDefaultMetrics[] = "127.0.0.1:7412";

// How the process ends, for who supervises it (sysexits.h).
constexpr int kWrongOptions = 64;
constexpr int kCantStart = 69;
constexpr int kStoreFailed = 74;

constexpr int64_t kDayMs = 24LL * 3600 * 1000;
// Nothing that goes wrong in shutting down takes longer.
constexpr unsigned kShutdownSeconds = 5;

struct Arguments {
  std::filesystem::path state;
  std::string listen = kDefaultAddress;
  std::string metrics = kDefaultMetrics;
  bool metrics_named = false;
  bool allow_commands = false;
  int keep_ended_days = 30;
  int64_t keep_ended_jobs = 100'000;
  int64_t waiting_jobs = 100'000;
  int64_t waiting_jobs_of_user = 20'000;
  bool check = false;
  TlsOptions tls;
  std::filesystem::path backup;
};

std::filesystem::path DefaultState() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return std::filesystem::path(state) / "tanren/coordinator";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "/var/lib" : home) /
         ".local/state/tanren/coordinator";
}

int Complain(int code, const absl::Status& status) {
  fmt::print(stderr, "tanren-coordinator: {}\n", std::string(status.message()));
  return code;
}

int Check(const Arguments& arguments) {
  const auto store = SqliteStore::Open(arguments.state);
  if (!store.ok()) return Complain(kCantStart, store.status());
  const auto records = (*store)->Records();
  if (!records.ok()) return Complain(kStoreFailed, records.status());
  const auto cluster = Restore(*records);
  if (!cluster.ok()) return Complain(kStoreFailed, cluster.status());
  fmt::print("{}: sound: {} events, {} jobs, {} nodes, epoch {}{}\n", arguments.state.string(),
             (*store)->last_sequence(), cluster->jobs.size(), cluster->nodes.size(), cluster->epoch,
             (*store)->needs_new_epoch() ? " (a new one begins at the start)" : "");
  return 0;
}

int RestoreFrom(const Arguments& arguments) {
  const auto restored = RestoreBackup(arguments.backup, arguments.state);
  if (!restored.ok()) return Complain(kStoreFailed, restored.status());
  fmt::print("{}: restored up to event {}; what ran since is fenced when a coordinator starts\n",
             arguments.state.string(), restored->last_sequence);
  return 0;
}

// The file that tells programs of this machine where the coordinator listens.
class EndpointFile {
 public:
  EndpointFile(const std::filesystem::path& folder, const std::string& address)
      : path_(folder / "endpoint"), text_(address + "\n") {}

  // On a full disk it is written over what an earlier start left. Where that can't be either it is
  // to be tried again.
  absl::Status Write() {
    absl::Status status = WriteFileAtomically(path_, text_);
    if (!status.ok() && WriteInPlace()) status = absl::OkStatus();
    is_written_ = status.ok();
    return status;
  }
  bool is_written() const { return is_written_; }

 private:
  bool WriteInPlace() {
    const Descriptor file(open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    const auto size = static_cast<ssize_t>(text_.size());
    return file.is_open() && pwrite(file.get(), text_.data(), text_.size(), 0) == size &&
           ftruncate(file.get(), size) == 0 && fsync(file.get()) == 0;
  }

  const std::filesystem::path path_;
  const std::string text_;
  bool is_written_ = false;
};

// Waits for SIGTERM or SIGINT, or until the store has failed for good.
// Meanwhile certificates are looked at, at SIGHUP at once.
absl::Status WaitForEnd(const sigset_t& signals, Server& server, EndpointFile& endpoint,
                        ServerCertificates* certificates) {
  while (true) {
    const timespec second{1, 0};
    const int signal = sigtimedwait(&signals, nullptr, &second);
    if (certificates != nullptr) certificates->Look(SystemNow().wall_ms);
    if (!endpoint.is_written()) endpoint.Write().IgnoreError();
    if (signal > 0 && signal != SIGHUP) {
      LogInfo("signal {}: going down", signal);
      return absl::OkStatus();
    }
    const absl::Status failure = server.loop().failure();
    if (!failure.ok()) return failure;
  }
}

// Another coordinator on this machine may have the usual address; one that was asked for is needed.
absl::Status ServeMetrics(const Arguments& arguments, Server& server) {
  if (arguments.metrics.empty()) return absl::OkStatus();
  const absl::Status serving = server.ServeMetrics(arguments.metrics);
  if (serving.ok()) {
    LogInfo("metrics on port {}", server.metrics_port());
    return serving;
  }
  if (arguments.metrics_named) return serving;
  LogWarning("{}", std::string(serving.message()));
  return absl::OkStatus();
}

int Serve(const Arguments& arguments) {
  // Every thread inherits this: signals are taken by WaitForEnd alone.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  ServerOptions options;
  auto security = MakeServerCredentials(arguments.tls, arguments.listen);
  if (!security.ok()) return Complain(kWrongOptions, security.status());
  options.security = security->credentials;
  if (security->certificates != nullptr) {
    options.certificate_expires_ms = [certificates = security->certificates] {
      return certificates->expires_ms();
    };
  }
  options.listen = arguments.listen;
  options.loop.core.allow_commands = arguments.allow_commands;
  options.loop.core.keep_ended_ms = arguments.keep_ended_days * kDayMs;
  options.loop.core.keep_ended_jobs = arguments.keep_ended_jobs;
  options.loop.core.waiting_jobs = arguments.waiting_jobs;
  options.loop.core.waiting_jobs_of_user = arguments.waiting_jobs_of_user;
  options.loop.keep_events_ms = arguments.keep_ended_days * kDayMs;
  options.folder = arguments.state;
  auto open = [state = arguments.state, lock = std::shared_ptr<const LockFile>()]() mutable
      -> absl::StatusOr<std::unique_ptr<Store>> {
    if (lock == nullptr) {
      TANREN_ASSIGN_OR_RETURN(LockFile taken, TakeStateFolder(state));
      lock = std::make_shared<const LockFile>(std::move(taken));
    }
    TANREN_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, SqliteStore::Open(state, lock));
    return store;
  };
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(std::move(options), open);
  if (absl::IsResourceExhausted(server.status())) {
    return Complain(kCantStart,
                    Annotate(server.status(), fmt::format("it can't begin before there is room on "
                                                          "the disk of {}: free some, and start it "
                                                          "again",
                                                          arguments.state.string())));
  }
  if (!server.ok()) return Complain(kCantStart, server.status());
  EndpointFile endpoint(arguments.state, (*server)->address());
  if (const absl::Status written = endpoint.Write(); !written.ok()) {
    LogWarning("programs of this machine don't find it by itself yet: {}",
               std::string(written.message()));
  }
  LogInfo("tanren-coordinator {} listens on {}, state in {}", kVersion, (*server)->address(),
          arguments.state.string());
  if (const absl::Status metrics = ServeMetrics(arguments, **server); !metrics.ok()) {
    return Complain(kCantStart, metrics);
  }
  const absl::Status ended = WaitForEnd(signals, **server, endpoint, security->certificates.get());
  // SIGALRM's default ends the process, should anything below hang.
  alarm(kShutdownSeconds);
  (*server)->Shutdown();
  server->reset();
  LogInfo("down");
  return ended.ok() ? 0 : Complain(kStoreFailed, ended);
}

int Main(int argc, char** argv) {
  CLI::App program{"The daemon that owns jobs, machines and their history."};
  program.set_version_flag("--version", VersionText("tanren-coordinator"));
  Arguments arguments;
  arguments.state = DefaultState();
  program.add_option("--state", arguments.state, "Folder of the history, tokens and endpoint")
      ->capture_default_str();
  program.add_option("--listen", arguments.listen, "HOST:PORT; port 0: one that is free")
      ->capture_default_str();
  CLI::Option* const metrics =
      program
          .add_option("--metrics", arguments.metrics,
                      "HOST:PORT that Prometheus reads, without a token; empty: none")
          ->capture_default_str();
  program.add_option("--tls-certificate", arguments.tls.certificate_file,
                     "PEM; needed where other machines connect (tanren admin init-tls makes one)");
  program.add_option("--tls-key", arguments.tls.key_file, "Its key, PEM");
  program.add_option("--tls-client-ca", arguments.tls.client_ca_file,
                     "Clients and agents must show a certificate of this authority, PEM");
  program.add_flag("--allow-commands", arguments.allow_commands,
                   "Jobs may be any program, not only recipes");
  program
      .add_option("--keep-ended", arguments.keep_ended_days,
                  "Days that ended jobs are known, but for those that a waiting job depends on, "
                  "and that events can be read")
      ->check(CLI::Range(1, 36'500))
      ->capture_default_str();
  program
      .add_option("--keep-ended-jobs", arguments.keep_ended_jobs,
                  "At most so many of them, the newest: each takes some 5 KB of memory")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000'000}))
      ->capture_default_str();
  program
      .add_option("--waiting-jobs", arguments.waiting_jobs,
                  "Further submissions are refused; 0: any number may wait")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000'000}))
      ->capture_default_str();
  program
      .add_option("--waiting-jobs-of-user", arguments.waiting_jobs_of_user,
                  "Likewise, of each user without a quota that says how many (tanren admin quota)")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000'000}))
      ->capture_default_str();
  program.add_flag("--check", arguments.check, "Checks the history, and ends");
  CLI::App* restore =
      program.add_subcommand("restore", "Puts a backup where there is no history yet");
  restore->add_option("backup", arguments.backup, "What `tanren admin backup` wrote")->required();
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = program.exit(error);
    return code == 0 ? 0 : kWrongOptions;
  }
  arguments.metrics_named = metrics->count() > 0;
  umask(077);
  if (restore->parsed()) return RestoreFrom(arguments);
  return arguments.check ? Check(arguments) : Serve(arguments);
}

}  // namespace
}  // namespace tanren::coordinator

int main(int argc, char** argv) { return tanren::coordinator::Main(argc, argv); }
