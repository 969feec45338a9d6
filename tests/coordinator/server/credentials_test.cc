#include "coordinator/server/credentials.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>

#include "coordinator/server/first_tokens.h"
#include "coordinator/store/memory_store.h"
#include "coordinator/wire/token_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kNow = 1'795'000'000'000;

class CredentialsTest : public ::testing::Test {
 protected:
  std::string Issue(const std::string& user, std::vector<std::string> roles,
                    int64_t expires_ms = 0) {
    const IssuedToken issued = ValueOrThrow(credentials_.Issue(
        {.user = user, .roles = std::move(roles), .expires_ms = expires_ms, .by = "root"}));
    ThrowIfError(credentials_.Apply(issued.record));
    last_id_ = issued.credential.id();
    return issued.token;
  }
  absl::Status Check(const std::string& header, CallerRole needed = CallerRole::kView) {
    return credentials_.Check(header, needed).status();
  }

  int64_t now_ = kNow;
  Credentials credentials_{[this] { return now_; }};
  std::string last_id_;
};

TEST_F(CredentialsTest, ATokenStandsForItsUserAndRoles) {
  const std::string token = Issue("alice", {"view", "submit"});
  const Caller caller = ValueOrThrow(credentials_.Check("Bearer " + token, CallerRole::kSubmit));
  EXPECT_EQ(caller.user, "alice");
  EXPECT_THAT(caller.roles, ElementsAre("submit", "view"));
  EXPECT_TRUE(Check("bearer " + token).ok());
}

TEST_F(CredentialsTest, WhatIsNotExactlyAKnownTokenIsUnauthenticatedAndLearnsNothing) {
  const std::string token = Issue("alice", {"view"});
  std::string other_secret = token;
  other_secret.back() = other_secret.back() == '0' ? '1' : '0';
  const std::string id = last_id_;
  const std::string wrong[] = {"",
                               "Bearer",
                               "Bearer ",
                               token,
                               "Basic " + token,
                               "Bearer " + token + "0",
                               "Bearer " + token + " ",
                               "Bearer " + token.substr(0, token.size() - 1),
                               "Bearer " + other_secret,
                               "Bearer tnr_" + id + "_",
                               "Bearer tnr_" + id,
                               "Bearer tnr__",
                               "Bearer tnr_000000000000_" + std::string(64, '0'),
                               "Bearer " + std::string(100'000, 'x')};
  std::set<std::string> texts;
  for (const std::string& header : wrong) {
    const absl::Status status = Check(header);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << header.substr(0, 100);
    texts.insert(status.ToString());
  }
  EXPECT_EQ(texts.size(), 1);
  EXPECT_THAT(*texts.begin(), AllOf(Not(HasSubstr("alice")), Not(HasSubstr(id))));
}

TEST_F(CredentialsTest, WithoutTheRoleItIsDenied) {
  const std::string viewer = "Bearer " + Issue("bob", {"view"});
  const std::string agent = "Bearer " + Issue("agent", {"agent"});
  EXPECT_TRUE(Check(viewer, CallerRole::kView).ok());
  for (const CallerRole role : {CallerRole::kSubmit, CallerRole::kAdmin, CallerRole::kAgent}) {
    EXPECT_EQ(Check(viewer, role).code(), absl::StatusCode::kPermissionDenied);
  }
  EXPECT_EQ(Check(agent, CallerRole::kView).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(credentials_.Check(viewer, {CallerRole::kAdmin, CallerRole::kView}).ok());
  // What nobody is allowed, nobody may.
  EXPECT_EQ(credentials_.Check(viewer, std::span<const CallerRole>()).status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(CredentialsTest, ATokenEndsWhenItExpires) {
  const std::string token = "Bearer " + Issue("alice", {"view"}, kNow + 1000);
  now_ = kNow + 999;
  EXPECT_TRUE(Check(token).ok());
  now_ = kNow + 1000;
  EXPECT_EQ(Check(token).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_FALSE(credentials_.HasValid(CallerRole::kView));
  EXPECT_EQ(
      credentials_.Issue({.user = "a", .roles = {"view"}, .expires_ms = kNow}).status().code(),
      absl::StatusCode::kInvalidArgument);
}

TEST_F(CredentialsTest, ARevokedTokenIsRefusedFromThenOnAndStaysListed) {
  const std::string token = "Bearer " + Issue("alice", {"view"});
  const Record record = ValueOrThrow(credentials_.Revoke(last_id_, "root"));
  EXPECT_TRUE(Check(token).ok()) << "not durable yet";
  ThrowIfError(credentials_.Apply(record));
  EXPECT_EQ(Check(token).code(), absl::StatusCode::kUnauthenticated);
  ASSERT_EQ(credentials_.List().size(), 1);
  EXPECT_EQ(credentials_.List()[0].revoked_by(), "root");
  EXPECT_EQ(credentials_.List()[0].revoked_ms(), kNow);
  now_ += 5;
  EXPECT_EQ(ValueOrThrow(credentials_.Revoke(last_id_, "other")).value, record.value);
  EXPECT_EQ(credentials_.Revoke("none", "root").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CredentialsTest, NothingThatIsKeptHoldsTheSecret) {
  const IssuedToken issued =
      ValueOrThrow(credentials_.Issue({.user = "alice", .roles = {"view"}, .by = "root"}));
  const std::string secret = issued.token.substr(issued.token.rfind('_') + 1);
  EXPECT_EQ(secret.size(), 64);
  EXPECT_THAT(issued.record.value, Not(HasSubstr(secret)));
  EXPECT_EQ(issued.credential.secret_sha256().size(), 32);
  ThrowIfError(credentials_.Apply(issued.record));
  EXPECT_EQ(credentials_.List()[0].secret_sha256(), "");
}

TEST_F(CredentialsTest, SecretsAndIdsDoNotRepeat) {
  std::set<std::string> tokens, ids;
  for (int i = 0; i < 200; ++i) {
    tokens.insert(Issue("alice", {"view"}));
    ids.insert(last_id_);
  }
  EXPECT_EQ(tokens.size(), 200);
  EXPECT_EQ(ids.size(), 200);
}

TEST_F(CredentialsTest, TheSameRequestMakesNoSecondToken) {
  const Credentials::Wanted wanted{
      .user = "alice", .roles = {"view"}, .by = "root", .request_id = "r1"};
  ThrowIfError(credentials_.Apply(ValueOrThrow(credentials_.Issue(wanted)).record));
  EXPECT_EQ(credentials_.Issue(wanted).status().code(), absl::StatusCode::kAlreadyExists);
  Credentials::Wanted others = wanted;
  others.by = "carol";
  EXPECT_TRUE(credentials_.Issue(others).ok());
}

TEST_F(CredentialsTest, NamesAndRolesAreChecked) {
  const auto code = [&](const std::string& user, std::vector<std::string> roles) {
    return credentials_.Issue({.user = user, .roles = std::move(roles)}).status().code();
  };
  for (const char* user : {"", "a b", "a/b", "-a", "..", "a\n", "ä"}) {
    EXPECT_EQ(code(user, {"view"}), absl::StatusCode::kInvalidArgument) << user;
  }
  EXPECT_EQ(code(std::string(65, 'a'), {"view"}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("a", {}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("a", {"root"}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("a", {"agent", "admin"}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("a.b-c_1", {"view", "view"}), absl::StatusCode::kOk);
}

TEST_F(CredentialsTest, TheyAreThereAgainFromTheStoresRecords) {
  const std::string token = "Bearer " + Issue("alice", {"view"});
  MemoryStore store;
  const IssuedToken issued = ValueOrThrow(credentials_.Issue({.user = "bob", .roles = {"admin"}}));
  ThrowIfError(store.Write({{}, {issued.record, {RecordKind::kQuota, "user/x", "no credential"}}}));
  Credentials restored([] { return kNow; });
  ThrowIfError(restored.Load(ValueOrThrow(store.Records())));
  EXPECT_TRUE(restored.Check("Bearer " + issued.token, CallerRole::kAdmin).ok());
  EXPECT_FALSE(restored.Check(token, CallerRole::kView).ok());
  EXPECT_EQ(restored.Load({{RecordKind::kCredential, "x", "\xFF"}}).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(restored.Load({{RecordKind::kCredential, "x", issued.record.value}}).code(),
            absl::StatusCode::kDataLoss);
}

std::string OwnName() {
  const passwd* entry = getpwuid(geteuid());
  return entry == nullptr ? fmt::format("uid-{}", geteuid()) : entry->pw_name;
}

class FirstTokens : public CredentialsTest {
 protected:
  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  MemoryStore store_;
};

TEST_F(FirstTokens, AreMadeOnceForOwnerAndAgentsAndOnlyTheOwnerReadsThem) {
  ThrowIfError(MakeFirstTokens(credentials_, store_, folder_));
  for (const auto& [name, user, role] :
       {std::tuple{"admin.token", OwnName(), CallerRole::kAdmin},
        std::tuple{"agent.token", std::string("agent"), CallerRole::kAgent}}) {
    const fs::path file = folder_ / name;
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    const std::string token = ValueOrThrow(ReadToken(file));
    EXPECT_EQ(ValueOrThrow(credentials_.Check("Bearer " + token, role)).user, user);
  }
  EXPECT_EQ(ValueOrThrow(store_.Records()).size(), 2);
  const std::string before = ValueOrThrow(ReadFile(folder_ / "admin.token"));
  ThrowIfError(MakeFirstTokens(credentials_, store_, folder_));
  EXPECT_EQ(ValueOrThrow(ReadFile(folder_ / "admin.token")), before);
}

TEST_F(FirstTokens, AFileWithoutADurableTokenIsReplacedAtTheNextStart) {
  store_.InjectFault(StoreFault::kNothingWritten);
  EXPECT_FALSE(MakeFirstTokens(credentials_, store_, folder_).ok());
  const std::string useless = ValueOrThrow(ReadToken(folder_ / "agent.token"));
  EXPECT_FALSE(Check("Bearer " + useless, CallerRole::kAgent).ok());
  store_.Crash();
  ThrowIfError(MakeFirstTokens(credentials_, store_, folder_));
  EXPECT_TRUE(Check("Bearer " + ValueOrThrow(ReadToken(folder_ / "admin.token"))).ok());
  EXPECT_TRUE(
      Check("Bearer " + ValueOrThrow(ReadToken(folder_ / "agent.token")), CallerRole::kAgent).ok());
}

TEST_F(FirstTokens, ATokenFileThatOthersMayReadIsRefusedAndSaysHowToMend) {
  ThrowIfError(MakeFirstTokens(credentials_, store_, folder_));
  chmod((folder_ / "admin.token").c_str(), 0640);
  const absl::Status status = ReadToken(folder_ / "admin.token").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(status.ToString(), AllOf(HasSubstr("admin.token"), HasSubstr("chmod 600")));
}

}  // namespace
}  // namespace tanren::coordinator
