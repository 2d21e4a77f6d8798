// Content-Transfer-Encoding (RFC 2045 section 6) undone piece by piece. What is not as it should be is passed over in
// base64, and stays as it is in quoted-printable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mansio::mime {

enum class Encoding { None, Base64, QuotedPrintable };

// By the value of the field; what is not known is none.
Encoding encoding_of(std::string_view field);

class Decoder {
 public:
  // add() gives no more octets than it got, and these.
  static constexpr std::size_t kMostHeld = 136;

  explicit Decoder(Encoding encoding) : encoding_(encoding) {}

  void add(std::string_view piece, std::string &out);
  void finish(std::string &out);  // there is no more
  // How many octets are to be added so that about n come out.
  std::size_t octets_for(std::size_t n) const { return encoding_ == Encoding::Base64 ? n / 3 * 4 + 4 : n; }

 private:
  void add_base64(char c, std::string &out);
  void flush_base64(std::string &out);
  void add_quoted(char c, std::string &out);
  void flush_held(std::string &out);

  enum class State { Text, Blanks, Equals, Digit, EqualsBlanks };
  Encoding encoding_;
  State state_ = State::Text;
  std::uint32_t bits_ = 0;  // of base64, and how many characters they are from
  unsigned characters_ = 0;
  std::array<char, 130> held_{};  // what depends on what comes next
  std::size_t held_size_ = 0;
};

}  // namespace mansio::mime
