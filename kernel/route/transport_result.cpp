#include "kernel/route/transport_result.hpp"

#include <fmt/format.h>

#include "kernel/config/syntax.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/route/text.hpp"

namespace mansio::route {
namespace {

// "5.1.1 no such user"; without a code of the right class one is put before it.
Refusal refusal(std::uint16_t code, std::string_view text) {
  const auto said = printable(text, false);
  const auto cls = std::to_string(code / 100);
  if (auto exact = parse_refusal(fmt::format("{} {}", code, said))) return *exact;
  const auto with = fmt::format("{} {}.0.0 {}", code, cls, said.empty() ? "not delivered" : said);
  return parse_refusal(with).value_or(Refusal{451, {4, 3, 5}, "Server configuration error"});
}

}  // namespace

Result<std::string> parse_nexthop(std::string_view text) {
  std::string nexthop{trimmed(text)};
  if (nexthop.empty() || !config::kNexthop.canonical(nexthop))
    return Error{Status::BadConfig,
                 fmt::format("\"{}\" is not {}", printable(text.substr(0, 100), false), config::kNexthop.expected)};
  return nexthop;
}

Result<TransportResult> parse_transport(std::string_view text, const config::Settings &settings) {
  text = trimmed(text);
  const auto colon = text.find(':');
  TransportResult out;
  out.transport = trimmed(text.substr(0, colon));
  const auto rest = colon == text.npos ? std::string_view{} : trimmed(text.substr(colon + 1));
  if (!out.transport.empty() && !settings.transport(out.transport)) {
    if (out.transport != "error" && out.transport != "retry")
      return Error{Status::BadConfig, fmt::format("there is no [transport.{}]", printable(out.transport, false))};
    out.refusal = refusal(out.transport == "error" ? 550 : 450, rest);
    out.transport.clear();
    return out;
  }
  if (rest.empty()) return out;
  auto nexthop = parse_nexthop(rest);
  if (!nexthop) return nexthop.error();
  out.nexthop = std::move(*nexthop);
  return out;
}

}  // namespace mansio::route
