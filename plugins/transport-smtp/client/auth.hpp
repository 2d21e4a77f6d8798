// AUTH towards a server (RFC 4954), on a connection that has said EHLO.
//
// What is secret goes to the server and nowhere else: a server that repeats what it was told is not quoted.
#pragma once

#include <optional>

#include "plugins/transport-smtp/client/connection.hpp"

namespace mansio::smtp {

// nullopt: the server knows `login` now. Else why the connection is of no use for mail that needs it; the server may
// be in the middle of the exchange then.
Task<std::optional<plugin::Reply>> authenticate(const Context &context, Connection &connection, const Login &login);

}  // namespace mansio::smtp
