#include "tests/runtime/comm/fake_device.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/ops/_indices_native.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/_sparse_coo_tensor_with_dims_and_tensors_native.h>
#include <ATen/ops/_values_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/sparse_dim_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "runtime/base/error.h"

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

struct State {
  std::mutex mutex;
  FakeUse use;
  int64_t bytes = 0;
  RaceDetector races;
};
std::array<State, kFakeDevices>& States() {
  static std::array<State, kFakeDevices> states;
  return states;
}
State& StateOf(const at::Device& device) { return States()[device.index()]; }

thread_local int current_device = 0;

void Waits(const at::Device& device, std::string what) {
  State& state = StateOf(device);
  std::lock_guard lock(state.mutex);
  state.use.waits.push_back(std::move(what));
}

// Memory of the host, all bits set at first, which is NaN: an unwritten element shows.
struct Allocation {
  void* data;
  int64_t bytes;
  int device;
};

void Deallocate(void* context) {
  auto* allocation = static_cast<Allocation*>(context);
  State& state = States()[allocation->device];
  state.races.Free(allocation->data, allocation->bytes);
  {
    std::lock_guard lock(state.mutex);
    state.bytes -= allocation->bytes;
  }
  std::free(allocation->data);
  delete allocation;
}

class FakeAllocator final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const at::Device device = FakeDevice(current_device);
    if (bytes == 0) return {nullptr, nullptr, &Deallocate, device};
    void* data = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    TANREN_CHECK(data != nullptr, "no memory");
    std::memset(data, 0xff, bytes);
    State& state = StateOf(device);
    std::lock_guard lock(state.mutex);
    const auto size = static_cast<int64_t>(bytes);
    state.bytes += size;
    state.use.peak_bytes = std::max(state.use.peak_bytes, state.bytes);
    state.use.largest_allocation = std::max(state.use.largest_allocation, size);
    return {data, new Allocation{data, size, current_device}, &Deallocate, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
    State& state = States()[device];
    std::lock_guard lock(state.mutex);
    c10::CachingDeviceAllocator::DeviceStats stats;
    stats.allocated_bytes[0].current = state.bytes;
    stats.allocated_bytes[0].peak = state.use.peak_bytes;
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
};

FakeAllocator& DeviceMemory() {
  static FakeAllocator allocator;
  return allocator;
}

class PinnedAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* data = std::malloc(bytes);
    std::lock_guard lock(mutex_);
    live_[data] = bytes;
    return {data, data, [](void* context) { Instance().Free(context); }, at::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
  bool Holds(const void* data) {
    std::lock_guard lock(mutex_);
    auto next = live_.upper_bound(data);
    if (next == live_.begin()) return false;
    --next;
    return static_cast<const char*>(data) <
           static_cast<const char*>(next->first) + std::max<size_t>(next->second, 1);
  }
  static PinnedAllocator& Instance() {
    static PinnedAllocator allocator;
    return allocator;
  }

 private:
  void Free(void* data) {
    {
      std::lock_guard lock(mutex_);
      live_.erase(data);
    }
    std::free(data);
  }
  std::mutex mutex_;
  std::map<const void*, size_t> live_;
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return kFakeDevices; }
  c10::DeviceIndex getCurrentDevice() const override {
    return static_cast<c10::DeviceIndex>(current_device);
  }
  bool isPinnedPtr(const void* data) const override {
    return PinnedAllocator::Instance().Holds(data);
  }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &PinnedAllocator::Instance(); }
};

// One stream on each device: the computation's.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  at::DeviceType type() const override { return kType; }
  at::Device exchangeDevice(at::Device device) const override {
    const at::Device before = getDevice();
    setDevice(device);
    return before;
  }
  at::Device getDevice() const override { return FakeDevice(current_device); }
  void setDevice(at::Device device) const override {
    if (device.has_index()) current_device = device.index();
  }
  void uncheckedSetDevice(at::Device device) const noexcept override { setDevice(device); }
  c10::Stream getStream(at::Device device) const override {
    return c10::Stream(c10::Stream::DEFAULT, device.has_index() ? device : getDevice());
  }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return kFakeDevices; }
  void record(void** event, const c10::Stream&, const c10::DeviceIndex,
              const c10::EventFlag) const override {
    *event = const_cast<Guard*>(this);
  }
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream& stream) const override {
    Waits(stream.device(), "a stream");
  }
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
  StateOf(tensor.device())
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
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &DeviceMemory(),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   dtype.value_or(at::kFloat), format);
}

at::Tensor EmptyStrided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                        std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                        std::optional<at::Device> device, std::optional<bool>) {
  const c10::OptionalDeviceGuard guard(device);
  return at::detail::empty_strided_generic(
      C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &DeviceMemory(),
      c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), dtype.value_or(at::kFloat));
}

at::Tensor Copy(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (IsOnFake(from) && !IsOnFake(to)) {
    Waits(from.device(), "a copy to the host");
  } else if (!IsOnFake(from)) {
    if (non_blocking && from.is_pinned()) {
      State& state = StateOf(to.device());
      std::lock_guard lock(state.mutex);
      ++state.use.copies_from_pinned;
    } else {
      Waits(to.device(), "a copy from memory that isn't pinned");
    }
  }
  Touch(from, Kind::kRead, "copy");
  Touch(to, Kind::kWrite, "copy");
  OnHost(to).copy_(OnHost(from));
  return to;
}

at::Scalar Item(const at::Tensor& tensor) {
  Waits(tensor.device(), "a value");
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

// Runs an operation of the CPU's on the same memory; new results are copied to memory of the
// device's.
void RunOnHost(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::FunctionSchema& schema = op.schema();
  const std::string& name = schema.name();
  const size_t first = stack->size() - schema.arguments().size();
  std::vector<c10::IValue> originals(stack->begin() + static_cast<ptrdiff_t>(first), stack->end());
  std::optional<at::Device> device;
  bool waits = kWaiting.contains(name);
  std::vector<std::pair<at::Tensor, at::Tensor>> resizable;  // results without elements, and ours

  const auto replace = [&](const at::Tensor& tensor, const c10::Argument& argument) {
    if (!IsOnFake(tensor)) return tensor;
    device = tensor.device();
    const auto* alias = argument.alias_info();
    Touch(tensor, alias != nullptr && alias->isWrite() ? Kind::kWrite : Kind::kRead, name);
    if (name.starts_with("aten::index") && tensor.scalar_type() == at::kBool) waits = true;
    if (alias == nullptr || !alias->isWrite() || tensor.numel() > 0) return OnHost(tensor);
    return resizable
        .emplace_back(tensor, at::empty(tensor.sizes(), at::TensorOptions(tensor.scalar_type())))
        .second;
  };
  for (size_t i = 0; i < originals.size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i];
    const c10::IValue& value = originals[i];
    c10::IValue& place = (*stack)[first + i];
    if (value.isTensor()) {
      place = replace(value.toTensor(), argument);
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) {
        list.push_back(replace(tensor, argument));
      }
      place = c10::IValue(list);
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor ? std::optional(replace(*tensor, argument)) : std::nullopt);
      }
      place = c10::IValue(list);
    } else if (value.isDevice()) {
      device = value.toDevice();
      place = at::Device(at::kCPU);
    }
  }
  if (!device) device = FakeDevice(current_device);
  if (waits) Waits(*device, name);
  {
    State& state = StateOf(*device);
    std::lock_guard lock(state.mutex);
    ++state.use.operations;
  }
  op.callBoxed(stack);
  for (const auto& [tensor, result] : resizable) {
    if (result.numel() > 0) Resize(tensor, result, name);
  }

  const size_t results = stack->size() - schema.returns().size();
  for (size_t i = 0; i < schema.returns().size(); ++i) {
    c10::IValue& result = (*stack)[results + i];
    const auto* alias = schema.returns()[i].alias_info();
    if (alias != nullptr) {
      TANREN_CHECK(alias->isWrite(), "the fake device has no view {}", name);
      for (size_t a = 0; a < originals.size(); ++a) {
        const auto* of_argument = schema.arguments()[a].alias_info();
        if (of_argument != nullptr && *of_argument == *alias) result = originals[a];
      }
    } else if (result.isTensor()) {
      result = ToDeviceMemory(result.toTensor(), *device, name);
    } else if (result.isTensorList()) {
      std::vector<at::Tensor> list;
      for (const at::Tensor& tensor : result.toTensorVector()) {
        list.push_back(ToDeviceMemory(tensor, *device, name));
      }
      result = c10::IValue(list);
    }
  }
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

void RegisterFakeDevices() {
  static const bool once = [] {
    static Guard guard;
    c10::register_privateuse1_backend("fake");
    c10::SetAllocator(kType, &DeviceMemory());
    c10::impl::DeviceGuardImplRegistrar registrar(kType, &guard);
    at::RegisterPrivateUse1HooksInterface(new Hooks);
    return true;
  }();
  (void)once;
}

void UseFakeDevice(int index) { current_device = index; }

FakeUse FakeUseOf(int index) {
  State& state = States()[index];
  std::lock_guard lock(state.mutex);
  return state.use;
}

void ForgetFakeUse(int index) {
  State& state = States()[index];
  std::lock_guard lock(state.mutex);
  state.use = {};
  state.use.peak_bytes = state.bytes;
}

RaceDetector& RacesOf(int index) { return States()[index].races; }

}  // namespace tanren::comm
