// pcre_table(5): Perl's regular expressions by PCRE2, without regard to case unless flags say otherwise. Keys come from
// strangers, so a match has limits; one that runs into them is "try later", as nobody knows what it would have said.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstdint>

#include "plugins/lookup-file/tables/pattern_table.hpp"

namespace mansio::lookup {
namespace {

constexpr std::uint32_t kMatchLimit = 1'000'000, kDepthLimit = 10'000;

struct Free {
  void operator()(pcre2_code *p) const { ::pcre2_code_free(p); }
  void operator()(pcre2_match_data *p) const { ::pcre2_match_data_free(p); }
  void operator()(pcre2_match_context *p) const { ::pcre2_match_context_free(p); }
};

class PcreEngine {
 public:
  struct Flags {
    std::uint32_t compile = PCRE2_CASELESS | PCRE2_DOTALL;
  };
  // Each toggles.
  static bool flag(char c, Flags &flags) {
    switch (c) {
      case 'i':
        flags.compile ^= PCRE2_CASELESS;
        break;
      case 'm':
        flags.compile ^= PCRE2_MULTILINE;
        break;
      case 's':
        flags.compile ^= PCRE2_DOTALL;
        break;
      case 'x':
        flags.compile ^= PCRE2_EXTENDED;
        break;
      case 'A':
        flags.compile ^= PCRE2_ANCHORED;
        break;
      case 'E':
        flags.compile ^= PCRE2_DOLLAR_ENDONLY;
        break;
      case 'U':
        flags.compile ^= PCRE2_UNGREEDY;
        break;
      case 'X':
        break;  // of the older PCRE: PCRE2 is always as strict
      default:
        return false;
    }
    return true;
  }
  static std::optional<PcreEngine> compile(const std::string &pattern, const Flags &flags, std::string &why) {
    int error = 0;
    std::size_t at = 0;
    PcreEngine engine;
    engine.code_.reset(::pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                       flags.compile | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr));
    if (!engine.code_) {
      PCRE2_UCHAR text[256];
      ::pcre2_get_error_message(error, text, sizeof text);
      return why = reinterpret_cast<const char *>(text) + (" at character " + std::to_string(at + 1)), std::nullopt;
    }
    ::pcre2_jit_compile(engine.code_.get(), PCRE2_JIT_COMPLETE);  // without it matching is slower, that is all
    engine.limits_.reset(::pcre2_match_context_create(nullptr));
    ::pcre2_set_match_limit(engine.limits_.get(), kMatchLimit);
    ::pcre2_set_depth_limit(engine.limits_.get(), kDepthLimit);
    return engine;
  }

  std::size_t groups() const {
    std::uint32_t n = 0;
    ::pcre2_pattern_info(code_.get(), PCRE2_INFO_CAPTURECOUNT, &n);
    return n;
  }
  Match match(std::string_view key, std::vector<std::string_view> &groups) const {
    const std::unique_ptr<pcre2_match_data, Free> data{::pcre2_match_data_create_from_pattern(code_.get(), nullptr)};
    if (!data) return Match::Failed;
    const int result = ::pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(key.data() ? key.data() : ""),
                                     key.size(), 0, 0, data.get(), limits_.get());
    if (result == PCRE2_ERROR_NOMATCH) return Match::No;
    if (result < 0) return Match::Failed;
    const auto *offsets = ::pcre2_get_ovector_pointer(data.get());
    groups.assign(static_cast<std::size_t>(result), {});
    for (std::size_t i = 0; i < groups.size(); ++i)
      if (const auto begin = offsets[2 * i], end = offsets[2 * i + 1]; begin != PCRE2_UNSET && begin <= end)
        groups[i] = key.substr(begin, end - begin);
    return Match::Yes;
  }

 private:
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_context, Free> limits_;
};

}  // namespace

ParsedTable parse_pcre_table(std::string_view text) { return PatternTable<PcreEngine>::parse(text); }

}  // namespace mansio::lookup
