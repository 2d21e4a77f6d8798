// mansio.state_directory(): where a script may write, and nobody else does.
#include "plugins/lua/bind.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

int state_directory(lua_State *L) {
  const auto &path = State::of(L).engine().settings().state_directory;
  if (path.empty())
    throw ScriptError{
        "there is no directory for this script's state here: it has one where a running Mansio gives it a process of "
        "its own (isolation = \"process\" in its table of the configuration), but not in the processes that ask it, "
        "nor for `mansio lookup`"};
  push(L, path);
  return 1;
}

}  // namespace

void add_state_directory(lua_State *L) {
  lua_pushcfunction(L, bound<state_directory>);
  lua_setfield(L, -2, "state_directory");
}

}  // namespace mansio::lua
