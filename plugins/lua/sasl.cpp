#include "plugins/lua/sasl.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace mansio::lua {

std::variant<plugin::Reply, Credentials> hear(const plugin::AuthStep &step, std::optional<std::string> &name) {
  const bool plain = step.mechanism == "PLAIN";
  if (!plain && step.mechanism != "LOGIN") return plugin::wrong_credentials("no mechanism of the script's");
  if (!step.has_response) return plugin::challenge(plain ? "" : "Username:");
  if (!plain && !name) {  // it may come with the command
    name = step.response;
    return plugin::challenge("Password:");
  }
  Credentials given;
  if (plain) {
    auto message = plugin::parse_plain(step.response);
    if (!message) return plugin::wrong_credentials("no message of PLAIN");
    if (!message->identity.empty() && message->identity != message->user)
      return plugin::wrong_credentials("nobody may act for others");
    given = {std::move(message->user), std::move(message->password)};
  } else {
    given = {*name, step.response};
  }
  if (!is_user(given.user)) return plugin::wrong_credentials("no name");
  if (given.password.empty()) return plugin::wrong_credentials("no password");
  return given;
}

bool is_user(std::string_view name) {
  constexpr std::size_t kLongestUser = 255;
  return !name.empty() && name.size() <= kLongestUser && std::none_of(name.begin(), name.end(), [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 0x20 || octet == 0x7f;
  });
}

}  // namespace mansio::lua
