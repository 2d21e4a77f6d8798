// What a test file finds beside Lua's own libraries: the table `test`, in Lua.
#pragma once

namespace mansio::lua::tool {

// Chunks, called in this order with one table that they share; add_primitives() has filled it, and it has "directory"
// (of the test file, with its slash), "update" (golden files are written) and "cases" (empty). The last one returns a
// function that runs a case: (its function) -> nothing, or an error and what its scripts wrote to the log.
extern const char *const kSessions;
extern const char *const kKinds;
extern const char *const kServers;
extern const char *const kAssertions;

inline constexpr const char *kLibraryName = "=mansio lua test";

}  // namespace mansio::lua::tool
