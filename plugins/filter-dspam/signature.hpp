// Finds DSPAM's signatures in mail that users send back: in its own header, in that of a message that is attached to it
// or quoted in its text, and in DSPAM's mark in a text ("!DSPAM:4f6a!"). Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::dspam {

constexpr std::size_t kMostSignatures = 50;

// In their order, each once, at most kMostSignatures. `header`: the field that bears them, such as
// "X-DSPAM-Signature". Parts in base64 are looked into.
std::vector<std::string> find_signatures(std::string_view message, std::string_view header);

}  // namespace mansio::dspam
