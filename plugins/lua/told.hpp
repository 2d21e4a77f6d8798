// What a script was told by a table or by the DNS, as one line for a recording: fields with tabs between them, such as
// "dns example.com MX ok", "10 mx.example.com". Any octets may be in a field: \t stands for a tab, \\ for a backslash.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mansio::lua {

inline constexpr std::string_view kToldLookup = "lookup";  // table, key; then an end, and values or why not
inline constexpr std::string_view kToldDns = "dns";        // name, type; then an end, and records or why not
// Ends.
inline constexpr std::string_view kToldOk = "ok", kToldNotFound = "not found", kToldDefer = "defer", kToldFail = "fail";
inline constexpr std::string_view kToldPreferences = "MX";  // records of this type are "PREFERENCE DATA"

// One more field; the first one of a line has no tab before it.
void append_told(std::string &line, std::string_view field);
std::vector<std::string> told_fields(std::string_view line);  // at least one, which may be empty

}  // namespace mansio::lua
