#include "runtime/kernels/products.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "runtime/base/error.h"
#include "runtime/kernels/cpu/kernel_table.h"
#include "runtime/kernels/cpu/scratch.h"
#include "runtime/kernels/cpu_features.h"
#include "runtime/kernels/row_passes.h"

namespace tanren::kernels {
namespace {

// Up to this many rows, a product with a weight is bound by reading the weight; in bf16, packing
// the weight costs more than it gains up to so many.
constexpr int64_t kFewRows = 16;
constexpr int64_t kFewRowsInBf16 = 128;
// Packing an element costs about as much as so many multiplications.
constexpr int64_t kPackingCost = 30;
// A thread is worth its start for this many multiplications.
constexpr int64_t kGrain = 1 << 16;

at::Tensor WithUnitStride(const at::Tensor& x) {
  return x.stride(0) == 1 || x.stride(1) == 1 ? x : x.contiguous();
}

// Of a matrix with one row or column, the strides may say anything.
MatrixView ViewOf(const at::Tensor& x) {
  const bool in_rows = x.stride(1) == 1;
  return {x.const_data_ptr(), x.scalar_type() == at::kBFloat16, in_rows ? x.stride(0) : 1,
          in_rows ? 1 : x.stride(1)};
}

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

void MultiplyFewRows(DotKernel dot, const Product& product) {
  // Groups of 16 outputs: chunks of whole cache lines.
  const int64_t groups = DivideUp(product.columns, 16);
  const int64_t grain = DivideUp(kGrain, 16 * product.rows * std::max<int64_t>(product.depth, 1));
  at::parallel_for(0, groups, grain, [&](int64_t first, int64_t end) {
    dot(product, first * 16, std::min(end * 16, product.columns),
        ThreadScratch((product.rows + 1) * (product.depth + 64)));
  });
}

// Cuts the result into one block for each thread: of one size as far as tiles allow, and as square
// as can be, because a block's rows of a and columns of b are packed for it alone.
void MultiplyBlocks(const ProductKernel& kernel, const Product& product) {
  const int64_t work = product.rows * product.columns * product.depth;
  const int64_t threads =
      std::clamp<int64_t>(work / kGrain, 1, at::in_parallel_region() ? 1 : at::get_num_threads());
  const auto block = [](int64_t size, int64_t parts, int64_t unit) {
    return DivideUp(DivideUp(size, unit), parts) * unit;
  };
  int64_t across = 1, rows = 0, columns = 0, least = 0;
  for (int64_t down = 1; down <= threads; ++down) {
    if (threads % down != 0) continue;
    const int64_t block_rows = block(product.rows, down, kernel.tile_rows);
    const int64_t block_columns = block(product.columns, threads / down, kernel.tile_columns);
    const int64_t cost = block_rows * block_columns + kPackingCost * (block_rows + block_columns);
    if (down == 1 || cost < least) {
      least = cost;
      across = threads / down;
      rows = block_rows;
      columns = block_columns;
    }
  }
  at::parallel_for(0, threads, 1, [&](int64_t first, int64_t end) {
    float* const scratch = ThreadScratch(kernel.scratch_floats(product.depth));
    for (int64_t part = first; part < end; ++part) {
      const int64_t row = part / across * rows, column = part % across * columns;
      kernel.block(product, row, std::min(row + rows, product.rows), column,
                   std::min(column + columns, product.columns), scratch);
    }
  });
}

void MultiplyHere(const at::Tensor& a_MK, const at::Tensor& b_KN, const at::Tensor& out,
                  Into into) {
  const at::Tensor a = WithUnitStride(a_MK), b = WithUnitStride(b_KN);
  const Product product{ViewOf(a),
                        ViewOf(b),
                        out.mutable_data_ptr(),
                        out.scalar_type() == at::kBFloat16,
                        out.stride(0),
                        a.size(0),
                        b.size(1),
                        a.size(1),
                        into == Into::kAdd};
  const KernelTable& kernels = Kernels();
  const bool in_bf16 =
      kernels.multiply_bf16.block != nullptr && (product.a.is_bf16 || product.b.is_bf16);
  const bool reads_weight = product.a.column_stride == 1 && product.b.row_stride == 1;
  const bool both_bf16 = product.a.is_bf16 && product.b.is_bf16;
  if (product.rows <= kFewRowsInBf16 && reads_weight && both_bf16 && kernels.dot_bf16 != nullptr) {
    MultiplyFewRows(kernels.dot_bf16, product);
  } else if (product.rows <= kFewRows && reads_weight && !in_bf16) {
    MultiplyFewRows(kernels.dot, product);
  } else {
    MultiplyBlocks(in_bf16 ? kernels.multiply_bf16 : kernels.multiply, product);
  }
}

// The dtype to multiply in, by libtorch: the narrower of the two.
at::ScalarType ProductDtype(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == at::kFloat ? b.scalar_type() : a.scalar_type();
}

// libtorch's products run on AMX where there is one, several times as fast as vectors are. They
// round sums to bf16, so they serve where the result is that.
bool SuitsTileUnits(const at::Tensor& a, const at::Tensor& b, const at::Tensor& out) {
  const auto is_bf16 = [](const at::Tensor& x) { return x.scalar_type() == at::kBFloat16; };
  return HasAmxBf16() && a.size(0) > kFewRows && is_bf16(a) && is_bf16(b) && is_bf16(out);
}

void MultiplyByAten(const at::Tensor& a_MK, const at::Tensor& b_KN, at::Tensor out, Into into) {
  const at::ScalarType dtype = ProductDtype(a_MK, b_KN);
  const at::Tensor a = a_MK.to(dtype), b = b_KN.to(dtype);
  if (out.scalar_type() == dtype && into == Into::kAdd) {
    at::addmm_out(out, out, a, b);
  } else if (out.scalar_type() == dtype) {
    at::mm_out(out, a, b);
  } else if (!out.is_cpu() && out.scalar_type() == at::kFloat) {
    // A GPU's units sum in fp32 and can leave it at that.
    if (into == Into::kAdd) {
      at::addmm_out(out, out, a, b, at::kFloat);
    } else {
      at::mm_out(out, a, b, at::kFloat);
    }
  } else if (into == Into::kAdd) {
    out.add_(at::mm(a, b));
  } else {
    out.copy_(at::mm(a, b));
  }
}

}  // namespace

void Multiply(const at::Tensor& a_MK, const at::Tensor& b_KN, const at::Tensor& out_MN, Into into) {
  TANREN_CHECK(a_MK.dim() == 2 && b_KN.dim() == 2 && a_MK.size(1) == b_KN.size(0) &&
                   out_MN.dim() == 2 && out_MN.size(0) == a_MK.size(0) &&
                   out_MN.size(1) == b_KN.size(1) && out_MN.is_contiguous(),
               "a product of {} and {} into {}", c10::str(a_MK.sizes()), c10::str(b_KN.sizes()),
               c10::str(out_MN.sizes()));
  at::NoGradGuard no_grad;
  if (out_MN.numel() == 0) return;
  const bool here =
      out_MN.is_cpu() && TakesRowPasses(a_MK) && TakesRowPasses(b_KN) && TakesRowPasses(out_MN);
  if (here && a_MK.size(1) > 0 && !SuitsTileUnits(a_MK, b_KN, out_MN)) {
    MultiplyHere(a_MK, b_KN, out_MN, into);
  } else {
    MultiplyByAten(a_MK, b_KN, out_MN, into);
  }
}

}  // namespace tanren::kernels
