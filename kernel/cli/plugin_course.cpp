#include "kernel/cli/plugin_course.hpp"

#include <fmt/format.h>

#include <algorithm>

// jemalloc's (jemalloc(3)) and a sanitizer's, in programs that are linked with it.
extern "C" {
int mallctl(const char *name, void *old, std::size_t *old_size, void *fresh, std::size_t fresh_size)
    __attribute__((weak));
// NOLINTNEXTLINE(bugprone-reserved-identifier)
std::size_t __sanitizer_get_current_allocated_bytes() __attribute__((weak));
}

namespace mansio::cli {
namespace {

constexpr std::size_t kLeak = 256 * 1024;         // bytes that each stretch of calls leaves behind
constexpr std::size_t kMuch = 128 * 1024 * 1024;  // bytes, for a few hundred small calls
constexpr std::size_t kSamples = 4;               // with fewer a growth may be chance
constexpr std::uint64_t kFlood = 2000;            // lines; three for each call come to less

}  // namespace

std::optional<std::size_t> allocated_bytes() {
  if (mallctl) {
    std::uint64_t epoch = 1;
    std::size_t bytes = 0, size = sizeof epoch;
    (void)mallctl("thread.tcache.flush", nullptr, nullptr, nullptr, 0);
    (void)mallctl("epoch", &epoch, &size, &epoch, sizeof epoch);  // its statistics are as of now
    size = sizeof bytes;
    if (mallctl("stats.allocated", &bytes, &size, nullptr, 0) == 0) return bytes;
  }
  if (__sanitizer_get_current_allocated_bytes) return __sanitizer_get_current_allocated_bytes();
  return std::nullopt;
}

std::string judge_memory(const std::vector<std::size_t> &amounts) {
  if (amounts.size() >= kSamples) {
    bool grows = true;
    for (std::size_t i = 2; i < amounts.size(); ++i) grows = grows && amounts[i] >= amounts[i - 1] + kLeak;
    if (grows)
      return fmt::format("it grows with the calls, by {} KiB in the later ones", (amounts.back() - amounts[1]) / 1024);
  }
  const auto most = amounts.empty() ? 0 : *std::max_element(amounts.begin(), amounts.end());
  if (most > 0 && most - amounts.front() > kMuch)
    return fmt::format("it takes {} MiB for a few small calls", (most - amounts.front()) >> 20);
  return {};
}

std::string Course::late() const {
  return late_ == 0 ? "" : fmt::format("{} came when the deadline had passed, and nobody heard them", late_);
}

std::string Course::floods() const {
  return dropped_ < kFlood ? "" : fmt::format("{} lines were more than is logged", dropped_);
}

void Course::step() {
  if (round_++ % stretch_ != 0) return;
  if (const auto bytes = allocated_bytes()) amounts_.push_back(*bytes);
}

void Course::count(std::string_view name, double value) {
  if (name.starts_with("mansio_plugin_late_answers_total{")) late_ += static_cast<std::uint64_t>(value);
  if (name.starts_with("mansio_plugin_log_lines_dropped_total{")) dropped_ += static_cast<std::uint64_t>(value);
}

}  // namespace mansio::cli
