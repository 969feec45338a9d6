#include "runtime/telemetry/metrics_file.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/file.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class MetricsFileTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::path(testing::TempDir()) /
            fmt::format("{}.jsonl", testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove(path_);
  }
  void Write(const std::string& content) { ASSERT_TRUE(WriteFileAtomically(path_, content).ok()); }
  std::string Content() const { return *ReadFile(path_); }

  fs::path path_;
};

TEST_F(MetricsFileTest, ALineIsOneObjectAndReadsBackBitForBit) {
  const double third = 1.0 / 3.0;
  {
    absl::StatusOr<MetricsFile> file = MetricsFile::Open(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE(file->Append({1, {{"loss", third}, {"tokens", 1000}, {"a\"b", 1e-300}}}).ok());
    ASSERT_TRUE(
        file->Append({2, {{"loss", std::nan("")}, {"x", std::numeric_limits<double>::infinity()}}})
            .ok());
  }
  EXPECT_EQ(Content(),
            "{\"step\":1,\"loss\":0.3333333333333333,\"tokens\":1000,\"a\\\"b\":1e-300}\n"
            "{\"step\":2,\"loss\":null,\"x\":null}\n");
  const absl::StatusOr<std::vector<MetricsLine>> lines = ReadMetrics(path_);
  ASSERT_TRUE(lines.ok()) << lines.status();
  ASSERT_EQ(lines->size(), 2);
  EXPECT_EQ((*lines)[0].values[0], (std::pair<std::string, double>("loss", third)));
  EXPECT_TRUE(std::isnan((*lines)[1].values[1].second));
}

TEST_F(MetricsFileTest, CuttingBackKeepsTheLinesUpToTheStep) {
  const std::string two =
      "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}\n{\"step\":2,\"held\":1}\n";
  Write(two + "{\"step\":3,\"loss\":1}\n{\"step\":4,\"lo");
  absl::StatusOr<MetricsFile> file = MetricsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->CutBackTo(2).ok());
  EXPECT_EQ(Content(), two);
  ASSERT_TRUE(file->Append({3, {{"loss", 0.5}}}).ok());
  EXPECT_EQ(Content(), two + "{\"step\":3,\"loss\":0.5}\n");
  ASSERT_TRUE(file->CutBackTo(0).ok());
  EXPECT_EQ(Content(), "");
}

TEST_F(MetricsFileTest, ATornLastLineIsLeftOutAndReplaced) {
  Write("{\"step\":1,\"loss\":3}\n{\"step\":2");
  EXPECT_EQ(ReadMetrics(path_)->size(), 1);
  absl::StatusOr<MetricsFile> file = MetricsFile::Open(path_);
  ASSERT_TRUE(file->Append({2, {}}).ok());
  EXPECT_EQ(Content(), "{\"step\":1,\"loss\":3}\n{\"step\":2}\n");
}

TEST_F(MetricsFileTest, ALineThatIsNotOursIsNamedAndNothingIsCut) {
  for (const char* wrong :
       {"hello", "{\"loss\":1}", "{\"step\":\"1\"}", "{\"step\":1,\"x\":\"y\"}"}) {
    const std::string content = std::string("{\"step\":9}\n") + wrong + "\n";
    Write(content);
    absl::StatusOr<MetricsFile> file = MetricsFile::Open(path_);
    const absl::Status status = file->CutBackTo(1);
    EXPECT_TRUE(absl::IsDataLoss(status)) << wrong;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_.string() + ":2: found"));
    EXPECT_EQ(Content(), content);
  }
}

}  // namespace
}  // namespace tanren
