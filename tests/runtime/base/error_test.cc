#include "runtime/base/error.h"

#include <new>

#include "gtest/gtest.h"
#include "runtime/base/out_of_memory.h"

namespace tanren {
namespace {

TEST(Error, CarriesItsStatusAcrossAThrow) {
  try {
    ThrowIfError(absl::NotFoundError("model.safetensors: no such file"));
    FAIL() << "nothing was thrown";
  } catch (...) {
    EXPECT_EQ(StatusOfCurrentException(), absl::NotFoundError("model.safetensors: no such file"));
  }
}

TEST(Error, FailedAllocationIsResourceExhausted) {
  try {
    throw std::bad_alloc();
  } catch (...) {
    EXPECT_TRUE(absl::IsResourceExhausted(StatusOfCurrentException()));
    EXPECT_TRUE(IsOutOfMemory(StatusOfCurrentException()));
  }
}

// What becomes of an exception that says `what`.
absl::Status StatusOf(const char* what) {
  try {
    throw std::runtime_error(what);
  } catch (...) {
    return StatusOfCurrentException();
  }
}

TEST(Error, LibtorchsFailedAllocationsSayHowMuchWasAskedFor) {
  const absl::Status host = StatusOf(
      "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
      "you tried to allocate 13565920 bytes. Error code 12 (Cannot allocate memory)\n\nframe #0: "
      "c10::ThrowEnforceNotMet(char const*, int) + 0x6a (0x7f in libc10.so)\n");
  EXPECT_EQ(host, absl::ResourceExhaustedError("out of memory: 13565920 bytes were asked for"));
  EXPECT_TRUE(IsOutOfMemory(host));
  const absl::Status gpu = StatusOf(
      "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 14.58 GiB\n"
      "Exception raised from malloc at /pytorch/c10/cuda/CUDACachingAllocator.cpp:1595 (most "
      "recent call first):\nframe #0: c10::Error\n");
  EXPECT_TRUE(IsOutOfMemory(gpu));
  EXPECT_EQ(std::string(gpu.message()),
            "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
            "capacity of 14.58 GiB");
}

TEST(Error, AFullDiskIsNoLackOfMemory) {
  EXPECT_FALSE(IsOutOfMemory(absl::ResourceExhaustedError("a.tanren: No space left on device")));
  EXPECT_FALSE(IsOutOfMemory(absl::InternalError("out of memory")));
  EXPECT_FALSE(IsOutOfMemory(absl::OkStatus()));
}

TEST(Error, LibtorchsTraceIsNoPartOfTheMessage) {
  EXPECT_EQ(StatusOf("shapes differ\nException raised from mm at a.cpp:3 (most recent call "
                     "first):\nframe #0: c10::Error"),
            absl::InternalError("shapes differ"));
  EXPECT_EQ(StatusOf("two\nlines"), absl::InternalError("two\nlines"));
}

TEST(Error, CheckNamesTheConditionAndTheValues) {
  const int found = 3;
  try {
    TANREN_CHECK(found == 4, "found {}", found);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("found == 4: found 3"), std::string::npos);
  }
}

TEST(Error, AnnotateKeepsTheCodeAndLeavesOkAlone) {
  EXPECT_EQ(Annotate(absl::DataLossError("short"), "a.gguf"), absl::DataLossError("a.gguf: short"));
  EXPECT_TRUE(Annotate(absl::OkStatus(), "a.gguf").ok());
}

}  // namespace
}  // namespace tanren
