#include "plugins/lua/lib/regex.hpp"

#include <algorithm>
#include <cstdlib>
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
  Budget *budget;
  unsigned calls = 0;
};
int look_at_the_clock(pcre2_callout_block *, void *data) {
  auto &deadline = *static_cast<Deadline *>(data);
  if (!deadline.budget || ++deadline.calls % 256 != 0) return 0;
  return deadline.budget->slice_is_over() ? PCRE2_ERROR_MATCHLIMIT : 0;
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

class SystemMemory final : public RegexMemory {
 public:
  void *take(std::size_t n) noexcept override { return std::malloc(n); }
  void give_back(void *block) noexcept override { std::free(block); }
};

struct FreeContext {
  void operator()(pcre2_general_context *p) const { ::pcre2_general_context_free(p); }
  void operator()(pcre2_compile_context *p) const { ::pcre2_compile_context_free(p); }
};

// What is made with it takes its memory from there, for as long as it is.
std::unique_ptr<pcre2_general_context, FreeContext> context_of(RegexMemory &memory) {
  std::unique_ptr<pcre2_general_context, FreeContext> made{
      ::pcre2_general_context_create([](PCRE2_SIZE n, void *from) { return static_cast<RegexMemory *>(from)->take(n); },
                                     [](void *block, void *from) {
                                       if (block) static_cast<RegexMemory *>(from)->give_back(block);
                                     },
                                     &memory)};
  if (!made) throw std::bad_alloc{};
  return made;
}

PCRE2_SPTR bytes(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data() ? text.data() : ""); }

}  // namespace

RegexMemory &system_memory() {
  static SystemMemory memory;
  return memory;
}

Regex::Regex(std::string_view pattern, std::uint32_t flags, RegexMemory &memory) {
  if (pattern.size() > kLongestPattern) throw ScriptError{"the pattern is too long"};
  const auto context = context_of(memory);
  const std::unique_ptr<pcre2_compile_context, FreeContext> compiling{::pcre2_compile_context_create(context.get())};
  if (!compiling) throw std::bad_alloc{};
  int error = 0;
  std::size_t at = 0;
  code_.reset(::pcre2_compile(bytes(pattern), pattern.size(), flags | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT,
                              &error, &at, compiling.get()));
  if (!code_ && error == PCRE2_ERROR_HEAP_FAILED) throw std::bad_alloc{};
  if (!code_)
    throw ScriptError{"the pattern is none: " + message_of(error) + " at character " + std::to_string(at + 1)};
  limits_.reset(::pcre2_match_context_create(context.get()));
  if (!limits_) throw std::bad_alloc{};
  ::pcre2_set_match_limit(limits_.get(), kMatchLimit);
  ::pcre2_set_depth_limit(limits_.get(), kDepthLimit);
  ::pcre2_set_heap_limit(limits_.get(), kHeapLimit);
  std::uint32_t n = 0;
  ::pcre2_pattern_info(code_.get(), PCRE2_INFO_CAPTURECOUNT, &n);
  groups_ = n;
  const auto offsets = 2 * (groups_ + 1);
  offsets_ = {static_cast<std::size_t *>(memory.take(offsets * sizeof(std::size_t))), GiveBack{&memory}};
  if (!offsets_) throw std::bad_alloc{};
  std::fill_n(offsets_.get(), offsets, PCRE2_UNSET);
}

bool Regex::match(std::string_view subject, std::size_t start, std::uint32_t options, Budget *budget) const {
  Deadline deadline{budget};
  ::pcre2_set_callout(limits_.get(), look_at_the_clock, &deadline);
  auto *data = workspace(groups_);
  const int result = ::pcre2_match(code_.get(), bytes(subject), subject.size(), start, options, data, limits_.get());
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0) throw ScriptError{"the match was given up: " + message_of(result)};
  std::copy_n(::pcre2_get_ovector_pointer(data), 2 * (groups_ + 1), offsets_.get());
  return true;
}

std::size_t Regex::named(const std::string &name) const {
  const int n = ::pcre2_substring_number_from_name(code_.get(), reinterpret_cast<PCRE2_SPTR>(name.c_str()));
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

std::size_t Regex::octets() const {
  std::size_t n = 0;
  ::pcre2_pattern_info(code_.get(), PCRE2_INFO_SIZE, &n);
  return n + 2 * (groups_ + 1) * sizeof(std::size_t);
}

}  // namespace mansio::lua
