#include "coordinator/server/job_pages.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include "coordinator/server/shown_job.h"
#include "coordinator/wire/channel.h"
#include "coordinator/wire/protocol.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

// A slice is about a millisecond.
constexpr int kScannedInSlice = 4096;
constexpr size_t kBytesInSlice = 512 << 10;
constexpr size_t kLongestPage = kLongestMessage / 2;
constexpr int kDefaultLimit = 1000;
constexpr int kMostLimit = 10'000;

// Goes on from slice to slice until it is done, then answers from a thread of its own: writing a
// long message takes as long as gathering it.
template <typename Listing>
void NextSlice(std::shared_ptr<Listing> listing) {
  const absl::Status posted =
      listing->parts.loop.Read([listing](const absl::Status& status, const View* view) {
        if (status.ok() && !listing->Gather(*view)) return NextSlice(listing);
        listing->parts.tasks.Run([listing, status] { listing->reactor->Finish(ToGrpc(status)); });
      });
  if (!posted.ok()) listing->reactor->Finish(ToGrpc(posted));
}

struct JobListing {
  const CoordinatorParts parts;
  const Caller caller;
  const ListJobsRequest* const request;
  ListJobsReply* const reply;
  grpc::ServerUnaryReactor* const reactor;
  const std::set<int> states;
  const int limit;
  uint64_t cursor;  // jobs beyond it come next
  size_t bytes = 0;

  bool Matches(const Job& job) const {
    return (states.empty() || states.contains(job.state())) &&
           (request->user().empty() || request->user() == job.user()) &&
           (request->project().empty() || request->project() == job.spec().project());
  }

  // False where the page has no room for it.
  bool Take(const View& view, const Job& job, size_t& slice_bytes) {
    const size_t size = job.ByteSizeLong();
    if (reply->jobs_size() >= limit || (reply->jobs_size() > 0 && bytes > kLongestPage)) {
      reply->set_more(true);
      return false;
    }
    Job& taken = *reply->add_jobs();
    taken = job;
    ShortenForList(taken);
    HideSecrets(caller, taken);
    const auto progress = view.core.progress().find(job.id());
    if (progress != view.core.progress().end()) {
      (*reply->mutable_progress())[job.id()] = progress->second;
    }
    bytes += taken.ByteSizeLong();
    slice_bytes += size;
    return true;
  }

  // True when the page is done.
  template <typename Iterator>
  bool GatherFrom(const View& view, Iterator next, Iterator end) {
    size_t slice_bytes = 0;
    for (int scanned = 0; next != end; ++next, ++scanned) {
      if (scanned >= kScannedInSlice || slice_bytes >= kBytesInSlice) return false;
      if (Matches(next->second) && !Take(view, next->second, slice_bytes)) return true;
      cursor = next->first;
    }
    return true;
  }

  bool Gather(const View& view) {
    const auto& jobs = view.core.cluster().jobs;
    const uint64_t oldest = jobs.empty() ? view.core.cluster().next_job : jobs.begin()->first;
    if (oldest > 1) reply->set_forgotten_after_ms(view.core.options().keep_ended_ms);
    if (!request->newest_first()) return GatherFrom(view, jobs.upper_bound(cursor), jobs.end());
    return GatherFrom(view, std::make_reverse_iterator(jobs.lower_bound(cursor)), jobs.rend());
  }
};

struct NodeListing {
  const CoordinatorParts parts;
  ListNodesReply* const reply;
  grpc::ServerUnaryReactor* const reactor;
  std::string cursor;

  bool Gather(const View& view) {
    const Cluster& cluster = view.core.cluster();
    int scanned = 0;
    for (auto next = cluster.nodes.upper_bound(cursor); next != cluster.nodes.end(); ++next) {
      if (++scanned > kScannedInSlice / 8) return false;
      NodeUse& use = *reply->add_nodes();
      *use.mutable_node() = next->second;
      HideSecrets(*use.mutable_node());
      use.set_heard_ms(view.core.HeardMs(next->first));
      if (const auto load = cluster.loads.find(next->first); load != cluster.loads.end()) {
        use.mutable_free()->set_gpus(load->second.gpus_free);
        use.mutable_free()->set_cpu_millis(load->second.cpu_millis_free);
        use.mutable_free()->set_memory_bytes(load->second.memory_free);
        for (const uint64_t job : load->second.jobs) use.add_jobs(job);
      }
      cursor = next->first;
    }
    return true;
  }
};

}  // namespace

void AnswerList(const CoordinatorParts& parts, const Caller& caller, const ListJobsRequest* request,
                ListJobsReply* reply, grpc::ServerUnaryReactor* reactor) {
  if (request->limit() < 0 || request->limit() > kMostLimit) {
    reactor->Finish(ToGrpc(absl::InvalidArgumentError(fmt::format(
        "limit: found {}; 1 to {}, or 0 for {}", request->limit(), kMostLimit, kDefaultLimit))));
    return;
  }
  const int limit = request->limit() == 0 ? kDefaultLimit : request->limit();
  const bool from_the_end = request->newest_first() && request->after() == 0;
  const uint64_t cursor = from_the_end ? UINT64_MAX : request->after();
  const std::set<int> states(request->states().begin(), request->states().end());
  NextSlice(std::make_shared<JobListing>(
      JobListing{parts, caller, request, reply, reactor, states, limit, cursor}));
}

void AnswerListNodes(const CoordinatorParts& parts, ListNodesReply* reply,
                     grpc::ServerUnaryReactor* reactor) {
  NextSlice(std::make_shared<NodeListing>(NodeListing{parts, reply, reactor, {}}));
}

}  // namespace tanren::coordinator
