// A file descriptor with one owner.
#ifndef TANREN_RUNTIME_BASE_DESCRIPTOR_H_
#define TANREN_RUNTIME_BASE_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace tanren {

// Movable, not copyable; closed on every way out.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { Close(); }

  int get() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  void Close() {
    if (number_ >= 0) close(number_);
    number_ = -1;
  }
  // For who closes it: then nobody else does.
  int Release() { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_DESCRIPTOR_H_
