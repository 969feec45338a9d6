#include "coordinator/server/token_check.h"

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/wire/channel.h"
#include "grpc/grpc_security_constants.h"
#include "grpcpp/security/auth_context.h"
#include "runtime/base/log.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

constexpr std::string_view kHealth = "/grpc.health.v1.Health/";
constexpr std::chrono::seconds kTellEvery{10};

std::string_view ValueOf(const grpc::AuthMetadataProcessor::InputMetadata& metadata,
                         const char* name) {
  const auto found = metadata.find(name);
  if (found == metadata.end()) return {};
  return {found->second.data(), found->second.size()};
}

}  // namespace

grpc::Status TokenCheck::Process(const InputMetadata& metadata, grpc::AuthContext* peer,
                                 OutputMetadata* /*consumed*/, OutputMetadata* /*response*/) {
  if (ValueOf(metadata, ":path").starts_with(kHealth)) return grpc::Status::OK;
  const absl::Status known = credentials_.CheckToken(ValueOf(metadata, "authorization"));
  if (!known.ok()) Count(peer);
  return ToGrpc(known);
}

void TokenCheck::Count(const grpc::AuthContext* peer) {
  const auto now = std::chrono::steady_clock::now();
  uint64_t since = 0;
  {
    const std::lock_guard lock(mutex_);
    ++refused_;
    if (now < tell_from_) return;
    tell_from_ = now + kTellEvery;
    since = refused_ - told_;
    told_ = refused_;
  }
  std::string who;
  if (peer != nullptr && peer->IsPeerAuthenticated()) {
    for (const grpc::string_ref& name : peer->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME)) {
      who = fmt::format("; the last showed the certificate of {}",
                        OnOneLine(std::string_view(name.data(), name.size()).substr(0, 64)));
    }
  }
  LogWarning("{} call{} without a valid token {} refused{}", since, since == 1 ? "" : "s",
             since == 1 ? "was" : "were", who);
}

uint64_t TokenCheck::refused() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

}  // namespace tanren::coordinator
