// That an agent's certificate ends is known in time.
#include "coordinator/agent/certificate_watch.h"

#include "coordinator/wire/certificates.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "tests/temporary_folder.h"

namespace tanren::coordinator {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kDayMs = 24LL * 3600 * 1000;
constexpr int64_t kMinuteMs = 60'000;

TEST(EndOfCertificate, IsToldThirtyDaysBeforeAndMoreUrgentlyAfterwards) {
  const int64_t now = 1'800'000'000'000;
  EXPECT_EQ(EndOfCertificate("a.crt", now + 30 * kDayMs, now), "");
  EXPECT_THAT(EndOfCertificate("a.crt", now + 30 * kDayMs - 1, now),
              HasSubstr("a.crt: ends in 29 days"));
  EXPECT_THAT(EndOfCertificate("a.crt", now, now), HasSubstr("a.crt: has ended"));
}

class CertificateWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options.folder = folder.path() / "tls";
    options.valid_days = 20;
    ASSERT_TRUE(InitTls(options).ok());
  }
  // The days that the certificate has left, as far as the watch knows.
  int64_t DaysLeft() const { return (watch().expires_ms() - now + kDayMs / 2) / kDayMs; }
  CertificateWatch& watch() const { return *watch_; }

  TemporaryFolder folder;
  InitTlsOptions options;
  const int64_t now = WallMs();
  std::unique_ptr<CertificateWatch> watch_ = std::make_unique<CertificateWatch>(
      folder.path() / "tls/agent.crt", folder.path() / "tls/agent.key");
};

TEST_F(CertificateWatchTest, KnowsTheEndAndSeesAnother) {
  EXPECT_FALSE(watch().Look(now, 0)) << "the first is no other";
  EXPECT_EQ(DaysLeft(), 20);
  options.valid_days = 100;
  ASSERT_TRUE(RenewTls(options).ok());
  EXPECT_FALSE(watch().Look(now, kMinuteMs - 1)) << "it looks too often";
  EXPECT_TRUE(watch().Look(now, kMinuteMs));
  EXPECT_EQ(DaysLeft(), 100);
  EXPECT_FALSE(watch().Look(now, 2 * kMinuteMs));
}

TEST_F(CertificateWatchTest, WhatIsHalfCopiedIsNoOther) {
  watch().Look(now, 0);
  ASSERT_TRUE(WriteFileAtomically(folder.path() / "tls/agent.crt", "-----BEGIN").ok());
  EXPECT_FALSE(watch().Look(now, kMinuteMs));
  EXPECT_EQ(DaysLeft(), 20);
  options.valid_days = 100;
  ASSERT_TRUE(RenewTls(options).ok());
  EXPECT_TRUE(watch().Look(now, 2 * kMinuteMs));
}

TEST_F(CertificateWatchTest, AnAgentWithoutOneHasNoneThatEnds) {
  CertificateWatch none("", "");
  EXPECT_FALSE(none.Look(now, 0));
  EXPECT_EQ(none.expires_ms(), 0);
}

}  // namespace
}  // namespace tanren::coordinator
