// The loops that a CPU kernel spends its time in, compiled once for each instruction set and chosen
// when the program runs. They see raw pointers only: no ATen, and no inline function of the
// standard library that the linker could pick from a file compiled for a newer CPU.
#ifndef TANREN_RUNTIME_KERNELS_CPU_KERNEL_TABLE_H_
#define TANREN_RUNTIME_KERNELS_CPU_KERNEL_TABLE_H_

#include <cstdint>

#include "runtime/kernels/cpu/attention.h"
#include "runtime/kernels/cpu/rows.h"

namespace tanren::kernels {

// A matrix in fp32 or bf16; element (i, j) is data[i · row_stride + j · column_stride].
struct MatrixView {
  const void* data;
  bool is_bf16;
  int64_t row_stride, column_stride;
};

// out = a · b or out += a · b. One stride of `a` and one of `b` is 1; `out` has its columns next to
// each other.
struct Product {
  MatrixView a, b;
  void* out;
  bool out_is_bf16;
  int64_t out_stride;
  int64_t rows, columns, depth;
  bool add;
};

struct ProductKernel {
  // One block of a product. Every element is summed in the same order however the product is cut.
  // `scratch` has scratch_floats(depth) floats, at a 64-byte boundary.
  void (*block)(const Product& product, int64_t first_row, int64_t end_row, int64_t first_column,
                int64_t end_column, float* scratch);
  int64_t (*scratch_floats)(int64_t depth);
  int64_t tile_rows, tile_columns;  // blocks should be multiples of these
};

// Columns [first, end) of a product of few rows where the columns of `b` are contiguous (a weight
// [columns, depth] transposed) and so are the rows of `a`: reads each weight once. `scratch` has
// rows · (depth + 64) floats.
using DotKernel = void (*)(const Product& product, int64_t first_column, int64_t end_column,
                           float* scratch);

// A pass of attention over one task. `scratch` has scratch_floats(task) floats.
struct AttentionKernel {
  void (*run)(const AttentionTask& task, float* scratch);
  int64_t (*scratch_floats)(const AttentionTask& task);
};
struct AttentionKernels {
  AttentionKernel forward, backward;
  AttentionKernel few_rows;  // forward, for a few queries over many keys
};

struct KernelTable {
  const char* name;

  // In fp32, whatever the operands are.
  ProductKernel multiply;
  // In bf16 with sums in fp32: rounds what is fp32. `block` is null where the CPU has no
  // instructions for it.
  ProductKernel multiply_bf16;

  // In fp32; and in bf16, for operands that are, or null.
  DotKernel dot;
  DotKernel dot_bf16;

  // Of tasks in fp32, and of tasks in bf16.
  AttentionKernels attention, attention_bf16;

  // Rows, tokens or elements [first, end). `d_weight` [width] is added into; `scratch` has 2 · size
  // floats.
  void (*norm_forward)(const NormTask& task, int64_t first, int64_t end);
  void (*norm_backward)(const NormTask& task, int64_t first, int64_t end, float* d_weight);
  void (*gate_forward)(const GateTask& task, int64_t first, int64_t end);
  void (*gate_backward)(const GateTask& task, int64_t first, int64_t end);
  void (*rotate)(const RotaryTask& task, int64_t first, int64_t end, float* scratch);

  // Fills in the row's statistics; draws a token; writes the derivatives, in fp32 or bf16, where
  // `out` may be the logits' memory.
  void (*logit_statistics)(LogitRow* row, bool entropy);
  int64_t (*logit_draw)(const LogitRow& row, double uniform);
  void (*logit_derivative)(const LogitRow& row, float d_logprob, float d_entropy, void* out,
                           bool to_bf16);
};

// For this machine's CPU. The environment variable TANREN_CPU (baseline, avx2, avx512 or
// avx512bf16) asks for less than it has; anything that the CPU hasn't is an error.
const KernelTable& Kernels();

}  // namespace tanren::kernels

#endif  // TANREN_RUNTIME_KERNELS_CPU_KERNEL_TABLE_H_
