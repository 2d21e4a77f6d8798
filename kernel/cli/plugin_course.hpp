// What `mansio plugin check` counts of an instance from one round of calls to the next: memory, answers that nobody
// waited for any more, lines that the host would not log. Each round makes the same calls, so that what grows from
// round to round is left behind by them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::cli {

// Bytes that this process has from its allocator and has not given back; none: neither jemalloc nor a sanitizer is
// there to tell.
std::optional<std::size_t> allocated_bytes();

// What is wrong with the memory of an instance, whose amounts in bytes were taken before its first call and then after
// equal numbers of rounds; "": nothing. It may grow until the second, as caches and connections do.
std::string judge_memory(const std::vector<std::size_t> &amounts);

class Course {
 public:
  // `rounds`: how many there will be.
  explicit Course(int rounds) : stretch_(rounds / kStretches) {}

  // Before each round. False: it floods the log, and another round would show nothing else.
  template <class Instance>
  bool goes_on(const Instance &instance) {
    step();
    look(instance);
    return floods().empty();
  }
  // After the last, when what comes late has come.
  template <class Instance>
  void ends(const Instance &instance) {
    step();
    look(instance);
  }

  // "": nothing is wrong.
  std::string late() const;
  std::string floods() const;
  std::string memory() const { return judge_memory(amounts_); }

 private:
  static constexpr int kStretches = 5;
  void step();
  void count(std::string_view name, double value);
  template <class Instance>
  void look(const Instance &instance) {
    late_ = dropped_ = 0;
    instance.stats([this](const std::string &name, double value) { count(name, value); });
  }

  const int stretch_;
  int round_ = 0;
  std::uint64_t late_ = 0, dropped_ = 0;
  std::vector<std::size_t> amounts_;
};

}  // namespace mansio::cli
