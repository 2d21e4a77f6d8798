// The words of a Lua source, for those who look at a script and do not run it.
//
// Lua has accepted the text before, so that what is wrong in it need not be explained; but the lexer takes any bytes,
// and ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mansio::lua {

enum class TokenKind : std::uint8_t { Name, Keyword, String, Number, Symbol, End, Wrong };

struct Token {
  TokenKind kind = TokenKind::End;
  std::uint32_t line = 1;
  std::string text{};  // of a String what it stands for, of the others as it is written

  bool is(TokenKind what, std::string_view word) const { return kind == what && text == word; }
};

class Lexer {
 public:
  // The text has to outlive it.
  explicit Lexer(std::string_view text) : text_(text) {}

  // The next word; End for ever after the last one, and Wrong for what is none.
  Token next();

 private:
  bool over() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  void new_line();
  bool skip_blanks();                // and comments; false for a comment without an end
  std::size_t long_bracket() const;  // the length of "[==[" here; 0: there is none
  bool read_long(std::size_t bracket, std::string *to);
  bool read_quoted(std::string &to);
  bool read_escape(std::string &to);
  bool read_code_point(std::string &to);
  bool read_number(std::string &to);
  Token symbol();

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
};

}  // namespace mansio::lua
