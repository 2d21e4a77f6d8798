// One SMTP command line, taken apart (RFC 5321 section 4.1.1, RFC 3030 BDAT). Pure: the views of the result point
// into the line. Only the shape is judged here; what addresses and parameters mean is params.hpp's affair.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mansio::ingress {

enum class Verb : std::uint8_t {
  Unknown,
  Helo,
  Ehlo,
  Mail,
  Rcpt,
  Data,
  Bdat,
  Rset,
  Noop,
  Vrfy,
  Help,
  Quit,
  StartTls,
  Etrn,
  XForward,
  Auth,
  Unimplemented,  // SMTP, but not offered: EXPN, TURN, SEND, SOML, SAML
  NotSmtp,        // another protocol's first words (HTTP, TLS): the client is lost
};
std::string_view name(Verb verb);

// Why a line with a known verb is refused.
enum class Syntax : std::uint8_t {
  Ok,
  MissingArgument,  // HELO without a name, BDAT without a size, XFORWARD without attributes, AUTH without a mechanism
  ExtraArgument,    // DATA, RSET, QUIT or STARTTLS with one, ETRN with two, AUTH with three
  BadPath,          // MAIL/RCPT without FROM:/TO: or a path that ends
  BadParameter,     // not keyword[=value]
  TooManyParameters,
  BadNumber,  // BDAT size
};

struct Parameter {
  std::string_view keyword, value;  // value: "" also when there was no '='
  bool has_value = false;
};

struct Command {
  Verb verb = Verb::Unknown;
  Syntax syntax = Syntax::Ok;
  std::string_view argument;          // all after the verb, trimmed
  std::string_view path;              // MAIL, RCPT: with its angle brackets, if it has them
  std::string_view mechanism;         // AUTH
  std::string_view initial_response;  // AUTH: as it came, "=" for an empty one; "" when there is none
  std::array<Parameter, 16> parameters;
  std::size_t parameter_count = 0;
  std::uint64_t chunk_size = 0;  // BDAT
  bool last = false;             // BDAT LAST
};

// `line` without its line end.
Command parse_command(std::string_view line);

}  // namespace mansio::ingress
