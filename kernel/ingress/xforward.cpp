#include "kernel/ingress/xforward.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "kernel/config/network.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/mail/dsn_params.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

constexpr std::size_t kLongestValue = 255;  // of a value, decoded
constexpr std::size_t kLongestProtocol = 64;

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_';
  });
}

// "2001:db8::1" with or without "IPV6:" before it.
bool read_address(std::string_view text, std::string &to) {
  constexpr std::string_view kTag = "IPV6:";
  const bool tagged = equals_nocase(text.substr(0, kTag.size()), kTag);
  if (tagged) text.remove_prefix(kTag.size());
  const bool v6 = text.find(':') != text.npos;
  if (text.starts_with('[') || (tagged && !v6) || !config::parse_ip(text)) return false;
  to = lower(text);
  return true;
}

bool read_port(std::string_view text, std::uint16_t &to) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
  return error == std::errc{} && end == text.data() + text.size() && to != 0;
}

// Null value: not known. False: no such value.
bool set_attribute(std::string_view name, const std::optional<std::string> &value, Origin &origin, bool &known_name) {
  known_name = true;
  const auto text = value ? std::string_view{*value} : std::string_view{};
  if (equals_nocase(name, "NAME")) {
    origin.name = text;
    return !value || ascii_domain(text).has_value();
  }
  if (equals_nocase(name, "ADDR")) {
    origin.address.clear();
    return !value || read_address(text, origin.address);
  }
  if (equals_nocase(name, "PORT")) {
    origin.port = 0;
    return !value || read_port(text, origin.port);
  }
  if (equals_nocase(name, "PROTO")) {
    origin.protocol = text;
    return !value || (is_word(text) && text.size() <= kLongestProtocol);
  }
  if (equals_nocase(name, "HELO")) {
    origin.helo = text;
    return true;
  }
  if (equals_nocase(name, "IDENT")) {
    origin.ident = text;
    return true;
  }
  if (equals_nocase(name, "SOURCE")) {
    origin.local = equals_nocase(text, "LOCAL");
    return !value || origin.local || equals_nocase(text, "REMOTE");
  }
  known_name = false;
  return false;
}

}  // namespace

std::optional<Reply> read_xforward(std::string_view attributes, Origin &origin) {
  const auto bad = [](std::string text) { return Reply{501, {5, 5, 4}, std::move(text)}; };
  auto now = origin;
  while (!attributes.empty()) {
    const auto word = attributes.substr(0, attributes.find_first_of(" \t"));
    attributes.remove_prefix(std::min(word.size() + 1, attributes.size()));
    if (word.empty()) continue;
    const auto equals = word.find('=');
    if (equals == word.npos || equals == 0) return bad("Error: attribute=value expected");
    const auto name = word.substr(0, equals);
    const auto shown = printable(name.substr(0, 32), false);
    const auto decoded = xtext_decode(word.substr(equals + 1));
    if (!decoded || decoded->size() > kLongestValue) return bad("Error: bad value of attribute " + shown);
    // What is no printable ASCII would go into logs, and into the commands of the next hop.
    std::optional<std::string> value;
    const bool unknown = equals_nocase(*decoded, "[UNAVAILABLE]") || equals_nocase(*decoded, "[TEMPUNAVAIL]");
    if (!unknown) value = printable(*decoded, false);
    bool known_name = false;
    if (!set_attribute(name, value, now, known_name))
      return bad((known_name ? "Error: bad value of attribute " : "Error: no such attribute: ") + shown);
  }
  origin = std::move(now);
  return std::nullopt;
}

}  // namespace mansio::ingress
