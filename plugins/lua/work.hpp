// What a script is asked for beside the stages of sessions: a key of a table, a delivery, a step of AUTH, a lease of a
// limit; or what it is told. Each knows what its function gets, and what a result, an error and a call that was ended
// from outside are to the host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mansio/host.hpp"
#include "plugins/lua/lua_api.hpp"
#include "plugins/lua/verdict.hpp"

namespace mansio::lua {

class Call;

class Work {
 public:
  Work() = default;
  virtual ~Work() = default;
  Work(const Work &) = delete;
  Work &operator=(const Work &) = delete;

  // The arguments of the function; returns how many.
  virtual int push(lua_State *L, Call &call) = 0;
  // How many values of what it returns are looked at; those that it does not return are nil.
  virtual int results() const { return 1; }
  // What the function returned, which is on top. Throws ScriptError for what is no result.
  virtual plugin::Reply result(lua_State *L, Call &call) = 0;
  // An error that holds a verdict, and that nobody caught; nothing: it is a fault like any other.
  virtual std::optional<plugin::Reply> thrown(const Verdict &) { return std::nullopt; }
  virtual plugin::Reply fault(const std::string &why) { return plugin::Reply{MANSIO_INTERNAL, {}, why}; }
  // Ended from outside; nothing: a fault where its time is over, and otherwise nobody's answer.
  virtual std::optional<plugin::Reply> interrupted() const { return std::nullopt; }
  virtual std::int64_t deadline() const = 0;  // the host's; monotonic ns
  // Of the message that the call is about, where the host has no operation that knows it; "" otherwise.
  virtual std::string_view queue_id() const { return {}; }
};

}  // namespace mansio::lua
