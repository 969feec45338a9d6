#include "runtime/kernels/products.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "runtime/base/error.h"
#include "runtime/kernels/cpu_features.h"
#include "tests/runtime/kernels/fp64_reference.h"

namespace tanren::kernels {
namespace {

struct Size {
  int64_t rows, depth, columns;
};
// On both sides of every block size: 6 and 16 of a tile, 96 rows, 256 and 512 deep, 576 columns;
// few rows; rows that wait for a second pass of 4096 through the depth.
const std::vector<Size> kSizes = {{1, 1, 1},     {3, 40, 9},     {16, 33, 17},   {17, 65, 31},
                                  {97, 257, 33}, {100, 300, 20}, {30, 20, 600},  {200, 7, 129},
                                  {6, 513, 16},  {40, 0, 5},     {64, 3000, 40}, {300, 4105, 20},
                                  {0, 5, 6}};

at::Tensor Matrix(int64_t rows, int64_t columns, bool transposed, int seed, at::ScalarType dtype) {
  return transposed ? Random({columns, rows}, seed, dtype).t()
                    : Random({rows, columns}, seed, dtype);
}

// Beside bf16, an fp32 operand is rounded where the machine's fast products are in bf16.
at::Tensor AsMultiplied(const at::Tensor& x, const at::Tensor& other) {
  const bool rounded = HasFastBf16Products() && other.scalar_type() == at::kBFloat16;
  return (rounded ? x.to(at::kBFloat16) : x).to(at::kDouble);
}

TEST(Multiply, IsTheProductOfFp64InEveryLayoutAndDtype) {
  for (const auto& [rows, depth, columns] : kSizes) {
    for (int variant = 0; variant < 64; ++variant) {
      const auto bit = [&](int i) { return (variant >> i & 1) != 0; };
      const auto dtype = [&](int i) { return bit(i) ? at::kBFloat16 : at::kFloat; };
      SCOPED_TRACE(testing::Message() << rows << " " << depth << " " << columns << " " << variant);
      const at::Tensor a = Matrix(rows, depth, bit(0), 1, dtype(1));
      const at::Tensor b = Matrix(depth, columns, bit(2), 2, dtype(3));
      at::Tensor out = at::ones({rows, columns}, dtype(4));
      const Into into = bit(5) ? Into::kAdd : Into::kReplace;
      Multiply(a, b, out, into);
      const at::Tensor expected =
          at::mm(AsMultiplied(a, b), AsMultiplied(b, a)) + (into == Into::kAdd ? 1 : 0);
      ExpectClose(out, expected, dtype(4) == at::kBFloat16 ? 0.005 : 1e-5, "product");
    }
  }
}

TEST(Multiply, TakesViewsOfLargerMatrices) {
  const at::Tensor a = Random({50, 80}, 1).slice(1, 10, 47),
                   b = Random({90, 30}, 2).slice(0, 5, 42);
  at::Tensor out = at::empty({50, 30});
  Multiply(a, b, out);
  ExpectClose(out, at::mm(a.to(at::kDouble), b.to(at::kDouble)), 1e-5, "product");
  // No stride is 1.
  const at::Tensor sparse = Random({100, 160}, 3).slice(0, 0, 100, 2).slice(1, 20, 94, 2);
  Multiply(sparse, b, out);
  ExpectClose(out, at::mm(sparse.to(at::kDouble), b.to(at::kDouble)), 1e-5, "product");
}

// Without the compiler's OpenMP, at::parallel_for is a loop on one thread, and all else still
// holds.
TEST(Multiply, PartsAreDoneByThreadsOfTheirOwn) {
  const int threads = at::get_num_threads();
  at::set_num_threads(3);
  std::vector<int> done_by(3, -1);
  at::parallel_for(0, 3, 1, [&](int64_t first, int64_t end) {
    for (int64_t part = first; part < end; ++part) done_by[part] = at::get_thread_num();
  });
  EXPECT_EQ(done_by, std::vector<int>({0, 1, 2}));
  at::set_num_threads(threads);
}

TEST(Multiply, TheNumberOfThreadsChangesNoBit) {
  const int threads = at::get_num_threads();
  for (const int64_t rows : {4, 200}) {
    const at::Tensor a = Random({rows, 300}, 1), b = Random({190, 300}, 2).t();
    at::Tensor one = at::empty({rows, 190}), many = at::empty({rows, 190});
    at::set_num_threads(1);
    Multiply(a, b, one);
    at::set_num_threads(6);
    Multiply(a, b, many);
    EXPECT_TRUE(at::equal(one, many)) << rows;
  }
  at::set_num_threads(threads);
}

TEST(Multiply, ARowDoesNotDependOnTheOthers) {
  const at::Tensor b = Random({190, 300}, 2).t();
  for (const int64_t rows : {2, 3, 7, 16, 210}) {
    const at::Tensor a = Random({rows, 300}, 1);
    at::Tensor shuffled = at::cat({a.slice(0, 1) * 3, a.slice(0, 0, 1)});
    at::Tensor first = at::empty({rows, 190}), second = at::empty({rows, 190});
    Multiply(a, b, first);
    Multiply(shuffled, b, second);
    EXPECT_TRUE(at::equal(first[0], second[rows - 1])) << rows;
  }
}

TEST(Multiply, NotANumberStaysWhereItBelongs) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    at::Tensor a = Random({20, 30}, 1, dtype), out = at::empty({20, 40}, dtype);
    a[7][3] = std::numeric_limits<float>::quiet_NaN();
    Multiply(a, Random({30, 40}, 2, dtype), out);
    EXPECT_EQ(out.isnan().sum().item<int64_t>(), 40);
    EXPECT_TRUE(out[7].isnan().all().item<bool>());
  }
}

TEST(Multiply, RefusesShapesThatDoNotFit) {
  EXPECT_THROW(Multiply(Random({2, 3}, 1), Random({4, 5}, 2), at::empty({2, 5})), Error);
  EXPECT_THROW(Multiply(Random({2, 3}, 1), Random({3, 5}, 2), at::empty({5, 2})), Error);
}

}  // namespace
}  // namespace tanren::kernels
