// The envelope as a web server gets it: header fields of a raw message, or the beginning of a JSON object that the
// message ends. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mansio/plugin.hpp"

namespace mansio::http {

// "Name: value", for both formats and for raw messages.
std::vector<std::string> header_fields(const plugin::Delivery &mail, bool raw);

// {"queue_id":...,"message":" : base64 of the message and "} follow.
std::string json_head(const plugin::Delivery &mail);

// A JSON string with its quotes; what is no UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text);

}  // namespace mansio::http
