// One node never acts for another, whatever token its agent has.
#include "coordinator/server/agent_identity.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/server/tls.h"
#include "coordinator/wire/certificates.h"
#include "coordinator/wire/channel.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/coordinator/server/coordinator_under_test.h"
#include "tests/coordinator/server/fake_agent.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

const std::string kKey(64, 'a');
const std::string kOtherKey(64, 'b');

bool Renews(const Orders& orders) { return orders.renewed_report() > 0; }

// Whether the agent is taken for its node.
bool IsTaken(FakeAgent& agent) {
  agent.Report({});
  return agent.WaitForOrders(Renews).renewed_report() > 0;
}

void ExpectRefused(FakeAgent& agent, const std::string& why) {
  const grpc::Status status = agent.WaitForEnd();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr(why));
}

TEST(AgentIdentity, TheFirstAgentClaimsTheNameAndAnotherOfTheSameTokenIsRefused) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  FakeAgent first(coordinator.channel(), coordinator.agent_token(), "t1", kKey);
  ASSERT_TRUE(IsTaken(first));
  EXPECT_EQ(coordinator.Audited("node t1: claimed with token").size(), 1u);
  for (const std::string& key : {kOtherKey, std::string()}) {
    FakeAgent impostor(coordinator.channel(), coordinator.agent_token(), "t1", key);
    ExpectRefused(impostor, "remove-node t1");
  }
  EXPECT_EQ(coordinator.Audited("PERMISSION_DENIED").size(), 1u) << "it would try for ever";
  // The node's own stream has noticed nothing.
  EXPECT_TRUE(IsTaken(first));
  FakeAgent elsewhere(coordinator.channel(), coordinator.agent_token(), "t2", kOtherKey);
  EXPECT_TRUE(IsTaken(elsewhere));
}

TEST(AgentIdentity, TheClaimOutlivesARestartAndEndsWithTheNode) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  {
    FakeAgent first(coordinator.channel(), coordinator.agent_token(), "t1", kKey);
    ASSERT_TRUE(IsTaken(first));
  }
  coordinator.Stop();
  coordinator.Start();
  {
    FakeAgent impostor(coordinator.channel(), coordinator.agent_token(), "t1", kOtherKey);
    ExpectRefused(impostor, "t1");
  }
  FakeAgent back(coordinator.channel(), coordinator.agent_token(), "t1", kKey);
  ASSERT_TRUE(IsTaken(back));
  back.End();
  NodeRequest remove;
  remove.set_request_id("remove");
  remove.set_node("t1");
  NodeReply reply;
  grpc::ClientContext context;
  Prepare(context, coordinator.admin_token());
  const grpc::Status removed = coordinator.admin()->RemoveNode(&context, remove, &reply);
  ASSERT_TRUE(removed.ok()) << removed.error_message();
  FakeAgent anew(coordinator.channel(), coordinator.agent_token(), "t1", kOtherKey);
  EXPECT_TRUE(IsTaken(anew));
}

TEST(AgentIdentity, ATokenOfOneNodeIsGoodForItAloneAndThenNoOtherIs) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  const std::string own = coordinator.TokenFor("agent", {"agent"}, "t1");
  {
    FakeAgent elsewhere(coordinator.channel(), own, "t2", kKey);
    ExpectRefused(elsewhere, "is for node t1");
  }
  {
    FakeAgent shared(coordinator.channel(), coordinator.agent_token(), "t1", kKey);
    ExpectRefused(shared, "a token of its own");
  }
  {
    FakeAgent agent(coordinator.channel(), own, "t1", kKey);
    EXPECT_TRUE(IsTaken(agent));
  }
  // Set up anew, the machine has another key: its token is enough.
  FakeAgent again(coordinator.channel(), own, "t1", kOtherKey);
  EXPECT_TRUE(IsTaken(again));
}

TEST(AgentIdentity, NothingOfAnAgentCountsBeforeItHasJoined) {
  CoordinatorUnderTest coordinator;
  coordinator.Start();
  FakeAgent owner(coordinator.channel(), coordinator.agent_token(), "t1", kKey);
  owner.Report({});
  const uint64_t job = coordinator.Submit("job");
  const AttemptToken token =
      owner.WaitForOrders([](const Orders& orders) { return orders.parts_size() > 0; })
          .parts(0)
          .token();
  owner.Report({PartOf(token, PART_RUNNING)});
  coordinator.WaitFor(job, RUNNING);
  FakeAgent impostor(coordinator.channel(), coordinator.agent_token(), "t1", kOtherKey);
  impostor.Report({FinishedPart(token, "t1")});
  ExpectRefused(impostor, "t1");
  EXPECT_EQ(coordinator.Get(job).state(), RUNNING);
}

TEST(AgentIdentity, ACertificateWithNamesIsGoodForTheNodesOfTheseNamesAlone) {
  const TemporaryFolder folder;
  ThrowIfError(InitTls({.folder = folder.path() / "tls"}));
  ThrowIfError(MakeNodeCertificate(folder.path() / "tls", "t1", 30));
  const std::filesystem::path tls = folder.path() / "tls";
  const ListenerSecurity security = ValueOrThrow(MakeServerCredentials(
      {tls / "coordinator.crt", tls / "coordinator.key", tls / "ca.crt"}, "127.0.0.1:0"));
  CoordinatorUnderTest coordinator;
  ServerOptions options;
  options.security = security.credentials;
  coordinator.Start(options);
  ThrowIfError(WriteFileAtomically(folder.path() / "token", coordinator.agent_token(), 0600));
  const auto channel = [&](const std::string& certificate) {
    return ValueOrThrow(Channel::Open({.address = coordinator.address(),
                                       .token_file = folder.path() / "token",
                                       .ca_file = tls / "ca.crt",
                                       .certificate_file = tls / (certificate + ".crt"),
                                       .key_file = tls / (certificate + ".key")}))
        .grpc();
  };
  {
    FakeAgent elsewhere(channel("t1"), coordinator.agent_token(), "t2", kKey);
    ExpectRefused(elsewhere, "certificate is for t1");
  }
  {
    FakeAgent own(channel("t1"), coordinator.agent_token(), "t1", kKey);
    EXPECT_TRUE(IsTaken(own));
  }
  {
    // That of all agents says nothing: the key does.
    FakeAgent shared(channel("agent"), coordinator.agent_token(), "t1", kOtherKey);
    ExpectRefused(shared, "its key");
  }
  FakeAgent another(channel("agent"), coordinator.agent_token(), "t2", kOtherKey);
  EXPECT_TRUE(IsTaken(another));
}

TEST(AgentIdentity, NamesOfACertificateAreComparedWholeOrByTheirFirstPart) {
  const Credentials credentials([] { return 0; });
  const auto code = [&](const std::string& name, const std::string& node) {
    AgentIdentity identity;
    identity.certificate_names = {"other", name};
    return IsVouchedFor(identity, node, credentials).status().code();
  };
  EXPECT_EQ(code("t1", "t1"), absl::StatusCode::kOk);
  EXPECT_EQ(code("t1.example.org", "t1"), absl::StatusCode::kOk);
  EXPECT_EQ(code("T1.Example.org", "t1.example.org"), absl::StatusCode::kOk);
  for (const char* node : {"t", "t11", "example.org", "", "1", "t1.example.com"}) {
    EXPECT_EQ(code("t1.example.org", node), absl::StatusCode::kPermissionDenied) << node;
  }
}

TEST(AgentIdentity, AKeyHasALength) {
  EXPECT_EQ(ValueOrThrow(HashOfNodeKey("")), "");
  EXPECT_EQ(ValueOrThrow(HashOfNodeKey(kKey)).size(), 32u);
  EXPECT_FALSE(HashOfNodeKey("short").ok());
  EXPECT_FALSE(HashOfNodeKey(std::string(257, 'a')).ok());
}

TEST(AgentIdentity, ARefusedAgentIsNotedOnce) {
  RefusedAgents refused;
  EXPECT_TRUE(refused.IsNews("t1"));
  EXPECT_FALSE(refused.IsNews("t1"));
  EXPECT_TRUE(refused.IsNews("t2"));
  for (int i = 0; i < 2000; ++i) refused.IsNews("node-" + std::to_string(i));
  EXPECT_FALSE(refused.IsNews("t3")) << "so many names are an attack, and memory has an end";
}

}  // namespace
}  // namespace tanren::coordinator
