// Certificates, and real handshakes with them on loopback.
#include "coordinator/server/tls.h"

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "coordinator/wire/certificates.h"
#include "coordinator/wire/channel.h"
#include "coordinator/wire/identity.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "proto/coordinator.grpc.pb.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "tests/patience.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Answers whoever got through.
class OpenJobs final : public Jobs::Service {
  grpc::Status Hello(grpc::ServerContext* context, const HelloRequest*,
                     HelloReply* reply) override {
    const auto header = context->client_metadata().find("authorization");
    if (header != context->client_metadata().end()) {
      reply->set_user(std::string(header->second.begin(), header->second.end()));
    }
    return grpc::Status::OK;
  }
};

class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    fs::remove_all(folder_);
    ThrowIfError(InitTls({.folder = folder_, .coordinator_names = {"head.example", "10.1.2.3"}}));
    ThrowIfError(InitTls({.folder = other_}));
    ThrowIfError(WriteFileAtomically(token_, "tnr_a_b\n", 0600));
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  void Serve(const TlsOptions& options) {
    grpc::ServerBuilder builder;
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    security_ = ValueOrThrow(MakeServerCredentials(options, "127.0.0.1:0"));
    builder.AddListeningPort("127.0.0.1:0", security_.credentials, &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  // What a client with these files is answered.
  absl::Status Call(const fs::path& ca, const fs::path& identity = {}) {
    Endpoint endpoint{
        .address = fmt::format("127.0.0.1:{}", port_), .token_file = token_, .ca_file = ca};
    if (!identity.empty()) {
      endpoint.certificate_file = identity.string() + ".crt";
      endpoint.key_file = identity.string() + ".key";
    }
    const Channel channel = ValueOrThrow(Channel::Open(endpoint));
    grpc::ClientContext context;
    channel.Prepare(context, kPatience.count());
    HelloReply reply;
    const grpc::Status status =
        Jobs::NewStub(channel.grpc())->Hello(&context, HelloRequest(), &reply);
    if (status.ok()) {
      EXPECT_EQ(reply.user(), "Bearer tnr_a_b");
    }
    return FromGrpc(status);
  }
  static TlsOptions Server(bool mutual) {
    TlsOptions options{folder_ / "coordinator.crt", folder_ / "coordinator.key"};
    if (mutual) options.client_ca_file = folder_ / "ca.crt";
    return options;
  }

  static inline const fs::path folder_ = fs::path(testing::TempDir()) / "tls_test";
  static inline const fs::path other_ = folder_ / "other";
  static inline const fs::path token_ = folder_ / "token";
  int port_ = 0;
  ListenerSecurity security_;
  OpenJobs service_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(TlsTest, FilesHaveTheirModesAndAreNeverOverwritten) {
  const auto mode = [](const fs::path& path) {
    struct stat info = {};
    stat(path.c_str(), &info);
    return info.st_mode & 0777;
  };
  EXPECT_EQ(mode(folder_), 0700);
  for (const char* name : {"ca", "coordinator", "agent", "client"}) {
    EXPECT_EQ(mode(folder_ / (std::string(name) + ".key")), 0600) << name;
    EXPECT_EQ(mode(folder_ / (std::string(name) + ".crt")), 0644) << name;
  }
  const std::string before = ValueOrThrow(ReadFile(folder_ / "ca.key"));
  EXPECT_EQ(InitTls({.folder = folder_}).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ValueOrThrow(ReadFile(folder_ / "ca.key")), before);
  for (const char* name : {"", "a b", "a,DNS:b", "x/y", "-a"}) {
    EXPECT_EQ(InitTls({.folder = folder_ / "bad", .coordinator_names = {name}}).code(),
              absl::StatusCode::kInvalidArgument)
        << name;
  }
  EXPECT_FALSE(fs::exists(folder_ / "bad"));
}

TEST_F(TlsTest, ByTlsTheTokenArrives) {
  Serve(Server(/*mutual=*/false));
  EXPECT_TRUE(Call(folder_ / "ca.crt").ok()) << Call(folder_ / "ca.crt");
}

TEST_F(TlsTest, AClientDoesNotTrustAnotherAuthority) {
  Serve(Server(/*mutual=*/false));
  EXPECT_EQ(Call(other_ / "ca.crt").code(), absl::StatusCode::kUnavailable);
}

TEST_F(TlsTest, AClientDoesNotTakeAnAgentsCertificateForTheCoordinators) {
  Serve({folder_ / "agent.crt", folder_ / "agent.key"});
  EXPECT_EQ(Call(folder_ / "ca.crt").code(), absl::StatusCode::kUnavailable);
}

TEST_F(TlsTest, MutualTlsTakesOnlyClientsOfItsAuthority) {
  Serve(Server(/*mutual=*/true));
  EXPECT_TRUE(Call(folder_ / "ca.crt", folder_ / "client").ok());
  EXPECT_TRUE(Call(folder_ / "ca.crt", folder_ / "agent").ok());
  EXPECT_EQ(Call(folder_ / "ca.crt").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Call(folder_ / "ca.crt", other_ / "client").code(), absl::StatusCode::kUnavailable);
}

TEST_F(TlsTest, APlainClientGetsNothingFromATlsPort) {
  Serve(Server(/*mutual=*/false));
  EXPECT_EQ(Call("").code(), absl::StatusCode::kUnavailable);
}

TEST_F(TlsTest, LoopbackNeedsNoCertificate) {
  Serve({});
  EXPECT_TRUE(Call("").ok());
}

TEST_F(TlsTest, AnotherAddressIsRefusedWithoutTls) {
  for (const char* listen : {"0.0.0.0:7411", "[::]:7411", "10.1.2.3:7411", "head.example:7411",
                             "*:7411", ":7411", "7411"}) {
    const absl::Status status = MakeServerCredentials({}, listen).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << listen;
    EXPECT_THAT(status.ToString(), AllOf(HasSubstr(listen), HasSubstr("init-tls")));
    EXPECT_TRUE(MakeServerCredentials(Server(false), listen).ok()) << listen;
  }
  for (const char* listen : {"127.0.0.1:0", "[::1]:7411", "localhost:7411", "unix:/tmp/x"}) {
    EXPECT_TRUE(MakeServerCredentials({}, listen).ok()) << listen;
  }
}

// The coordinator's certificate and key in a folder of the test's own, to be replaced.
class RenewalTest : public TlsTest {
 protected:
  void SetUp() override {
    ThrowIfError(InitTls({.folder = own_, .valid_days = 10}));
    options_ = {own_ / "coordinator.crt", own_ / "coordinator.key", own_ / "ca.crt"};
    Serve(options_);
  }
  // Copies a pair of files over the coordinator's, the key first, and has it looked at.
  void Replace(const fs::path& stem) {
    for (const char* suffix : {".key", ".crt"}) {
      ThrowIfError(WriteFileAtomically(own_.string() + "/coordinator" + suffix,
                                       ValueOrThrow(ReadFile(stem.string() + suffix)),
                                       std::string(suffix) == ".key" ? 0600 : 0644));
    }
    Look();
  }
  // As the coordinator does every second.
  void Look() {
    security_.certificates->Look(NowMs());
    security_.certificates->Look(NowMs());
  }
  // Until connections that begin now are answered so; fails the test after kPatience.
  void WaitFor(const fs::path& ca, const fs::path& identity, absl::StatusCode code) {
    absl::Status last;
    Eventually([&] {
      last = Call(ca, identity);
      return last.code() == code;
    });
    EXPECT_EQ(last.code(), code) << last;
  }

  const TemporaryFolder temporary_;
  const fs::path own_ = temporary_.path() / "tls";
  TlsOptions options_;
};

TEST_F(RenewalTest, ARenewedCertificateIsTakenWhileConnectionsGoOn) {
  const Channel before = ValueOrThrow(Channel::Open({.address = fmt::format("127.0.0.1:{}", port_),
                                                     .token_file = token_,
                                                     .ca_file = own_ / "ca.crt",
                                                     .certificate_file = own_ / "client.crt",
                                                     .key_file = own_ / "client.key"}));
  const auto hello = [&] {
    grpc::ClientContext context;
    before.Prepare(context, kPatience.count());
    HelloReply reply;
    return FromGrpc(Jobs::NewStub(before.grpc())->Hello(&context, HelloRequest(), &reply));
  };
  ASSERT_TRUE(hello().ok());
  const int64_t expired_ms = security_.certificates->expires_ms();
  ThrowIfError(RenewTls({.folder = own_, .valid_days = 100}));
  Look();
  EXPECT_GT(security_.certificates->expires_ms(), expired_ms + 80LL * 24 * 3600 * 1000);
  EXPECT_TRUE(hello().ok()) << "the connection that there was";
  WaitFor(own_ / "ca.crt", own_ / "client", absl::StatusCode::kOk);
}

TEST_F(RenewalTest, AnotherAuthoritysFilesAreTakenToo) {
  WaitFor(own_ / "ca.crt", own_ / "client", absl::StatusCode::kOk);
  ThrowIfError(
      WriteFileAtomically(own_ / "ca.crt", ValueOrThrow(ReadFile(folder_ / "ca.crt")), 0644));
  Replace(folder_ / "coordinator");
  WaitFor(folder_ / "ca.crt", folder_ / "client", absl::StatusCode::kOk);
  // Who has a certificate of the former one comes in no more.
  WaitFor(folder_ / "ca.crt", own_ / "client", absl::StatusCode::kUnavailable);
}

TEST_F(RenewalTest, WhatDoesNotServeLeavesTheOldCertificateWhereItIs) {
  const int64_t expires_ms = security_.certificates->expires_ms();
  // A key of another certificate; no certificate at all; none.
  ThrowIfError(WriteFileAtomically(own_ / "coordinator.key",
                                   ValueOrThrow(ReadFile(folder_ / "agent.key")), 0600));
  Look();
  ThrowIfError(WriteFileAtomically(own_ / "coordinator.crt", "nonsense", 0644));
  Look();
  fs::remove(own_ / "coordinator.crt");
  Look();
  EXPECT_EQ(security_.certificates->expires_ms(), expires_ms);
  // gRPC has read what it is offered meanwhile.
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_TRUE(Call(own_ / "ca.crt", own_ / "client").ok());
  Replace(folder_ / "coordinator");
  EXPECT_GT(security_.certificates->expires_ms(), expires_ms);
}

TEST_F(RenewalTest, AnExpiredOneIsNotTakenAndItsOwnEndIsTold) {
  const int64_t expires_ms = security_.certificates->expires_ms();
  ThrowIfError(RenewTls({.folder = own_, .valid_days = 1}));
  // Looked at in two days' time: what is there has ended.
  const int64_t later = NowMs() + 2LL * 24 * 3600 * 1000;
  security_.certificates->Look(later);
  security_.certificates->Look(later);
  EXPECT_EQ(security_.certificates->expires_ms(), expires_ms);
  // Once it is renewed it is taken.
  ThrowIfError(RenewTls({.folder = own_, .valid_days = 100}));
  security_.certificates->Look(later);
  EXPECT_GT(security_.certificates->expires_ms(), expires_ms);
}

TEST_F(RenewalTest, KeepsTheNamesAndAddsNewOnes) {
  ThrowIfError(InitTls({.folder = own_ / "named", .coordinator_names = {"head.example"}}));
  ThrowIfError(RenewTls({.folder = own_ / "named", .coordinator_names = {"10.1.2.3"}}));
  const auto certificate = ValueOrThrow(ReadCertificate(own_ / "named/coordinator.crt"));
  EXPECT_THAT(SubjectNamesOf(certificate.get()),
              ::testing::IsSupersetOf(
                  {"DNS:head.example", "DNS:localhost", "IP:127.0.0.1", "IP:10.1.2.3"}));
  EXPECT_EQ(RenewTls({.folder = own_ / "named", .valid_days = 4000}).code(),
            absl::StatusCode::kInvalidArgument)
      << "the authority ends sooner";
  EXPECT_EQ(RenewTls({.folder = own_ / "none"}).code(), absl::StatusCode::kNotFound);
}

TEST_F(RenewalTest, ANodesCertificateHasItsNameAlone) {
  ThrowIfError(MakeNodeCertificate(own_, "t_1", 5));
  const auto certificate = ValueOrThrow(ReadCertificate(own_ / "t_1.crt"));
  EXPECT_THAT(SubjectNamesOf(certificate.get()), ::testing::ElementsAre("DNS:t_1"));
  WaitFor(own_ / "ca.crt", own_ / "t_1", absl::StatusCode::kOk);
  for (const char* name : {"", "ca", "coordinator", "a,DNS:b", "../x", "-a"}) {
    EXPECT_EQ(MakeNodeCertificate(own_, name, 5).code(), absl::StatusCode::kInvalidArgument)
        << name;
  }
}

TEST_F(TlsTest, FilesThatDoNotServeAreNamedBeforeTheyAreUsed) {
  const auto code = [](const fs::path& certificate, const fs::path& key) {
    return MakeServerCredentials({certificate, key}, "0.0.0.0:1").status().code();
  };
  EXPECT_EQ(code(folder_ / "coordinator.crt", ""), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(folder_ / "coordinator.crt", folder_ / "agent.key"),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(folder_ / "token", folder_ / "agent.key"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(folder_ / "none", folder_ / "agent.key"), absl::StatusCode::kNotFound);
  const fs::path open = folder_ / "open.key";
  ThrowIfError(WriteFileAtomically(open, ValueOrThrow(ReadFile(folder_ / "coordinator.key"))));
  const absl::Status status = ReadKeyPair(folder_ / "coordinator.crt", open, NowMs()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(status.ToString(), HasSubstr("chmod 600"));
  TlsOptions mutual = Server(true);
  mutual.client_ca_file = token_;
  EXPECT_EQ(MakeServerCredentials(mutual, "0.0.0.0:1").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(TlsTest, ACertificateIsRefusedOutsideItsTime) {
  const auto code = [](int64_t days) {
    constexpr int64_t kDayMs = 24LL * 3600 * 1000;
    return ReadKeyPair(folder_ / "coordinator.crt", folder_ / "coordinator.key",
                       NowMs() + days * kDayMs)
        .status()
        .code();
  };
  EXPECT_EQ(code(0), absl::StatusCode::kOk);
  EXPECT_EQ(code(824), absl::StatusCode::kOk);
  EXPECT_EQ(code(826), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(-1), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tanren::coordinator
