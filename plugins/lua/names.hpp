// What somebody may have meant by a name that does not exist.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::lua {

// The nearest of `known` by edit distance, when it is near enough to be a slip; "" otherwise.
std::string_view nearest(std::string_view given, std::span<const std::string_view> known);

// `; did you mean "rcpt"?`, or "". "helo" may also be meant as "helo_name".
std::string did_you_mean(std::string_view given, std::span<const std::string_view> known);
// The same; or, where none is near and there are few, all of them: `; there is connect, helo, ...`.
std::string did_you_mean_or(std::string_view given, std::span<const std::string_view> known);

// The same of a field that an object does not have, which another one may have.
std::string missing_field(std::string_view object, std::string_view field, std::span<const std::string_view> known);

// The same of a name that the table ("_G", "os") does not have; of what Lua has there and scripts do not: that it is
// off, or not offered.
std::string missing_name(std::string_view table, std::string_view given, std::vector<std::string> known);

// What of kLibraries a function of `mansio` needs: "http" of "mansio.http.get"; "" of others. And what is said where
// the configuration does not allow that.
std::string_view library_of(std::string_view function);
std::string library_is_off(std::string_view function, std::string_view library);

// What is said against a type of records that mansio.dns() has not, a limit that mansio.take_permits() has not, and a
// text that is no time.
std::string no_record_type(std::string_view given);
std::string no_queue_limit(std::string_view given);
std::string no_time(std::string_view what, std::string_view given);

}  // namespace mansio::lua
