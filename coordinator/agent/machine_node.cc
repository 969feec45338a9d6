#include "coordinator/agent/machine_node.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "coordinator/wire/channel.h"
#include "coordinator/wire/token_file.h"
#include "fmt/format.h"
#include "runtime/base/build.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kLongestName = 64;
constexpr char kLoopback[] = "127.0.0.1";

// Of `bits` random bits, a multiple of 64.
std::string RandomHex(int bits) {
  std::string text;
  for (int i = 0; i < bits; i += 64) {
    uint64_t word = 0;
    TANREN_CHECK(getrandom(&word, sizeof(word), 0) == sizeof(word));
    text += fmt::format("{:016x}", word);
  }
  return text;
}

// Letters, digits, ".", "_" and "-": names are shown, and stand in paths and host lists.
absl::Status CheckName(const std::string& option, const std::string& name) {
  bool safe = !name.empty() && name.size() <= kLongestName && name.front() != '-';
  for (const char c : name) {
    safe &= absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  }
  if (safe) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: found \"{}\", expected 1 to {} letters, digits, \".\", \"_\" and \"-\"",
                  option, name, kLongestName));
}

int64_t MemoryOf(const Machine& machine) {
  uint64_t bytes = machine.memory.total;
  if (machine.cgroup.memory) bytes = std::min(bytes, *machine.cgroup.memory);
  return static_cast<int64_t>(bytes);
}

void AddGpus(const Machine& machine, int asked, Node& node) {
  std::vector<int> visible =
      VisibleGpus(machine.visible_gpus, static_cast<int>(machine.gpus.gpus.size()));
  if (asked >= 0 && asked < static_cast<int>(visible.size())) visible.resize(asked);
  for (const int index : visible) {
    const GpuInfo& found = machine.gpus.gpus[index];
    Gpu& gpu = *node.add_gpus();
    gpu.set_index(index);
    gpu.set_name(found.name);
    gpu.set_memory_bytes(static_cast<int64_t>(found.memory_bytes));
    gpu.set_island(found.island);
  }
  for (int index = node.gpus_size(); index < asked; ++index) {
    Gpu& gpu = *node.add_gpus();
    gpu.set_index(index);
    gpu.set_name("none");
  }
}

}  // namespace

std::vector<int> VisibleGpus(const std::string& visible, int count) {
  std::vector<int> all(count);
  for (int i = 0; i < count; ++i) all[i] = i;
  if (visible.empty()) return all;
  std::vector<int> chosen;
  const std::vector<std::string> words = absl::StrSplit(visible, ',');
  for (const std::string& word : words) {
    int index = 0;
    if (!absl::SimpleAtoi(word, &index)) return all;
    // As CUDA reads it: the list ends at the first that isn't there.
    if (index < 0 || index >= count) break;
    chosen.push_back(index);
  }
  return chosen;
}

std::string AddressTowards(const std::string& coordinator) {
  const size_t colon = coordinator.rfind(':');
  if (colon == std::string::npos || IsLoopback(coordinator)) return kLoopback;
  std::string host = coordinator.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), coordinator.c_str() + colon + 1, &hints, &found) != 0) {
    return kLoopback;
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> release(found, freeaddrinfo);
  // A datagram socket that is connected sends nothing, but has an address.
  const int descriptor = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return kLoopback;
  sockaddr_storage own = {};
  socklen_t length = sizeof(own);
  char text[NI_MAXHOST] = "";
  const bool known = connect(descriptor, found->ai_addr, found->ai_addrlen) == 0 &&
                     getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
                     getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text, sizeof(text),
                                 nullptr, 0, NI_NUMERICHOST) == 0;
  close(descriptor);
  return known ? text : kLoopback;
}

absl::StatusOr<Node> NodeOf(const Machine& machine, const NodeOptions& options,
                            const std::string& coordinator) {
  Node node;
  const std::string host = telemetry::HostName();
  node.set_name(options.name.empty() ? host.substr(0, host.find('.')) : options.name);
  TANREN_RETURN_IF_ERROR(CheckName("--name", node.name()));
  node.set_address(options.address.empty() ? AddressTowards(coordinator) : options.address);
  AddGpus(machine, options.gpus, node);
  node.set_cpu_millis(options.cpus >= 0 ? static_cast<int32_t>(options.cpus * 1000 + 0.5)
                                        : machine.UsableCores() * 1000);
  node.set_memory_bytes(options.memory_bytes >= 0 ? options.memory_bytes : MemoryOf(machine));
  node.set_rack(options.rack);
  for (const std::string& label : options.labels) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(fmt::format("--label {}: expected NAME=VALUE", label));
    }
    TANREN_RETURN_IF_ERROR(CheckName("--label", label.substr(0, equals)));
    (*node.mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
  }
  node.set_launcher(options.launcher);
  node.set_version(kVersion);
  return node;
}

absl::StatusOr<std::string> Incarnation(const std::filesystem::path& state) {
  const std::filesystem::path file = state / "incarnation";
  const auto text = ReadFile(file, 4096);
  if (text.ok()) return std::string(absl::StripAsciiWhitespace(*text));
  const std::string made = RandomHex(128);
  TANREN_RETURN_IF_ERROR(WriteFileAtomically(file, made + "\n"));
  return made;
}

absl::StatusOr<std::string> NodeKey(const std::filesystem::path& state) {
  const std::filesystem::path file = state / "node.key";
  const absl::StatusOr<std::string> kept = ReadToken(file);
  if (!absl::IsNotFound(kept.status())) return kept;
  const std::string made = RandomHex(256);
  TANREN_RETURN_IF_ERROR(WriteFileAtomically(file, made + "\n", 0600));
  return made;
}

}  // namespace tanren::coordinator
