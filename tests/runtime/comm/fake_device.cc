#include "tests/runtime/comm/fake_device.h"

#include <ATen/Context.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "runtime/base/error.h"
#include "tests/runtime/comm/fake_device_state.h"

namespace tanren::comm {
namespace {

constexpr auto kType = at::DeviceType::PrivateUse1;

std::array<FakeDeviceState, kFakeDevices>& States() {
  static std::array<FakeDeviceState, kFakeDevices> states;
  return states;
}

thread_local int current_device = 0;

// Memory of the host, all bits set at first, which is NaN: an unwritten element shows.
struct Allocation {
  void* data;
  int64_t bytes;
  int device;
};

void Deallocate(void* context) {
  auto* allocation = static_cast<Allocation*>(context);
  FakeDeviceState& state = States()[allocation->device];
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
    FakeDeviceState& state = FakeStateOf(device);
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
    FakeDeviceState& state = States()[device];
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
    NoteFakeWait(stream.device(), "a stream");
  }
};

}  // namespace

FakeDeviceState& FakeStateOf(const at::Device& device) { return States()[device.index()]; }

int CurrentFakeDevice() { return current_device; }

c10::Allocator& FakeDeviceMemory() { return DeviceMemory(); }

void NoteFakeWait(const at::Device& device, std::string what) {
  FakeDeviceState& state = FakeStateOf(device);
  std::lock_guard lock(state.mutex);
  state.use.waits.push_back(std::move(what));
}

void RegisterFakeDevices() {
  LinkFakeOperations();
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
  FakeDeviceState& state = States()[index];
  std::lock_guard lock(state.mutex);
  return state.use;
}

void ForgetFakeUse(int index) {
  FakeDeviceState& state = States()[index];
  std::lock_guard lock(state.mutex);
  state.use = {};
  state.use.peak_bytes = state.bytes;
}

RaceDetector& RacesOf(int index) { return States()[index].races; }

}  // namespace tanren::comm
