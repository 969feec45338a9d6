#include "coordinator/client/job_list.h"

#include <algorithm>
#include <cstdint>

#include "coordinator/client/job_text.h"
#include "coordinator/client/quantities.h"
#include "coordinator/client/table.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

std::string LastedText(const Job& job, int64_t now) {
  if (HasEnded(job.state())) {
    const int64_t began = job.attempt().running_ms();
    return began == 0 ? "" : FormatDuration(job.ended_ms() - began);
  }
  if (job.attempt().running_ms() != 0 && job.state() != PENDING) {
    return FormatSince(job.attempt().running_ms(), now);
  }
  return "";
}

}  // namespace

absl::StatusOr<ListJobsReply> ListJobs(Client& client, ListJobsRequest request, int limit) {
  constexpr int kPage = 1000;
  ListJobsReply all;
  while (all.jobs_size() < limit) {
    request.set_limit(std::min(kPage, limit - all.jobs_size()));
    TANREN_ASSIGN_OR_RETURN(const ListJobsReply page,
                            client.Call(client.jobs(), &Jobs::Stub::List, request));
    all.MergeFrom(page);
    all.set_more(page.more());
    if (!page.more() || page.jobs().empty()) break;
    request.set_after(page.jobs().rbegin()->id());
  }
  return all;
}

std::string RenderJobs(const ListJobsReply& reply, bool with_user) {
  const int64_t now = WallMs();
  Table table({">JOB", "NAME", "USER", "STATE", ">RANKS", ">GPUS", ">STEP", ">LOSS", ">TOKENS/S",
               "NODES", ">TRIES", "SUBMITTED", ">RAN"});
  for (const Job& job : reply.jobs()) {
    const auto found = reply.progress().find(job.id());
    const Progress progress = found == reply.progress().end() ? Progress() : found->second;
    const bool knows = progress.step() != 0;
    table.Add({std::to_string(job.id()), job.spec().name(), with_user ? job.user() : "",
               StateText(job), std::to_string(RanksOf(job.spec())),
               GpusOf(job.spec()) == 0 ? "" : std::to_string(GpusOf(job.spec())),
               knows ? fmt::format("{}/{}", progress.step(), progress.total_steps()) : "",
               knows ? LossText(progress.loss()) : "",
               knows ? fmt::format("{:.0f}", progress.tokens_per_second()) : "",
               job.state() == PENDING ? "" : NodesText(job.attempt()),
               job.attempts() > 1 ? std::to_string(job.attempts()) : "",
               FormatTime(job.submitted_ms(), now), LastedText(job, now)});
  }
  return table.Render(TerminalWidth());
}

}  // namespace tanren::coordinator
