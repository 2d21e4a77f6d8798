// Results of regexp_table(5) and pcre_table(5): $1, ${1} and $(1) stand for what a group of the pattern matched, $$ for
// a dollar sign. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::lookup {

class Substitution {
 public:
  // False, and `why`, when the text cannot be understood.
  bool parse(std::string_view text, std::string &why);
  // The highest group that it names; 0: none.
  std::size_t groups() const { return groups_; }
  // `matched(n)` is the text of group n, empty for one that took no part.
  template <class F>
  std::string apply(F matched) const {
    std::string out;
    for (const auto &piece : pieces_) {
      out += piece.literal;
      if (piece.group != 0) out += matched(piece.group);
    }
    return out;
  }

 private:
  struct Piece {
    std::string literal;
    std::size_t group;  // after the literal; 0: none
  };
  std::vector<Piece> pieces_;
  std::size_t groups_ = 0;
};

}  // namespace mansio::lookup
