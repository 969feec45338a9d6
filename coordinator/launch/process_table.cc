#include "coordinator/launch/process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <map>

#include "fmt/format.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

std::string ProcText(const std::string& path) {
  // (Not a stream: reading what may be opened but not read throws there.)
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char piece[4096];
  ssize_t size = 0;
  while (file.is_open() && (size = read(file.get(), piece, sizeof(piece))) > 0) {
    text.append(piece, static_cast<size_t>(size));
  }
  return text;
}

namespace {

std::vector<pid_t> AllProcesses(const std::function<bool(pid_t)>& wanted) {
  std::vector<pid_t> found;
  DIR* folder = opendir("/proc");
  if (folder == nullptr) return found;
  while (const dirent* entry = readdir(folder)) {
    const pid_t process = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (process > 0 && wanted(process)) found.push_back(process);
  }
  closedir(folder);
  return found;
}

std::string NamespaceOf(pid_t process) {
  char text[64] = {};
  const ssize_t size =
      readlink(fmt::format("/proc/{}/ns/pid", process).c_str(), text, sizeof(text) - 1);
  return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
}

pid_t ParentOf(pid_t process) {
  const std::string line = ProcText(fmt::format("/proc/{}/stat", process));
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos || name_end + 4 >= line.size()) return 0;
  return static_cast<pid_t>(std::strtol(line.c_str() + name_end + 4, nullptr, 10));
}

}  // namespace

std::vector<pid_t> ChildrenOf(pid_t process) {
  return AllProcesses([process](pid_t candidate) { return ParentOf(candidate) == process; });
}

std::vector<pid_t> DescendantsOf(pid_t process) {
  std::multimap<pid_t, pid_t> children;
  AllProcesses([&children](pid_t candidate) {
    children.emplace(ParentOf(candidate), candidate);
    return false;
  });
  std::vector<pid_t> found = {process};
  for (size_t i = 0; i < found.size(); ++i) {
    const auto [begin, end] = children.equal_range(found[i]);
    for (auto it = begin; it != end; ++it) found.push_back(it->second);
  }
  found.erase(found.begin());
  return found;
}

std::vector<pid_t> ProcessesInNamespaceOf(pid_t process) {
  const std::string wanted = NamespaceOf(process);
  if (wanted.empty()) return {};
  return AllProcesses([&wanted](pid_t candidate) { return NamespaceOf(candidate) == wanted; });
}

std::vector<pid_t> ProcessesWithVariable(const std::string& variable) {
  return AllProcesses([&variable](pid_t candidate) {
    const std::string text = ProcText(fmt::format("/proc/{}/environ", candidate));
    return ('\0' + text).find('\0' + variable + '\0') != std::string::npos;
  });
}

}  // namespace tanren::coordinator
