// regexp_table(5): POSIX regular expressions, extended and without regard to case unless flags say otherwise.
#include <regex.h>

#include "plugins/lookup-file/tables/pattern_table.hpp"

namespace mansio::lookup {
namespace {

class PosixEngine {
 public:
  struct Flags {
    int compile = REG_EXTENDED | REG_ICASE;
  };
  // Each toggles.
  static bool flag(char c, Flags &flags) {
    const int bit = c == 'i' ? REG_ICASE : c == 'm' ? REG_NEWLINE : c == 'x' ? REG_EXTENDED : 0;
    flags.compile ^= bit;
    return bit != 0;
  }
  static std::optional<PosixEngine> compile(const std::string &pattern, const Flags &flags, std::string &why) {
    std::unique_ptr<regex_t, Free> compiled{new regex_t{}};
    if (const int error = ::regcomp(compiled.get(), pattern.c_str(), flags.compile)) {
      char text[256];
      ::regerror(error, compiled.get(), text, sizeof text);
      // What regcomp() refused has nothing to free.
      delete compiled.release();
      return why = text, std::nullopt;
    }
    return PosixEngine{std::move(compiled)};
  }

  std::size_t groups() const { return compiled_->re_nsub; }
  Match match(std::string_view key, std::vector<std::string_view> &groups) const {
    std::vector<regmatch_t> found(compiled_->re_nsub + 1);
    found[0] = {0, static_cast<regoff_t>(key.size())};
    const int result =
        ::regexec(compiled_.get(), key.data() ? key.data() : "", found.size(), found.data(), REG_STARTEND);
    if (result == REG_NOMATCH) return Match::No;
    if (result != 0) return Match::Failed;
    groups.assign(found.size(), {});
    for (std::size_t i = 0; i < found.size(); ++i)
      if (found[i].rm_so >= 0)
        groups[i] = key.substr(static_cast<std::size_t>(found[i].rm_so),
                               static_cast<std::size_t>(found[i].rm_eo - found[i].rm_so));
    return Match::Yes;
  }

 private:
  struct Free {
    void operator()(regex_t *r) const {
      ::regfree(r);
      delete r;
    }
  };
  explicit PosixEngine(std::unique_ptr<regex_t, Free> compiled) : compiled_(std::move(compiled)) {}

  std::unique_ptr<regex_t, Free> compiled_;
};

}  // namespace

ParsedTable parse_regexp_table(std::string_view text) { return PatternTable<PosixEngine>::parse(text); }

}  // namespace mansio::lookup
