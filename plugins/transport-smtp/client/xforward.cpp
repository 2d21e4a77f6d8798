#include "plugins/transport-smtp/client/xforward.hpp"

#include <span>
#include <string_view>
#include <utility>

#include "plugins/transport-smtp/client/envelope.hpp"
#include "plugins/transport-smtp/client/reply.hpp"

namespace mansio::smtp {
namespace {

constexpr std::size_t kLongest = 255;  // of a value, as servers take it

struct Attribute {
  ForwardAttribute bit;
  const char *name;
  std::string value;  // "" = not known
};

std::string command(std::span<const Attribute> attributes, std::uint32_t offered) {
  std::string out;
  for (const auto &[bit, name, value] : attributes) {
    if ((offered & bit) == 0) continue;
    if (out.empty()) out = "XFORWARD";
    out += ' ';
    out += name;
    out += '=';
    out += value.empty() ? "[UNAVAILABLE]" : xtext(std::string_view{value}.substr(0, kLongest));
  }
  if (!out.empty()) out += "\r\n";
  return out;
}

// Of a host before 1.1, which tells less.
plugin::Origin client_of(const plugin::Delivery &delivery) {
  plugin::Origin origin;
  const bool remote = !delivery.client_address.empty() && delivery.client_address != "unix";
  origin.source = remote ? MANSIO_ORIGIN_REMOTE : MANSIO_ORIGIN_LOCAL;
  if (remote) origin.address = delivery.client_address;
  if (delivery.client_name != "unknown") origin.name = delivery.client_name;
  origin.helo = delivery.client_helo;
  origin.ident = delivery.queue_id;
  return origin;
}

}  // namespace

std::vector<std::string> xforward_commands(const plugin::Delivery &delivery, std::uint32_t offered) {
  const auto origin = delivery.origin.source == MANSIO_ORIGIN_UNKNOWN ? client_of(delivery) : delivery.origin;
  const bool v6 = origin.address.find(':') != std::string::npos;
  const Attribute first[] = {{kForwardName, "NAME", origin.name},
                             {kForwardAddr, "ADDR", (v6 ? "IPV6:" : "") + origin.address},
                             {kForwardPort, "PORT", origin.port == 0 ? "" : std::to_string(origin.port)}};
  const Attribute second[] = {{kForwardProto, "PROTO", origin.protocol},
                              {kForwardHelo, "HELO", origin.helo},
                              {kForwardIdent, "IDENT", origin.ident},
                              {kForwardSource, "SOURCE", origin.source == MANSIO_ORIGIN_LOCAL ? "LOCAL" : "REMOTE"}};
  std::vector<std::string> commands;
  for (auto text : {command(first, offered), command(second, offered)})
    if (!text.empty()) commands.push_back(std::move(text));
  return commands;
}

}  // namespace mansio::smtp
