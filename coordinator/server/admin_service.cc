#include "coordinator/server/admin_service.h"

#include <filesystem>
#include <string>
#include <utility>

#include "coordinator/server/backup_call.h"
#include "coordinator/server/change_call.h"
#include "coordinator/server/shown_job.h"
#include "coordinator/server/unary_call.h"
#include "coordinator/state/spec_check.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

using Unary = grpc::ServerUnaryReactor;

}  // namespace

Unary* AdminService::Change(Context* context, std::string_view method, ChangeNodeInput::Kind kind,
                            const NodeRequest* request, NodeReply* reply) {
  ChangeCall call(parts_, context, method, "node " + request->node(), request->request_id());
  const absl::StatusOr<Caller> caller = call.Admit();
  if (!caller.ok()) return call.Finish(caller.status());
  const absl::Status checked = CheckReason(request->reason());
  if (!checked.ok()) return call.Finish(checked);
  ChangeNodeInput input{kind,
                        caller->user,
                        request->node(),
                        request->reason(),
                        request->request_id(),
                        request->evict()};
  return AnswerChange(parts_.loop, call, std::move(input), [=](const Answer& answer, ChangeCall&) {
    const Node* const node = answer.core->cluster().FindNode(request->node());
    if (node == nullptr) return;
    *reply->mutable_node() = *node;
    HideSecrets(*reply->mutable_node());
  });
}

Unary* AdminService::Drain(Context* context, const NodeRequest* request, NodeReply* reply) {
  return Change(context, "Admin.Drain", ChangeNodeInput::Kind::kDrain, request, reply);
}

Unary* AdminService::Resume(Context* context, const NodeRequest* request, NodeReply* reply) {
  return Change(context, "Admin.Resume", ChangeNodeInput::Kind::kResume, request, reply);
}

Unary* AdminService::RemoveNode(Context* context, const NodeRequest* request, NodeReply* reply) {
  return Change(context, "Admin.RemoveNode", ChangeNodeInput::Kind::kRemove, request, reply);
}

Unary* AdminService::SetQuota(Context* context, const QuotaRequest* request, QuotaReply* reply) {
  ChangeCall call(parts_, context, "Admin.SetQuota", "quota " + request->quota().subject(),
                  request->request_id());
  const absl::StatusOr<Caller> caller = call.Admit();
  if (!caller.ok()) return call.Finish(caller.status());
  const absl::Status checked = CheckQuota(request->quota());
  if (!checked.ok()) return call.Finish(checked);
  return AnswerChange(parts_.loop, call,
                      SetQuotaInput{request->quota(), caller->user, request->request_id()},
                      [reply](const Answer& answer, ChangeCall&) {
                        for (const auto& [subject, quota] : answer.core->cluster().quotas) {
                          *reply->add_quotas() = quota;
                        }
                      });
}

Unary* AdminService::Backup(Context* context, const BackupRequest* request, BackupReply* reply) {
  ChangeCall call(parts_, context, "Admin.Backup", "file " + request->path(), "");
  const absl::StatusOr<Caller> caller = call.AdmitWithoutRequestId();
  if (!caller.ok()) return call.Finish(caller.status());
  if (!std::filesystem::path(request->path()).is_absolute() || request->path().size() > 4096 ||
      request->path().find('\0') != std::string::npos) {
    return call.Finish(absl::InvalidArgumentError(
        "path: an absolute one on the coordinator's machine is expected"));
  }
  MakeBackup(parts_, request->path(), reply, call);
  return call.reactor();
}

Unary* AdminService::IssueToken(Context* context, const IssueTokenRequest* request,
                                IssueTokenReply* reply) {
  ChangeCall call(parts_, context, "Admin.IssueToken", "token of " + request->user(),
                  request->request_id());
  const absl::StatusOr<Caller> caller = call.Admit();
  if (!caller.ok()) return call.Finish(caller.status());
  tokens_.Issue(*caller, *request, reply, call);
  return call.reactor();
}

Unary* AdminService::RevokeToken(Context* context, const RevokeTokenRequest* request,
                                 RevokeTokenReply* reply) {
  ChangeCall call(parts_, context, "Admin.RevokeToken", "token " + request->id(),
                  request->request_id());
  const absl::StatusOr<Caller> caller = call.Admit();
  if (!caller.ok()) return call.Finish(caller.status());
  tokens_.Revoke(*caller, *request, reply, call);
  return call.reactor();
}

Unary* AdminService::ListTokens(Context* context, const ListTokensRequest* request,
                                ListTokensReply* reply) {
  Unary* const reactor = context->DefaultReactor();
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Admin.ListTokens");
  if (!caller.ok()) return Refuse(reactor, caller.status());
  tokens_.List(*reply);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace tanren::coordinator
