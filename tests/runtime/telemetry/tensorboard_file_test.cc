#include "runtime/telemetry/tensorboard_file.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/tensorboard.pb.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/telemetry/crc32c.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;
using telemetry::Crc32c;
using telemetry::MaskedCrc32c;

TEST(Crc32c, GivesThePublishedChecksums) {
  // RFC 3720, B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AA);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43);
  std::string bytes(32, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  EXPECT_EQ(Crc32c(bytes), 0x46DD794E);
  EXPECT_EQ(Crc32c(std::string(bytes.rbegin(), bytes.rend())), 0x113FDB5C);
  // The check value of the catalogue of CRC algorithms, CRC-32/ISCSI.
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(Crc32c, IsMaskedAsTfRecordDoesIt) {
  // The length of a file's first event, 24 bytes, with which each of TensorFlow's files begins.
  EXPECT_EQ(MaskedCrc32c(std::string("\x18\0\0\0\0\0\0\0", 8)), 0x224B7FA3);
}

// The records' payloads; every checksum and length is checked.
std::vector<std::string> Records(const std::string& content) {
  std::vector<std::string> payloads;
  std::string_view rest = content;
  const auto take = [&](size_t count) {
    EXPECT_LE(count, rest.size());
    const std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(std::min(count, rest.size()));
    return std::string(taken);
  };
  const auto checksum = [&] {
    uint32_t value = 0;
    std::memcpy(&value, take(4).data(), 4);
    return value;
  };
  while (!rest.empty() && !testing::Test::HasFailure()) {
    const std::string header = take(8);
    EXPECT_EQ(checksum(), MaskedCrc32c(header));
    uint64_t length = 0;
    std::memcpy(&length, header.data(), 8);
    payloads.push_back(take(length));
    EXPECT_EQ(checksum(), MaskedCrc32c(payloads.back()));
  }
  return payloads;
}

class TensorBoardFileTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::path(testing::TempDir()) /
                 fmt::format("{}.d", testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }
  TensorBoardFile Create() const { return ValueOrThrow(TensorBoardFile::Create(directory_)); }

  fs::path directory_;
};

std::vector<tensorboard::Event> EventsOf(const TensorBoardFile& file) {
  std::vector<tensorboard::Event> events;
  for (const std::string& payload : Records(ValueOrThrow(ReadFile(file.path())))) {
    EXPECT_TRUE(events.emplace_back().ParseFromString(payload));
  }
  return events;
}

TEST_F(TensorBoardFileTest, BeginsWithItsVersionAndThenHoldsScalarsBySteps) {
  TensorBoardFile file = Create();
  ASSERT_TRUE(file.AppendScalars(3, {{"loss", 2.5}, {"accuracy", NAN}}).ok());
  // While the file is still open: nothing is held back.
  const std::vector<tensorboard::Event> events = EventsOf(file);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_GT(events[0].wall_time(), 1.7e9);
  EXPECT_EQ(events[1].step(), 3);
  EXPECT_GE(events[1].wall_time(), events[0].wall_time());
  ASSERT_EQ(events[1].summary().value_size(), 2);
  EXPECT_EQ(events[1].summary().value(0).tag(), "loss");
  EXPECT_EQ(events[1].summary().value(0).simple_value(), 2.5f);
  EXPECT_EQ(events[1].summary().value(1).tag(), "accuracy");
  EXPECT_TRUE(std::isnan(events[1].summary().value(1).simple_value()));
}

TEST_F(TensorBoardFileTest, HasTheBytesThatTensorBoardReads) {
  TensorBoardFile file = Create();
  ASSERT_TRUE(file.AppendScalars(3, {{"a", 1}}).ok());
  ASSERT_TRUE(file.AppendRestart(2).ok());
  const std::vector<std::string> records = Records(ValueOrThrow(ReadFile(file.path())));
  ASSERT_EQ(records.size(), 3u);
  // Field 1, wall_time, is a double: 9 bytes that vary.
  EXPECT_EQ(records[0].substr(9),
            "\x1A\x0D"
            "brain.Event:2");
  EXPECT_EQ(records[1].substr(9), std::string("\x10\x03\x2A\x0A\x0A\x08\x0A\x01"
                                              "a\x15\0\0\x80\x3F",
                                              14));
  EXPECT_EQ(records[2].substr(9), "\x10\x02\x3A\x02\x08\x01");
}

TEST_F(TensorBoardFileTest, ALaterFileComesBehindTheEarlierOnesByName) {
  const fs::path first = Create().path();
  const fs::path second = Create().path();
  std::ofstream(directory_ / "events.out.tfevents.9000000000.host.1").close();
  const fs::path third = Create().path();
  EXPECT_LT(first.filename().string(), second.filename().string());
  EXPECT_GT(third.filename().string(), "events.out.tfevents.9000000000.host.1");
}

TEST_F(TensorBoardFileTest, ARestartNamesTheStepThatTheRunGoesOnWith) {
  TensorBoardFile file = Create();
  ASSERT_TRUE(file.AppendRestart(7).ok());
  const std::vector<tensorboard::Event> events = EventsOf(file);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].step(), 7);
  EXPECT_EQ(events[1].session_log().status(), tensorboard::SessionLog::START);
}

TEST_F(TensorBoardFileTest, ADirectoryThatCannotBeMadeIsAnErrorThatNamesIt) {
  ASSERT_TRUE(WriteFileAtomically(directory_, "a file").ok());
  const auto made = TensorBoardFile::Create(directory_);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(std::string(made.status().message()), testing::HasSubstr(directory_.string()));
}

}  // namespace
}  // namespace tanren
