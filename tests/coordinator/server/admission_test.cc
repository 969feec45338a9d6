#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "proto/coordinator.pb.h"
#include "tests/coordinator/server/coordinator_under_test.h"
#include "tests/patience.h"

namespace tanren::coordinator {
namespace {

struct Method {
  std::string service;
  std::string name;
  bool stream = false;
};

// Every method that the schema has: a new one can't be forgotten here.
std::vector<Method> AllMethods() {
  std::vector<Method> methods;
  const google::protobuf::FileDescriptor* file = SubmitRequest::descriptor()->file();
  for (int i = 0; i < file->service_count(); ++i) {
    const google::protobuf::ServiceDescriptor* service = file->service(i);
    for (int j = 0; j < service->method_count(); ++j) {
      const auto* method = service->method(j);
      methods.push_back({service->full_name(), method->name(),
                         method->server_streaming() || method->client_streaming()});
    }
  }
  return methods;
}

// How a call with an empty message ends. Without a token if it is "".
grpc::StatusCode Call(const CoordinatorUnderTest& coordinator, const Method& method,
                      const std::string& authorization, bool deadline = true,
                      double seconds = kPatience.count()) {
  grpc::GenericStub stub(coordinator.channel());
  grpc::ClientContext context;
  if (!authorization.empty()) context.AddMetadata("authorization", authorization);
  if (deadline) {
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
  }
  grpc::ByteBuffer request;
  grpc::Slice nothing("");
  request = grpc::ByteBuffer(&nothing, 1);
  grpc::ByteBuffer reply;
  std::promise<grpc::StatusCode> ended;
  stub.UnaryCall(&context, "/" + method.service + "/" + method.name, grpc::StubOptions(), &request,
                 &reply, [&](grpc::Status status) { ended.set_value(status.error_code()); });
  return ended.get_future().get();
}

TEST(Admission, EveryMethodRefusesCallsWithoutAValidToken) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const std::vector<Method> methods = AllMethods();
  ASSERT_GE(methods.size(), 24u);
  const std::string wrong = coordinator.admin_token().substr(0, 40) + std::string(40, 'x');
  for (const Method& method : methods) {
    for (const std::string& authorization :
         {std::string(), "Bearer " + wrong, coordinator.admin_token()}) {
      EXPECT_EQ(Call(coordinator, method, authorization), grpc::StatusCode::UNAUTHENTICATED)
          << method.service << "." << method.name << " with '" << authorization << "'";
    }
  }
}

TEST(Admission, EachMethodIsOpenToTheRolesThatItIsForAndToNoOther) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  // Of each role alone.
  const std::map<std::string, std::string> tokens = {
      {"view", coordinator.TokenFor("viewer", {"view"})},
      {"submit", coordinator.TokenFor("submitter", {"submit"})},
      {"admin", coordinator.TokenFor("administrator", {"admin"})},
      {"agent", coordinator.agent_token()}};
  for (const Method& method : AllMethods()) {
    std::set<std::string> allowed = {"view", "submit", "admin"};
    if (method.service == "tanren.coordinator.Agents") {
      allowed = {"agent"};
    } else if (method.service == "tanren.coordinator.Admin") {
      allowed = {"admin"};
    } else if (method.name == "Submit" || method.name == "Cancel" || method.name == "Hold" ||
               method.name == "Release" || method.name == "Requeue") {
      allowed = {"submit", "admin"};
    }
    for (const auto& [role, token] : tokens) {
      // A stream that is let in stays open: it is left after a moment.
      const grpc::StatusCode code = Call(coordinator, method, "Bearer " + token, true,
                                         method.stream && allowed.contains(role) ? 0.3 : 10);
      EXPECT_EQ(code == grpc::StatusCode::PERMISSION_DENIED, !allowed.contains(role))
          << method.service << "." << method.name << " by " << role << ": " << code;
      EXPECT_NE(code, grpc::StatusCode::UNAUTHENTICATED);
      EXPECT_NE(code, grpc::StatusCode::UNIMPLEMENTED);
    }
  }
}

TEST(Admission, CallsThatAreNoStreamsNeedADeadline) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  for (const Method& method : AllMethods()) {
    if (method.stream) continue;
    const std::string token = method.service == "tanren.coordinator.Agents"
                                  ? coordinator.agent_token()
                                  : coordinator.admin_token();
    EXPECT_EQ(Call(coordinator, method, "Bearer " + token, false),
              grpc::StatusCode::INVALID_ARGUMENT)
        << method.service << "." << method.name;
  }
}

TEST(Admission, ARevokedTokenIsRefusedAtOnceAndAfterARestart) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const std::string viewer = coordinator.TokenFor("viewer", {"view"});
  const Method status{"tanren.coordinator.Jobs", "Status"};
  EXPECT_EQ(Call(coordinator, status, "Bearer " + viewer), grpc::StatusCode::OK);
  RevokeTokenRequest request;
  request.set_request_id("revoke");
  request.set_id(viewer.substr(4, viewer.find('_', 4) - 4));
  RevokeTokenReply reply;
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  const grpc::Status revoked = coordinator.admin()->RevokeToken(&context, request, &reply);
  ASSERT_TRUE(revoked.ok()) << revoked.error_message();
  EXPECT_EQ(Call(coordinator, status, "Bearer " + viewer), grpc::StatusCode::UNAUTHENTICATED);
  coordinator.Stop();
  coordinator.Start();
  EXPECT_EQ(Call(coordinator, status, "Bearer " + viewer), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Call(coordinator, status, "Bearer " + coordinator.admin_token()), grpc::StatusCode::OK);
}

}  // namespace
}  // namespace tanren::coordinator
