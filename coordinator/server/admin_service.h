// The service that administrators call.
#ifndef TANREN_COORDINATOR_SERVER_ADMIN_SERVICE_H_
#define TANREN_COORDINATOR_SERVER_ADMIN_SERVICE_H_

#include <string_view>

#include "coordinator/server/coordinator_parts.h"
#include "coordinator/server/token_changes.h"
#include "proto/coordinator.grpc.pb.h"

namespace tanren::coordinator {

class AdminService final : public Admin::CallbackService {
 public:
  AdminService(const CoordinatorParts& parts, Credentials& credentials)
      : parts_(parts), tokens_(parts.loop, credentials) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;

  Unary* Drain(Context* context, const NodeRequest* request, NodeReply* reply) override;
  Unary* Resume(Context* context, const NodeRequest* request, NodeReply* reply) override;
  Unary* RemoveNode(Context* context, const NodeRequest* request, NodeReply* reply) override;
  Unary* SetQuota(Context* context, const QuotaRequest* request, QuotaReply* reply) override;
  Unary* Backup(Context* context, const BackupRequest* request, BackupReply* reply) override;
  Unary* IssueToken(Context* context, const IssueTokenRequest* request,
                    IssueTokenReply* reply) override;
  Unary* RevokeToken(Context* context, const RevokeTokenRequest* request,
                     RevokeTokenReply* reply) override;
  Unary* ListTokens(Context* context, const ListTokensRequest* request,
                    ListTokensReply* reply) override;

 private:
  Unary* Change(Context* context, std::string_view method, ChangeNodeInput::Kind kind,
                const NodeRequest* request, NodeReply* reply);

  const CoordinatorParts parts_;
  TokenChanges tokens_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_ADMIN_SERVICE_H_
