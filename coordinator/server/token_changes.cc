#include "coordinator/server/token_changes.h"

#include <utility>
#include <vector>

#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

// Answers kept; an administrator doesn't issue more between two starts.
constexpr size_t kMostIssued = 10'000;

}  // namespace

TokenInfo ShownToken(const Credential& credential) {
  TokenInfo info;
  info.set_id(credential.id());
  info.set_user(credential.user());
  for (const std::string& role : credential.roles()) info.add_roles(role);
  info.set_created_ms(credential.created_ms());
  info.set_expires_ms(credential.expires_ms());
  info.set_revoked_ms(credential.revoked_ms());
  info.set_created_by(credential.created_by());
  info.set_node(credential.node());
  return info;
}

std::optional<absl::StatusOr<IssueTokenReply>> TokenChanges::Before(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = issued_.find(key);
  if (found != issued_.end()) {
    if (found->second.has_value()) return *found->second;
    return absl::UnavailableError("this token is being made: ask again");
  }
  if (issued_.size() >= kMostIssued) issued_.clear();
  issued_.emplace(key, std::nullopt);
  return std::nullopt;
}

void TokenChanges::Conclude(const std::string& key, const IssueTokenReply* reply) {
  const std::lock_guard lock(mutex_);
  if (reply == nullptr) {
    issued_.erase(key);
  } else {
    issued_[key] = *reply;
  }
}

void TokenChanges::Issue(const Caller& caller, const IssueTokenRequest& request,
                         IssueTokenReply* reply, ChangeCall call) {
  const std::string key = caller.user + "/" + request.request_id();
  if (auto before = Before(key); before.has_value()) {
    if (before->ok()) *reply = **before;
    call.Finish(before->status());
    return;
  }
  Credentials::Wanted wanted;
  wanted.user = request.user();
  wanted.roles.assign(request.roles().begin(), request.roles().end());
  if (request.valid_ms() != 0) wanted.expires_ms = SystemNow().wall_ms + request.valid_ms();
  wanted.node = request.node();
  wanted.by = caller.user;
  wanted.request_id = request.request_id();
  absl::StatusOr<IssuedToken> issued = credentials_.Issue(wanted);
  absl::Status status = issued.status();
  if (status.ok()) {
    reply->set_token(issued->token);
    *reply->mutable_info() = ShownToken(issued->credential);
    status = loop_.PostRecords({issued->record}, [this, key, reply, call, record = issued->record](
                                                     const Answer& answer) mutable {
      absl::Status done = answer.status;
      if (done.ok()) done = credentials_.Apply(record);
      Conclude(key, done.ok() ? reply : nullptr);
      if (done.ok()) {
        LogInfo("token {}: issued for {} by {}", reply->info().id(), reply->info().user(),
                reply->info().created_by());
      } else {
        reply->Clear();
      }
      call.Finish(done);
    });
  }
  if (status.ok()) return;
  Conclude(key, nullptr);
  reply->Clear();
  call.Finish(status);
}

void TokenChanges::Revoke(const Caller& caller, const RevokeTokenRequest& request,
                          RevokeTokenReply* reply, ChangeCall call) {
  const absl::StatusOr<Record> revoked = credentials_.Revoke(request.id(), caller.user);
  absl::Status status = revoked.status();
  if (status.ok()) {
    status = loop_.PostRecords({*revoked}, [this, reply, call, record = *revoked,
                                            by = caller.user](const Answer& answer) mutable {
      absl::Status done = answer.status;
      if (done.ok()) done = credentials_.Apply(record);
      Credential credential;
      if (done.ok() && credential.ParseFromString(record.value)) {
        *reply->mutable_info() = ShownToken(credential);
        LogInfo("token {}: revoked by {}", credential.id(), by);
      }
      call.Finish(done);
    });
  }
  if (!status.ok()) call.Finish(status);
}

void TokenChanges::List(ListTokensReply& reply) const {
  for (const Credential& credential : credentials_.List()) {
    *reply.add_tokens() = ShownToken(credential);
  }
}

}  // namespace tanren::coordinator
