#include "plugins/transport-smtp/client/login.hpp"

#include <algorithm>

namespace mansio::smtp {

std::vector<std::string> login_keys(const NextHop &nexthop) {
  switch (nexthop.kind) {
    case NextHop::Kind::Unix:
      return {nexthop.key()};
    case NextHop::Kind::Domain:
      return {nexthop.key(), nexthop.name};
    default:
      return {nexthop.key(), '[' + nexthop.name + ']'};
  }
}

std::vector<std::string> login_keys(const Target &target) {
  if (target.unix_socket) return {};
  return {target.host};
}

std::optional<Login> parse_login(std::string_view value) {
  const auto colon = value.find(':');
  const bool control =
      std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == value.size() || control) return std::nullopt;
  return Login{std::string{value.substr(0, colon)}, std::string{value.substr(colon + 1)}};
}

Task<LoginAnswer> find_login(const Context &context, mansio_op op, std::vector<std::string> keys, Cancel &cancel) {
  const auto option = context.personality.prefix + std::string{"sasl_password_maps"};
  LoginAnswer answer;
  const auto fails = [&](plugin::Enhanced enhanced, const std::string &why) {
    if (!cancel.requested()) context.host.warn(option + ": " + why, op);
    answer.failure = plugin::defer(enhanced, option + ": Temporary lookup failure");
    answer.failure->relay("none");
  };
  for (const auto &key : keys) {
    for (const auto &table : context.options.sasl_password_maps) {
      const auto found = co_await plugin::TableLookup{context.host, table, key, &cancel};
      if (found.status() == MANSIO_NOT_FOUND) continue;
      auto login = found.status() == MANSIO_OK && found.values().size() == 1 ? parse_login(found.values().front())
                                                                             : std::nullopt;
      if (login)
        answer.login = std::move(*login);
      else if (found.status() == MANSIO_OK)
        fails({4, 3, 5}, "table " + table + " has for " + key + " something else than user:password");
      else
        fails({4, 3, 0}, "table " + table + " was asked in vain for " + key + ": " + found.text());
      co_return answer;
    }
  }
  co_return answer;
}

}  // namespace mansio::smtp
