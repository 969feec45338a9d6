#include "runtime/kernels/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/kernels/balanced_tasks.h"
#include "runtime/kernels/composed.h"
#include "runtime/kernels/cpu/kernel_table.h"
#include "runtime/kernels/cpu/scratch.h"
#include "runtime/kernels/device_copy.h"
#include "runtime/kernels/device_features.h"
#include "runtime/kernels/fused_attention.h"

namespace tanren::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A document isn't cut into tasks of fewer tokens than this: each packs all keys before it.
constexpr int64_t kLeastTokensOfTask = 256;
// Up to this many rows of queries, packing keys costs more than it saves.
constexpr int64_t kFewRows = 16;

void CheckShapes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  TANREN_CHECK(q.dim() == 3 && k.dim() == 3 && k.sizes() == v.sizes() && q.size(2) == k.size(2) &&
                   k.size(1) > 0 && q.size(1) % k.size(1) == 0 && q.dtype() == k.dtype() &&
                   q.dtype() == v.dtype(),
               "attention of queries {} over keys {} and values {}", c10::str(q.sizes()),
               c10::str(k.sizes()), c10::str(v.sizes()));
}

// The offsets as numbers, checked.
std::vector<int64_t> OffsetsOf(const at::Tensor& document_offsets, int64_t tokens) {
  TANREN_CHECK(document_offsets.dim() == 1 && document_offsets.size(0) >= 1 &&
                   document_offsets.scalar_type() == at::kLong && document_offsets.is_cpu(),
               "document offsets are [N + 1] int64 on the CPU, not {} {} on {}",
               c10::str(document_offsets.sizes()), c10::toString(document_offsets.scalar_type()),
               document_offsets.device().str());
  const at::Tensor offsets = document_offsets.contiguous();
  const int64_t* data = offsets.const_data_ptr<int64_t>();
  const std::vector<int64_t> offset(data, data + offsets.numel());
  for (size_t n = 0; n + 1 < offset.size(); ++n) {
    TANREN_CHECK(offset[n] <= offset[n + 1], "document {} ends at {}, before its start {}", n,
                 offset[n + 1], offset[n]);
  }
  TANREN_CHECK(offset.front() == 0 && offset.back() == tokens,
               "document offsets go from {} to {} over {} tokens", offset.front(), offset.back(),
               tokens);
  return offset;
}

int64_t LongestOf(const std::vector<int64_t>& offsets) {
  int64_t longest = 0;
  for (size_t n = 0; n + 1 < offsets.size(); ++n) {
    longest = std::max(longest, offsets[n + 1] - offsets[n]);
  }
  return longest;
}

void CheckView(const CacheView& view, const at::Tensor& q) {
  CheckShapes(q, view.keys_LKd, view.values_LKd);
  TANREN_CHECK(view.first_query >= 0 && view.query_count >= 0 &&
                   view.first_query + view.query_count <= q.size(0) &&
                   view.query_count <= view.length && view.length <= view.keys_LKd.size(0),
               "queries {} to {} of {} over {} of {} stored tokens", view.first_query,
               view.first_query + view.query_count, q.size(0), view.length, view.keys_LKd.size(0));
}

bool HasKernel(const at::Tensor& q) {
  return q.is_cpu() && (q.scalar_type() == at::kFloat || q.scalar_type() == at::kBFloat16);
}

char* Address(const at::Tensor& x, int64_t element) {
  return static_cast<char*>(const_cast<void*>(x.const_data_ptr())) + element * x.element_size();
}

// All of one document's attention over one key-value head; tensors are contiguous.
AttentionTask TaskOf(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const at::Tensor& out, const at::Tensor& log_sum_exp_TH, int64_t start,
                     int64_t tokens, int64_t key_head, double scale) {
  const int64_t heads = q.size(1), key_heads = k.size(1), size = q.size(2);
  const int64_t group = heads / key_heads;
  const int64_t query_at = (start * heads + key_head * group) * size;
  const int64_t key_at = (start * key_heads + key_head) * size;
  AttentionTask task{};
  task.query = Address(q, query_at);
  task.key = Address(k, key_at);
  task.value = Address(v, key_at);
  task.out = Address(out, query_at);
  task.is_bf16 = q.scalar_type() == at::kBFloat16;
  task.query_stride = task.out_stride = heads * size;
  task.key_stride = task.value_stride = key_heads * size;
  task.group = group;
  task.head_size = size;
  task.query_count = tokens;
  task.scale = static_cast<float>(scale);
  task.log_sum_exp = log_sum_exp_TH.mutable_data_ptr<float>() + start * heads + key_head * group;
  task.log_sum_exp_stride = heads;
  return task;
}

// Tokens [first, end) of a task that has all tokens.
AttentionTask PartOf(AttentionTask task, int64_t first, int64_t end) {
  const int64_t bytes = task.is_bf16 ? 2 : 4;
  task.query = static_cast<const char*>(task.query) + first * task.query_stride * bytes;
  task.out = static_cast<char*>(task.out) + first * task.out_stride * bytes;
  task.log_sum_exp += first * task.log_sum_exp_stride;
  task.query_count = end - first;
  task.first_position = first;
  return task;
}

double CostOf(const AttentionTask& task) {
  const double middle = task.first_position + 0.5 * task.query_count;
  // Packing counts like one more row of queries for each key.
  return (task.query_count * middle * task.group + task.first_position + task.query_count) *
         task.head_size;
}

const AttentionKernels& KernelsFor(const at::Tensor& q) {
  return q.scalar_type() == at::kBFloat16 ? Kernels().attention_bf16 : Kernels().attention;
}

// `few_rows`, if any, takes the tasks with as few.
void Run(const std::vector<AttentionTask>& tasks, const AttentionKernel& kernel,
         const AttentionKernel* few_rows = nullptr) {
  std::vector<double> costs;
  for (const AttentionTask& task : tasks) costs.push_back(CostOf(task));
  RunBalanced(costs, [&](int64_t i) {
    const AttentionTask& task = tasks[i];
    const bool has_few = few_rows != nullptr && task.query_count * task.group <= kFewRows;
    const AttentionKernel& chosen = has_few ? *few_rows : kernel;
    chosen.run(task, ThreadScratch(chosen.scratch_floats(task)));
  });
}

// One task for each document and key-value head.
std::vector<AttentionTask> TasksOf(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const at::Tensor& out, const at::Tensor& log_sum_exp_TH,
                                   const std::vector<int64_t>& offsets, double scale) {
  std::vector<AttentionTask> tasks;
  for (size_t n = 0; n + 1 < offsets.size(); ++n) {
    const int64_t tokens = offsets[n + 1] - offsets[n];
    for (int64_t head = 0; head < k.size(1) && tokens > 0; ++head) {
      tasks.push_back(TaskOf(q, k, v, out, log_sum_exp_TH, offsets[n], tokens, head, scale));
    }
  }
  return tasks;
}

// Long documents are cut where there would be too few tasks to keep every thread busy.
std::vector<AttentionTask> Cut(const std::vector<AttentionTask>& tasks) {
  if (std::ssize(tasks) >= 4 * at::get_num_threads()) return tasks;
  std::vector<AttentionTask> parts;
  for (const AttentionTask& task : tasks) {
    const int64_t block = AttentionBlock(task.group);
    const int64_t step = (kLeastTokensOfTask + block - 1) / block * block;
    for (int64_t first = 0; first < task.query_count; first += step) {
      parts.push_back(PartOf(task, first, std::min(first + step, task.query_count)));
    }
  }
  return parts;
}

class AttentionFunction : public torch::autograd::Function<AttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const std::vector<int64_t>& offsets,
                            double scale) {
    const at::Tensor out = at::empty(q.sizes(), q.options());
    const at::Tensor log_sum_exp = at::empty({q.size(0), q.size(1)}, q.options().dtype(at::kFloat));
    Run(Cut(TasksOf(q, k, v, out, log_sum_exp, offsets, scale)), KernelsFor(q).forward);
    context->save_for_backward({q, k, v, out, log_sum_exp});
    context->saved_data["offsets"] = offsets;
    context->saved_data["scale"] = scale;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const at::Tensor d_out = gradients[0].contiguous();
    const at::Tensor d_q = at::empty_like(q), d_k = at::empty_like(k), d_v = at::empty_like(v);
    std::vector<AttentionTask> tasks =
        TasksOf(q, k, v, saved[3], saved[4], context->saved_data["offsets"].toIntVector(),
                context->saved_data["scale"].toDouble());
    for (AttentionTask& task : tasks) {
      const auto same_place = [](const void* place, const at::Tensor& in, const at::Tensor& out) {
        return static_cast<char*>(out.mutable_data_ptr()) +
               (static_cast<const char*>(place) - static_cast<const char*>(in.const_data_ptr()));
      };
      task.d_out = same_place(task.query, q, d_out);
      task.d_query = same_place(task.query, q, d_q);
      task.d_key = same_place(task.key, k, d_k);
      task.d_value = same_place(task.value, v, d_v);
    }
    Run(tasks, KernelsFor(q).backward);
    return {d_q, d_k, d_v, {}, {}};
  }
};

}  // namespace

at::Tensor DocumentAttention(const at::Tensor& q_THd, const at::Tensor& k_TKd,
                             const at::Tensor& v_TKd, const at::Tensor& document_offsets,
                             double scale, const at::Tensor& device_offsets) {
  CheckShapes(q_THd, k_TKd, v_TKd);
  TANREN_CHECK(q_THd.size(0) == k_TKd.size(0), "{} queries for {} keys", q_THd.size(0),
               k_TKd.size(0));
  const std::vector<int64_t> offsets = OffsetsOf(document_offsets, q_THd.size(0));
  const FusedAttention fused =
      ChooseFusedAttention(q_THd.scalar_type(), q_THd.size(2), ComputeCapability(q_THd.device()));
  if (fused != FusedAttention::kNone && q_THd.size(0) > 0) {
    const at::Tensor there = device_offsets.defined()
                                 ? device_offsets
                                 : ToDevice(document_offsets.to(at::kInt), q_THd.device());
    return FusedDocumentAttention(fused, q_THd, k_TKd, v_TKd, there, LongestOf(offsets), scale);
  }
  if (!HasKernel(q_THd)) {
    return ComposedDocumentAttention(q_THd, k_TKd, v_TKd, document_offsets, scale);
  }
  return AttentionFunction::apply(q_THd.contiguous(), k_TKd.contiguous(), v_TKd.contiguous(),
                                  offsets, scale);
}

at::Tensor DecodeAttention(const at::Tensor& q_THd, std::span<const CacheView> sequences,
                           double scale) {
  at::NoGradGuard no_grad;
  for (const CacheView& view : sequences) CheckView(view, q_THd);
  if (!HasKernel(q_THd)) return ComposedDecodeAttention(q_THd, sequences, scale);
  const at::Tensor q = q_THd.contiguous();
  const at::Tensor out = at::zeros(q.sizes(), q.options());
  std::vector<AttentionTask> tasks;
  std::vector<at::Tensor> kept;  // copies of caches whose head dimension isn't contiguous
  for (const CacheView& view : sequences) {
    if (view.query_count == 0) continue;
    const auto usable = [&](const at::Tensor& x) {
      return kept.emplace_back(x.stride(2) == 1 || x.size(2) == 1 ? x : x.contiguous());
    };
    const at::Tensor keys = usable(view.keys_LKd), values = usable(view.values_LKd);
    const int64_t heads = q.size(1), key_heads = keys.size(1), group = heads / key_heads;
    for (int64_t head = 0; head < key_heads; ++head) {
      const int64_t query_at = (view.first_query * heads + head * group) * q.size(2);
      AttentionTask task{};
      task.query = Address(q, query_at);
      task.out = Address(out, query_at);
      task.key = Address(keys, head * keys.stride(1));
      task.value = Address(values, head * values.stride(1));
      task.is_bf16 = q.scalar_type() == at::kBFloat16;
      task.query_stride = task.out_stride = heads * q.size(2);
      task.key_stride = keys.stride(0);
      task.value_stride = values.stride(0);
      task.group = group;
      task.head_size = q.size(2);
      task.query_count = view.query_count;
      task.first_position = view.length - view.query_count;
      task.scale = static_cast<float>(scale);
      tasks.push_back(task);
    }
  }
  Run(tasks, KernelsFor(q).forward, &KernelsFor(q).few_rows);
  return out;
}

}  // namespace tanren::kernels
