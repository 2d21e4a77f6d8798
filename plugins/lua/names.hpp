// What somebody may have meant by a name that does not exist.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mansio::lua {

// The nearest of `known` by edit distance, when it is near enough to be a slip; "" otherwise.
std::string_view nearest(std::string_view given, std::span<const std::string_view> known);

// `; did you mean "rcpt"?`, or "".
std::string did_you_mean(std::string_view given, std::span<const std::string_view> known);

// What is said against a type of records that mansio.dns() has not, a limit that mansio.take_permits() has not, and a
// text that is no time.
std::string no_record_type(std::string_view given);
std::string no_queue_limit(std::string_view given);
std::string no_time(std::string_view what, std::string_view given);

}  // namespace mansio::lua
