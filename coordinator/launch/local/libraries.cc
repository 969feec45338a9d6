#include "coordinator/launch/local/libraries.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "runtime/base/descriptor.h"

namespace tanren::coordinator {
namespace {

constexpr const char* kLoader = "/lib64/ld-linux-x86-64.so.2";
constexpr size_t kLongestList = 1 << 20;

std::string ReadAll(int descriptor) {
  std::string text;
  std::array<char, 4096> piece;
  while (text.size() < kLongestList) {
    const ssize_t size = read(descriptor, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(piece.data(), static_cast<size_t>(size));
  }
  return text;
}

}  // namespace

std::vector<std::string> LibrariesOf(const std::filesystem::path& program) {
  int ends[2];
  if (program.empty() || pipe2(ends, O_CLOEXEC) != 0) return {};
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::string loader = kLoader;
  std::string list = "--list";
  std::string path = program.string();
  char* const argv[] = {loader.data(), list.data(), path.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, kLoader, &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  writing = Descriptor();
  if (error != 0) return {};
  const std::string text = ReadAll(reading.get());
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  // "\tlibfoo.so.1 => /usr/lib/libfoo.so.1 (0x00007f…)"
  std::vector<std::string> libraries;
  for (size_t at = text.find("=> /"); at != std::string::npos; at = text.find("=> /", at + 1)) {
    const size_t begin = at + 3;
    const size_t end = text.find_first_of("(\n", begin);
    if (end == std::string::npos) break;
    libraries.push_back(text.substr(begin, text.find_last_not_of(' ', end - 1) + 1 - begin));
  }
  return libraries;
}

}  // namespace tanren::coordinator
