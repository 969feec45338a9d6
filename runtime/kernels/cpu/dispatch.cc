#include <cstdlib>
#include <string_view>

#include "runtime/base/error.h"
#include "runtime/kernels/cpu/kernel_table.h"

namespace tanren::kernels {

namespace baseline {
extern const KernelTable kTable;
}
namespace avx2 {
extern const KernelTable kTable;
}
namespace avx512 {
extern const KernelTable kTable;
}
namespace avx512bf16 {
extern const ProductKernel kMultiplyBf16;
extern const DotKernel kDotBf16;
extern const AttentionKernel kAttentionForwardBf16, kAttentionBackwardBf16;
}  // namespace avx512bf16

namespace {

bool HasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool HasAvx512() {
  return HasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

// The same loops, with products of bf16 operands in bf16.
const KernelTable& Avx512Bf16() {
  static const KernelTable table = [] {
    KernelTable made = avx512::kTable;
    made.name = "avx512bf16";
    made.multiply_bf16 = avx512bf16::kMultiplyBf16;
    made.dot_bf16 = avx512bf16::kDotBf16;
    made.attention_bf16.forward = avx512bf16::kAttentionForwardBf16;
    made.attention_bf16.backward = avx512bf16::kAttentionBackwardBf16;
    return made;
  }();
  return table;
}

const KernelTable& Choose() {
  const char* variable = std::getenv("TANREN_CPU");
  const std::string_view wanted = variable == nullptr ? "" : variable;
  if (wanted == "baseline") return baseline::kTable;
  if (HasAvx512() && __builtin_cpu_supports("avx512bf16") &&
      (wanted.empty() || wanted == "avx512bf16")) {
    return Avx512Bf16();
  }
  if (HasAvx512() && (wanted.empty() || wanted == "avx512")) return avx512::kTable;
  if (HasAvx2() && (wanted.empty() || wanted == "avx2")) return avx2::kTable;
  if (wanted.empty()) return baseline::kTable;
  throw Error(
      absl::InvalidArgumentError(fmt::format("TANREN_CPU is \"{}\", expected baseline, avx2, "
                                             "avx512 or avx512bf16 and no more than this CPU "
                                             "has",
                                             std::string(wanted))));
}

}  // namespace

const KernelTable& Kernels() {
  static const KernelTable& chosen = Choose();
  return chosen;
}

}  // namespace tanren::kernels
