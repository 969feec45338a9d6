#include "coordinator/server/jobs_service.h"

#include <memory>
#include <string>
#include <utility>

#include "coordinator/server/change_call.h"
#include "coordinator/server/hello.h"
#include "coordinator/server/job_pages.h"
#include "coordinator/server/log_stream.h"
#include "coordinator/server/refused_stream.h"
#include "coordinator/server/shown_job.h"
#include "coordinator/server/submission.h"
#include "coordinator/server/unary_call.h"
#include "coordinator/server/watch_stream.h"
#include "fmt/format.h"
#include "runtime/base/build.h"

namespace tanren::coordinator {
namespace {

using Unary = grpc::ServerUnaryReactor;

// The same as AnswerFromView, on the explainer's thread.
template <typename Fill>
Unary* AnswerBesideLoop(Explainer& explainer, grpc::CallbackServerContext* context, Unary* reactor,
                        Fill fill) {
  const absl::Status asked = explainer.Ask(
      [=, fill = std::move(fill)](const absl::Status& status, const Cluster* cluster) {
        if (!status.ok()) {
          reactor->Finish(ToGrpc(status));
        } else if (context->IsCancelled()) {
          reactor->Finish({grpc::StatusCode::CANCELLED, "nobody waits for the answer any more"});
        } else {
          reactor->Finish(ToGrpc(fill(*cluster)));
        }
      });
  if (!asked.ok()) reactor->Finish(ToGrpc(asked));
  return reactor;
}

// Begins a stream that was let in.
template <typename Reactor, typename TheStream>
Reactor* Open(OpenStreams& streams, const Caller& caller, std::shared_ptr<TheStream> stream) {
  if (const absl::Status added = streams.Add(stream, caller); !added.ok()) {
    return new RefusedStream<Reactor>(ToGrpc(added));
  }
  stream->Begin();
  return stream.get();
}

}  // namespace

Unary* JobsService::Hello(Context* context, const HelloRequest* request, HelloReply* reply) {
  return AnswerHello(parts_, "Jobs.Hello", context, request, reply);
}

Unary* JobsService::Submit(Context* context, const SubmitRequest* request, SubmitReply* reply) {
  if (request->dry_run()) return DryRun(context, request, reply);
  ChangeCall call(parts_, context, "Jobs.Submit", "job " + request->spec().name(),
                  request->request_id());
  const absl::StatusOr<Caller> caller = call.Admit();
  if (!caller.ok()) return call.Finish(caller.status());
  const absl::Status checked = CheckSubmission(request->spec(), parts_.core_options);
  if (!checked.ok()) return call.Finish(checked);
  return AnswerChange(parts_.loop, call,
                      SubmitInput{caller->user, request->request_id(), request->spec()},
                      [reply](const Answer& answer, ChangeCall& answered) {
                        for (const uint64_t job : answer.jobs) reply->add_jobs(job);
                        if (!answer.jobs.empty()) {
                          answered.SetTarget(fmt::format("job {}", answer.jobs[0]));
                        }
                      });
}

Unary* JobsService::DryRun(Context* context, const SubmitRequest* request, SubmitReply* reply) {
  Unary* const reactor = context->DefaultReactor();
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Jobs.Submit");
  if (!caller.ok()) return Refuse(reactor, caller.status());
  const absl::Status checked = CheckSubmission(request->spec(), parts_.core_options);
  if (!checked.ok()) return Refuse(reactor, checked);
  const auto explain = [=, &options = parts_.core_options,
                        user = caller->user](const Cluster& cluster) {
    const Now now = SystemNow();
    Job job;
    job.set_user(user);
    *job.mutable_spec() = Completed(request->spec(), options);
    job.set_state(PENDING);
    job.set_submitted_ms(now.wall_ms);
    job.set_held(request->spec().held());
    *reply->mutable_explanation() = ExplainDryRun(cluster, options.schedule, job, now);
    return absl::OkStatus();
  };
  return AnswerBesideLoop(parts_.explainer, context, reactor, explain);
}

Unary* JobsService::Change(Context* context, std::string_view method, ChangeJobInput::Kind kind,
                           const JobRequest* request, JobReply* reply) {
  ChangeCall call(parts_, context, method, fmt::format("job {}", request->job()),
                  request->request_id());
  const absl::StatusOr<Caller> caller = call.Admit();
  if (!caller.ok()) return call.Finish(caller.status());
  const absl::Status checked = CheckReason(request->reason());
  if (!checked.ok()) return call.Finish(checked);
  ChangeJobInput input{kind,           caller->user,     IsAdmin(*caller), request->request_id(),
                       request->job(), request->reason()};
  return AnswerChange(parts_.loop, call, std::move(input),
                      [=, caller = *caller](const Answer& answer, ChangeCall&) {
                        const Job* const job = answer.core->cluster().FindJob(request->job());
                        if (job == nullptr) return;
                        *reply->mutable_job() = *job;
                        HideSecrets(caller, *reply->mutable_job());
                      });
}

Unary* JobsService::Cancel(Context* context, const JobRequest* request, JobReply* reply) {
  return Change(context, "Jobs.Cancel", ChangeJobInput::Kind::kCancel, request, reply);
}

Unary* JobsService::Hold(Context* context, const JobRequest* request, JobReply* reply) {
  return Change(context, "Jobs.Hold", ChangeJobInput::Kind::kHold, request, reply);
}

Unary* JobsService::Release(Context* context, const JobRequest* request, JobReply* reply) {
  return Change(context, "Jobs.Release", ChangeJobInput::Kind::kRelease, request, reply);
}

Unary* JobsService::Requeue(Context* context, const JobRequest* request, JobReply* reply) {
  return Change(context, "Jobs.Requeue", ChangeJobInput::Kind::kRequeue, request, reply);
}

Unary* JobsService::Get(Context* context, const JobRequest* request, JobReply* reply) {
  Unary* const reactor = context->DefaultReactor();
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Jobs.Get");
  if (!caller.ok()) return Refuse(reactor, caller.status());
  return AnswerFromView(parts_.loop, reactor, [=, caller = *caller](const View& view) {
    const Job* const job = view.core.cluster().FindJob(request->job());
    if (job == nullptr) return view.core.cluster().NoJob(request->job());
    *reply->mutable_job() = *job;
    HideSecrets(caller, *reply->mutable_job());
    return absl::OkStatus();
  });
}

Unary* JobsService::List(Context* context, const ListJobsRequest* request, ListJobsReply* reply) {
  Unary* const reactor = context->DefaultReactor();
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Jobs.List");
  if (!caller.ok()) return Refuse(reactor, caller.status());
  AnswerList(parts_, *caller, request, reply, reactor);
  return reactor;
}

Unary* JobsService::Explain(Context* context, const JobRequest* request, Explanation* reply) {
  Unary* const reactor = context->DefaultReactor();
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Jobs.Explain");
  if (!caller.ok()) return Refuse(reactor, caller.status());
  const auto explain = [=, &options = parts_.core_options.schedule](const Cluster& cluster) {
    if (cluster.FindJob(request->job()) == nullptr) return cluster.NoJob(request->job());
    *reply = coordinator::Explain(cluster, options, request->job(), SystemNow());
    return absl::OkStatus();
  };
  return AnswerBesideLoop(parts_.explainer, context, reactor, explain);
}

grpc::ServerWriteReactor<HistoryEvent>* JobsService::Watch(Context* context,
                                                           const WatchRequest* request) {
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Jobs.Watch");
  if (!caller.ok()) return new RefusedStream<WatchReactor>(ToGrpc(caller.status()));
  return Open<WatchReactor>(parts_.streams, *caller,
                            std::make_shared<WatchStream>(context, parts_, *caller, *request));
}

grpc::ServerWriteReactor<LogReply>* JobsService::ReadLog(Context* context,
                                                         const LogRequest* request) {
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Jobs.ReadLog");
  if (!caller.ok()) return new RefusedStream<LogReactor>(ToGrpc(caller.status()));
  return Open<LogReactor>(parts_.streams, *caller,
                          std::make_shared<LogStream>(context, parts_, *request));
}

Unary* JobsService::ListNodes(Context* context, const ListNodesRequest* request,
                              ListNodesReply* reply) {
  Unary* const reactor = context->DefaultReactor();
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Jobs.ListNodes");
  if (!caller.ok()) return Refuse(reactor, caller.status());
  AnswerListNodes(parts_, reply, reactor);
  return reactor;
}

Unary* JobsService::Status(Context* context, const StatusRequest* request, StatusReply* reply) {
  Unary* const reactor = context->DefaultReactor();
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Jobs.Status");
  if (!caller.ok()) return Refuse(reactor, caller.status());
  return AnswerFromView(parts_.loop, reactor, [this, reply](const View& view) {
    const Cluster& cluster = view.core.cluster();
    counts_.Fill(cluster, SystemNow(), *reply);
    reply->set_epoch(cluster.epoch);
    reply->set_version(kVersion);
    reply->set_started_ms(parts_.loop.started_ms());
    reply->set_last_sequence(cluster.last_sequence);
    const absl::Status accepting = parts_.loop.accepting();
    reply->set_accepting(accepting.ok());
    reply->set_problem(std::string(accepting.message()));
    reply->set_keep_ended_ms(view.core.options().keep_ended_ms);
    reply->set_keep_ended_jobs(view.core.options().keep_ended_jobs);
    if (parts_.certificate_expires_ms) {
      reply->set_certificate_expires_ms(parts_.certificate_expires_ms());
    }
    return absl::OkStatus();
  });
}

Unary* JobsService::ListQuotas(Context* context, const ListQuotasRequest* request,
                               QuotaReply* reply) {
  Unary* const reactor = context->DefaultReactor();
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Jobs.ListQuotas");
  if (!caller.ok()) return Refuse(reactor, caller.status());
  return AnswerFromView(parts_.loop, reactor, [reply](const View& view) {
    for (const auto& [subject, quota] : view.core.cluster().quotas) *reply->add_quotas() = quota;
    return absl::OkStatus();
  });
}

}  // namespace tanren::coordinator
