// watch: what happens, as it happens, from any point of the history on.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "coordinator/client/commands.h"
#include "coordinator/client/event_text.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/json_text.h"
#include "coordinator/client/quantities.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"

namespace tanren::coordinator {
namespace {

struct Arguments {
  uint64_t from = 0;
  uint64_t job = 0;
};

void Print(const CommonOptions& common, const HistoryEvent& event) {
  fmt::print("{}\n", common.json ? JsonLine(event) : EventText(event, WallMs()));
  std::fflush(stdout);
}

// The sequence number of the next event that will come.
absl::StatusOr<uint64_t> NextSequence(Client& client) {
  TANREN_ASSIGN_OR_RETURN(const StatusReply status,
                          client.Call(client.jobs(), &Jobs::Stub::Status, StatusRequest()));
  return status.last_sequence() + 1;
}

// From one stream to the next without a gap: each begins behind the last event seen.
absl::StatusOr<int> Watch(const CommonOptions& common, const Arguments& arguments) {
  TANREN_ASSIGN_OR_RETURN(const auto client, common.Connect());
  uint64_t next = arguments.from;
  if (next == 0) {
    TANREN_ASSIGN_OR_RETURN(next, NextSequence(*client));
  }
  Client::Retries retries(*client);
  while (true) {
    grpc::ClientContext context;
    client->PrepareStream(context);
    WatchRequest request;
    request.set_from_sequence(next);
    request.set_job(arguments.job);
    const auto stream = client->jobs().Watch(&context, request);
    HistoryEvent event;
    while (stream->Read(&event)) {
      retries.GotThrough();
      if (event.sequence() < next) continue;
      next = event.sequence() + 1;
      Print(common, event);
    }
    const grpc::Status status = stream->Finish();
    if (status.ok() || status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    } else if (!retries.WaitToTryAgain(status)) {
      return client->Explain(status);
    }
  }
}

}  // namespace

void AddWatch(CLI::App& program, const CommonOptions& common, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand("watch", "What happens, as it happens");
  command->add_option("--from", arguments->from,
                      "The number of the first event wanted, 1 for all; default: those to come");
  command->add_option("--job", arguments->job, "Only of this job");
  command->callback(
      [=, &common, &action] { action = [=, &common] { return Watch(common, *arguments); }; });
}

}  // namespace tanren::coordinator
