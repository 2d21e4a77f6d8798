// One SMTP command line: every view of the result lies inside the line, and parameters parse or are refused.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kernel/ingress/command.hpp"
#include "kernel/ingress/params.hpp"
#include "kernel/mail/address.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::command {
namespace {

bool inside(std::string_view whole, std::string_view part) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

MANSIO_FUZZ_TARGET("command-fuzz", data, size) {
  const std::string_view line{reinterpret_cast<const char *>(data), size};
  const auto c = ingress::parse_command(line);
  if (!inside(line, c.argument) || !inside(line, c.path)) std::abort();
  for (std::size_t i = 0; i < c.parameter_count; ++i)
    if (!inside(line, c.parameters[i].keyword) || !inside(line, c.parameters[i].value)) std::abort();
  const auto all = [](std::string_view) { return true; };
  if (c.syntax != ingress::Syntax::Ok) return 0;
  if (c.verb == ingress::Verb::Mail) {
    ingress::MailParameters p;
    (void)ingress::read_parameters(c, all, p);
    (void)parse_reverse_path(c.path, {.smtputf8 = p.smtputf8, .strict = false});
  } else if (c.verb == ingress::Verb::Rcpt) {
    ingress::RcptParameters p;
    (void)ingress::read_parameters(c, all, true, p);
    (void)parse_forward_path(c.path, {.smtputf8 = true, .strict = false});
  }
  return 0;
}

}  // namespace mansio::fuzz::command
