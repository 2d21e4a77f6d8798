// Words of an operator's request, taken apart.
#pragma once

#include <string>
#include <string_view>

#include "kernel/queue/command.hpp"

namespace mansio::queue {

std::string_view match_of(const Command &command, std::string_view name);  // "": not given
// `states`: some, with commas between.
bool names_state(std::string_view states, std::string_view name);
// "example.com", or "@example.com" for it and its subdomains (RFC 1985 section 5.3).
bool names_domain(std::string_view wanted, std::string_view domain);
// "me@example.org"; "@example.org" or ".example.org" for all that end so, as a suspension takes them; "<>" for the null
// sender.
bool names_sender(std::string_view wanted, std::string_view sender);
// What a rebind says of where mail is to go, not of which mail: "to_transport", "to_nexthop", "to_pool".
inline bool is_target(const wire::QueueCommand &command, std::string_view key) {
  return command.verb == "rebind" && key.starts_with("to_");
}
// An option of qshape but "state": false if it is none; what it says of the buckets goes into `buckets` if given.
bool shape_option(const std::string &key, const std::string &value, Buckets *buckets = nullptr);

}  // namespace mansio::queue
