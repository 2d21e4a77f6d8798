// A fuzz target is a file of this folder, in a namespace of its own since all of them may be compiled as one. It ends
// with MANSIO_FUZZ_TARGET, whose body is libFuzzer's: it takes `size` bytes at `data` and returns 0. With libFuzzer
// each is a program; ordinary builds have all in one, fuzz-replay, which finds them by their names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

namespace mansio::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

// A target of fuzz-replay, known from the start of the program.
class Target {
 public:
  using Function = int (*)(const std::uint8_t *data, std::size_t size);

  Target(std::string_view name, Function function)
      : name_(name), function_(function), next_(std::exchange(first_, this)) {}
  Target(const Target &) = delete;
  Target &operator=(const Target &) = delete;

  static const Target *find(std::string_view name) {
    const auto *target = first_;
    while (target && target->name_ != name) target = target->next_;
    return target;
  }
  // Not of a string: there is a byte behind its end that may be read.
  void run(const std::vector<char> &input) const {
    function_(reinterpret_cast<const std::uint8_t *>(input.data()), input.size());
  }

 private:
  static inline const Target *first_ = nullptr;
  std::string_view name_;
  Function function_;
  const Target *next_;
};

}  // namespace mansio::fuzz

#ifdef MANSIO_LIBFUZZER
#define MANSIO_FUZZ_TARGET(name, data, size) \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
#else
#define MANSIO_FUZZ_TARGET(name, data, size)                  \
  static int run(const std::uint8_t *data, std::size_t size); \
  static const ::mansio::fuzz::Target target{name, run};      \
  static int run(const std::uint8_t *data, std::size_t size)
#endif
