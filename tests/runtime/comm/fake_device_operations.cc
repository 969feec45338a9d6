// The operations of the fake device: views, copies, and, for all others, the CPU's.
#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/ops/_indices_native.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/_sparse_coo_tensor_with_dims_and_tensors_native.h>
#include <ATen/ops/_values_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/sparse_dim_native.h>
#include <ATen/ops/view_native.h>
#include <torch/library.h>

#include <set>
#include <utility>

#include "runtime/base/error.h"
#include "tests/runtime/comm/fake_device_state.h"

namespace tanren::comm {
namespace {

constexpr auto kType = at::DeviceType::PrivateUse1;
using Kind = RaceDetector::Kind;

// Whose result's size, or value, CUDA's implementation waits for.
const std::set<std::string> kWaiting = {
    "aten::_coalesce",         "aten::_unique",    "aten::_unique2",
    "aten::bincount",          "aten::equal",      "aten::masked_select",
    "aten::nonzero",           "aten::unique_dim", "aten::unique_consecutive",
    "aten::repeat_interleave",
};

bool IsOnFake(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().type() == kType;
}

// The bytes between a tensor's first and last element.
int64_t SpanOf(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return 0;
  int64_t last = 0;
  for (int64_t d = 0; d < tensor.dim(); ++d) last += (tensor.size(d) - 1) * tensor.stride(d);
  return (last + 1) * static_cast<int64_t>(tensor.element_size());
}

// The computation, which runs as it is given, reads or writes the tensor.
void Touch(const at::Tensor& tensor, Kind kind, const std::string& what) {
  if (!IsOnFake(tensor) || tensor.is_sparse()) return;
  FakeStateOf(tensor.device())
      .races.Access(RaceDetector::kComputation, tensor.const_data_ptr(), SpanOf(tensor), kind,
                    what);
}

// The same memory as a tensor of the CPU.
at::Tensor OnHost(const at::Tensor& tensor) {
  if (!IsOnFake(tensor)) return tensor;
  TANREN_CHECK(!tensor.is_sparse(), "the fake device has no sparse operations");
  void* data = tensor.numel() == 0 ? nullptr : const_cast<void*>(tensor.const_data_ptr());
  return at::from_blob(data, tensor.sizes(), tensor.strides(),
                       at::TensorOptions(tensor.scalar_type()));
}

at::Tensor Empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  const c10::OptionalDeviceGuard guard(device);
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &FakeDeviceMemory(),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   dtype.value_or(at::kFloat), format);
}

at::Tensor EmptyStrided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                        std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                        std::optional<at::Device> device, std::optional<bool>) {
  const c10::OptionalDeviceGuard guard(device);
  return at::detail::empty_strided_generic(
      C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &FakeDeviceMemory(),
      c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), dtype.value_or(at::kFloat));
}

at::Tensor Copy(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (IsOnFake(from) && !IsOnFake(to)) {
    NoteFakeWait(from.device(), "a copy to the host");
  } else if (!IsOnFake(from)) {
    if (non_blocking && from.is_pinned()) {
      FakeDeviceState& state = FakeStateOf(to.device());
      std::lock_guard lock(state.mutex);
      ++state.use.copies_from_pinned;
    } else {
      NoteFakeWait(to.device(), "a copy from memory that isn't pinned");
    }
  }
  Touch(from, Kind::kRead, "copy");
  Touch(to, Kind::kWrite, "copy");
  OnHost(to).copy_(OnHost(from));
  return to;
}

at::Scalar Item(const at::Tensor& tensor) {
  NoteFakeWait(tensor.device(), "a value");
  Touch(tensor, Kind::kRead, "item");
  return OnHost(tensor).item();
}

// Halves in, fp32 out: only GPUs have it.
at::Tensor& MultiplyWide(const at::Tensor& a, const at::Tensor& b, at::ScalarType dtype,
                         at::Tensor& out) {
  Touch(a, Kind::kRead, "mm");
  Touch(b, Kind::kRead, "mm");
  Touch(out, Kind::kWrite, "mm");
  OnHost(out).copy_(at::mm(OnHost(a).to(dtype), OnHost(b).to(dtype)));
  return out;
}
at::Tensor& AddMultiplyWide(const at::Tensor& self, const at::Tensor& a, const at::Tensor& b,
                            at::ScalarType dtype, const at::Scalar& beta, const at::Scalar& alpha,
                            at::Tensor& out) {
  TANREN_CHECK(out.is_same(self) && beta.toDouble() == 1 && alpha.toDouble() == 1);
  Touch(a, Kind::kRead, "addmm");
  Touch(b, Kind::kRead, "addmm");
  Touch(out, Kind::kWrite, "addmm");
  OnHost(out).add_(at::mm(OnHost(a).to(dtype), OnHost(b).to(dtype)));
  return out;
}

at::Tensor ToDeviceMemory(const at::Tensor& result, const at::Device& device,
                          const std::string& what) {
  if (!result.defined()) return result;
  const at::Tensor there =
      at::empty_strided(result.sizes(), result.strides(), result.options().device(device));
  OnHost(there).copy_(result);
  Touch(there, Kind::kWrite, what);
  return there;
}

// Gives `tensor`, which had no elements, those of the operation's result.
void Resize(const at::Tensor& tensor, const at::Tensor& result, const std::string& what) {
  const at::Tensor resized = ToDeviceMemory(result, tensor.device(), what);
  tensor.unsafeGetTensorImpl()->set_storage_keep_dtype(resized.storage());
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(resized.sizes(), resized.strides());
}

// An operation of the CPU's that is run on the same memory; new results are copied to memory of the
// device's.
class HostCall {
 public:
  HostCall(const c10::OperatorHandle& op, torch::jit::Stack* stack)
      : op_(op),
        schema_(op.schema()),
        stack_(*stack),
        first_(stack->size() - schema_.arguments().size()),
        originals_(stack->begin() + static_cast<ptrdiff_t>(first_), stack->end()),
        waits_(kWaiting.contains(schema_.name())) {}

  void Run() {
    for (size_t i = 0; i < originals_.size(); ++i) TakeArgument(i);
    if (!device_) device_ = FakeDevice(CurrentFakeDevice());
    Note();
    op_.callBoxed(&stack_);
    for (const auto& [tensor, result] : resizable_) {
      if (result.numel() > 0) Resize(tensor, result, schema_.name());
    }
    for (size_t i = 0; i < schema_.returns().size(); ++i) GiveResult(i);
  }

 private:
  void TakeArgument(size_t i) {
    const c10::Argument& argument = schema_.arguments()[i];
    const c10::IValue& value = originals_[i];
    c10::IValue& place = stack_[first_ + i];
    if (value.isTensor()) {
      place = HostOf(value.toTensor(), argument);
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) {
        list.push_back(HostOf(tensor, argument));
      }
      place = c10::IValue(list);
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor ? std::optional(HostOf(*tensor, argument)) : std::nullopt);
      }
      place = c10::IValue(list);
    } else if (value.isDevice()) {
      device_ = value.toDevice();
      place = at::Device(at::kCPU);
    }
  }

  at::Tensor HostOf(const at::Tensor& tensor, const c10::Argument& argument) {
    if (!IsOnFake(tensor)) return tensor;
    device_ = tensor.device();
    const auto* alias = argument.alias_info();
    const bool is_written = alias != nullptr && alias->isWrite();
    Touch(tensor, is_written ? Kind::kWrite : Kind::kRead, schema_.name());
    // How many elements a mask takes is a value.
    if (schema_.name().starts_with("aten::index") && tensor.scalar_type() == at::kBool) {
      waits_ = true;
    }
    if (!is_written || tensor.numel() > 0) return OnHost(tensor);
    return resizable_
        .emplace_back(tensor, at::empty(tensor.sizes(), at::TensorOptions(tensor.scalar_type())))
        .second;
  }

  void Note() {
    if (waits_) NoteFakeWait(*device_, schema_.name());
    FakeDeviceState& state = FakeStateOf(*device_);
    std::lock_guard lock(state.mutex);
    ++state.use.operations;
  }

  void GiveResult(size_t i) {
    c10::IValue& result = stack_[stack_.size() - schema_.returns().size() + i];
    const auto* alias = schema_.returns()[i].alias_info();
    if (alias != nullptr) {
      TANREN_CHECK(alias->isWrite(), "the fake device has no view {}", schema_.name());
      for (size_t a = 0; a < originals_.size(); ++a) {
        const auto* of_argument = schema_.arguments()[a].alias_info();
        if (of_argument != nullptr && *of_argument == *alias) result = originals_[a];
      }
    } else if (result.isTensor()) {
      result = ToDeviceMemory(result.toTensor(), *device_, schema_.name());
    } else if (result.isTensorList()) {
      std::vector<at::Tensor> list;
      for (const at::Tensor& tensor : result.toTensorVector()) {
        list.push_back(ToDeviceMemory(tensor, *device_, schema_.name()));
      }
      result = c10::IValue(list);
    }
  }

  const c10::OperatorHandle& op_;
  const c10::FunctionSchema& schema_;
  torch::jit::Stack& stack_;
  const size_t first_;  // argument's place on the stack
  const std::vector<c10::IValue> originals_;
  std::optional<at::Device> device_;
  bool waits_;
  // Results without elements, and what stands for them on the host.
  std::vector<std::pair<at::Tensor, at::Tensor>> resizable_;
};

void RunOnHost(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  HostCall(op, stack).Run();
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&RunOnHost>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", TORCH_FN(Empty));
  m.impl("empty_strided", TORCH_FN(EmptyStrided));
  m.impl("_copy_from", TORCH_FN(Copy));
  m.impl("_local_scalar_dense", TORCH_FN(Item));
  m.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  m.impl("view", TORCH_FN(at::native::view));
  m.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  m.impl("mm.dtype_out", TORCH_FN(MultiplyWide));
  m.impl("addmm.dtype_out", TORCH_FN(AddMultiplyWide));
}

TORCH_LIBRARY_IMPL(aten, SparsePrivateUse1, m) {
  m.impl("_sparse_coo_tensor_with_dims_and_tensors",
         TORCH_FN(at::native::new_with_dims_and_tensor_sparse_symint));
  m.impl("_indices", TORCH_FN(at::native::_indices_sparse));
  m.impl("_values", TORCH_FN(at::native::_values_sparse));
  m.impl("sparse_dim", TORCH_FN(at::native::sparse_dim_sparse));
}

}  // namespace

void LinkFakeOperations() {}

}  // namespace tanren::comm
