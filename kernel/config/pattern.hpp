// Pattern: a Perl-compatible regular expression, compiled once. A text that it takes too long to judge does not match:
// expressions are the operator's, texts come from anywhere.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"

namespace mansio::config {

class Pattern {
 public:
  static Result<Pattern> compile(std::string_view expression);  // the error says what is wrong, and where
  bool matches(std::string_view text) const;                    // anywhere in it; case counts unless it says (?i)

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace mansio::config
