// As whom to authenticate: what sasl_password_maps have for a next hop, or for the server that it leads to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plugins/transport-smtp/client/connection.hpp"

namespace mansio::smtp {

// What the tables are asked for: the next hop as a route names it, with its port and without.
std::vector<std::string> login_keys(const NextHop &nexthop);
// ... and the server's name, without its port.
std::vector<std::string> login_keys(const Target &target);

// "user:password"; nullopt if it is not.
std::optional<Login> parse_login(std::string_view value);

struct LoginAnswer {
  Login login;                           // empty: the tables have none
  std::optional<plugin::Reply> failure;  // one of them cannot say, and the log why: nobody may get the mail
};
// The first of the keys that a table has counts.
Task<LoginAnswer> find_login(const Context &context, mansio_op op, std::vector<std::string> keys, Cancel &cancel);

}  // namespace mansio::smtp
