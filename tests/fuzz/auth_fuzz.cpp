// What AUTH brings from outside: the command line, responses in base64, and what Dovecot answers. Base64 has one
// reading or none; what is read of an answer is fit for its use.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kernel/host/auth.hpp"
#include "kernel/ingress/command.hpp"
#include "kernel/mail/base64.hpp"
#include "mansio/auth.hpp"
#include "plugins/auth-dovecot/protocol.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::auth {
namespace {

void decode(std::string_view text) {
  const auto decoded = base64_decode(text);
  if (decoded && base64_encode(*decoded) != text) std::abort();
  if (!decoded) return;
  const auto plain = plugin::parse_plain(*decoded);
  if (plain && (plain->user.empty() || plain->password.empty())) std::abort();
}

}  // namespace

MANSIO_FUZZ_TARGET("auth-fuzz", data, size) {
  const std::string_view text{reinterpret_cast<const char *>(data), size};
  const auto line = text.substr(0, text.find('\n'));
  const auto command = ingress::parse_command(line);
  if (command.verb == ingress::Verb::Auth && command.syntax == ingress::Syntax::Ok) {
    if (command.mechanism.empty() || command.mechanism.find(' ') != std::string_view::npos) std::abort();
    decode(command.initial_response);
  }
  decode(line);
  if (base64_decode(base64_encode(text)) != std::string{text}) std::abort();

  const auto names = host::canonical_mechanisms(line);
  if (host::canonical_mechanisms(names) != names) std::abort();

  const auto answer = dovecot::parse_answer(line);
  using Kind = dovecot::Answer::Kind;
  if (answer.kind == Kind::Ok && answer.user.empty()) std::abort();
  if (answer.kind == Kind::Continue && !answer.data) std::abort();
  for (const char c : answer.text)
    if (static_cast<unsigned char>(c) < 0x20) std::abort();
  return 0;
}

}  // namespace mansio::fuzz::auth
