#include "plugins/lua/lib/regex.hpp"

#include <algorithm>
#include <new>

#include "plugins/lua/budget.hpp"
#include "plugins/lua/script_error.hpp"

namespace mansio::lua {
namespace {

constexpr std::size_t kLongestPattern = 1 << 20;
// The interpreter and not JIT: that has no limit on its stack but failing early.
constexpr std::uint32_t kMatchLimit = 1'000'000, kDepthLimit = 100'000, kHeapLimit = 4 << 10;  // the last in KiB

std::string message_of(int error) {
  PCRE2_UCHAR text[256]{};
  ::pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char *>(text);
}

// PCRE2 counts anew at each start of a match: an expression may do little at each of many. The clock sees all of it.
struct Deadline {
  std::int64_t ends;
  unsigned calls = 0;
};
int look_at_the_clock(pcre2_callout_block *, void *data) {
  auto &deadline = *static_cast<Deadline *>(data);
  if (deadline.ends == 0 || ++deadline.calls % 256 != 0) return 0;
  return computed_ns() > deadline.ends ? PCRE2_ERROR_MATCHLIMIT : 0;
}

// What a match works with keeps the memory that it grew to, so that all expressions of a thread share it.
pcre2_match_data *workspace(std::size_t groups) {
  struct Free {
    void operator()(pcre2_match_data *p) const { ::pcre2_match_data_free(p); }
  };
  thread_local std::unique_ptr<pcre2_match_data, Free> data;
  if (!data || ::pcre2_get_ovector_count(data.get()) <= groups) {
    constexpr std::size_t kUsual = 32;
    data.reset(::pcre2_match_data_create(static_cast<std::uint32_t>(std::max(groups + 1, kUsual)), nullptr));
    if (!data) throw std::bad_alloc{};
  }
  return data.get();
}

PCRE2_SPTR bytes(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data() ? text.data() : ""); }

}  // namespace

Regex::Regex(std::string_view pattern, std::uint32_t flags) {
  if (pattern.size() > kLongestPattern) throw ScriptError{"the pattern is too long"};
  int error = 0;
  std::size_t at = 0;
  code_.reset(::pcre2_compile(bytes(pattern), pattern.size(),
                              flags | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT, &error, &at, nullptr));
  if (!code_)
    throw ScriptError{"the pattern is none: " + message_of(error) + " at character " + std::to_string(at + 1)};
  limits_.reset(::pcre2_match_context_create(nullptr));
  if (!limits_) throw std::bad_alloc{};
  ::pcre2_set_match_limit(limits_.get(), kMatchLimit);
  ::pcre2_set_depth_limit(limits_.get(), kDepthLimit);
  ::pcre2_set_heap_limit(limits_.get(), kHeapLimit);
  std::uint32_t n = 0;
  ::pcre2_pattern_info(code_.get(), PCRE2_INFO_CAPTURECOUNT, &n);
  groups_ = n;
  offsets_.assign(2 * (groups_ + 1), PCRE2_UNSET);
}

bool Regex::match(std::string_view subject, std::size_t start, std::uint32_t options, std::int64_t ends) const {
  Deadline deadline{ends};
  ::pcre2_set_callout(limits_.get(), look_at_the_clock, &deadline);
  auto *data = workspace(groups_);
  const int result =
      ::pcre2_match(code_.get(), bytes(subject), subject.size(), start, options, data, limits_.get());
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0) throw ScriptError{"the match was given up: " + message_of(result)};
  std::copy_n(::pcre2_get_ovector_pointer(data), offsets_.size(), offsets_.begin());
  return true;
}

std::size_t Regex::named(const std::string &name) const {
  const int n = ::pcre2_substring_number_from_name(code_.get(), reinterpret_cast<PCRE2_SPTR>(name.c_str()));
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

}  // namespace mansio::lua
