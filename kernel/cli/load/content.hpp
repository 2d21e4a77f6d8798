// What `mansio source` sends: patterns filled in, bodies in the form that a protocol wants. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mansio::cli::load {

// "{n}" message, "{s}" session, "{r}" recipient, "{d}" message modulo `domains`.
std::string fill_in(std::string_view pattern, std::uint64_t message, std::size_t session, std::size_t recipient,
                    std::uint64_t domains = 1);

enum class LineForm { Smtp, Qmqp };  // CRLF with dots stuffed, or LF as it is

// Text of `size` octets with its line ends, or a few less.
std::string generated_body(std::size_t size, LineForm form);
// Any text with lines of any kind; the last line is ended.
std::string prepared(std::string_view content, LineForm form);

}  // namespace mansio::cli::load
