// A compiled expression of PCRE2. What a match may cost is limited: subjects come from strangers. What an expression
// holds comes from whoever counts it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace mansio::lua {

struct Budget;

// Where expressions have their memory from. It outlives them.
class RegexMemory {
 public:
  virtual ~RegexMemory() = default;
  virtual void *take(std::size_t n) noexcept = 0;  // null: there is no more
  virtual void give_back(void *block) noexcept = 0;
};
RegexMemory &system_memory();  // which nobody counts

class Regex {
 public:
  // Throws ScriptError for what is no expression, std::bad_alloc where there is no memory for it.
  Regex(std::string_view pattern, std::uint32_t flags, RegexMemory &memory = system_memory());

  // True when it matches at or after `start`, with the offsets then; throws ScriptError when it was given up, as when
  // it is not over when the time of `budget` is, which may be null.
  bool match(std::string_view subject, std::size_t start, std::uint32_t options = 0, Budget *budget = nullptr) const;

  std::size_t groups() const { return groups_; }  // without the whole match, 0
  // Of the last match; PCRE2_UNSET for a group that took no part.
  std::size_t begin(std::size_t group) const { return offsets_[2 * group]; }
  std::size_t end(std::size_t group) const { return offsets_[2 * group + 1]; }
  bool took_part(std::size_t group) const { return begin(group) != PCRE2_UNSET && begin(group) <= end(group); }
  // The number of a group by its name, 0 when there is none.
  std::size_t named(const std::string &name) const;
  std::size_t octets() const;  // that it holds, nearly

 private:
  struct Free {
    void operator()(pcre2_code *p) const { ::pcre2_code_free(p); }
    void operator()(pcre2_match_context *p) const { ::pcre2_match_context_free(p); }
  };
  struct GiveBack {
    RegexMemory *memory;
    void operator()(std::size_t *p) const { memory->give_back(p); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_context, Free> limits_;
  std::size_t groups_ = 0;
  std::unique_ptr<std::size_t[], GiveBack> offsets_;  // of the last match
};

}  // namespace mansio::lua
