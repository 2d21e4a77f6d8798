// mansio.spawn: a function that runs beside, so that a call may wait for several things at once. It begins when the one
// that began it waits or ends; all of them share their call's budgets, its state and its end.
#include <cstdint>
#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/wait.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kTaskType = "task";
struct Task {
  std::uint64_t serial, number;  // of its call, and in it
};

// mansio.spawn(function, ...)
int spawn(lua_State *L) {
  auto &call = Call::running(L, "mansio.spawn");
  expect_function<"mansio.spawn">(L);
  call.state().charge(L, 500);
  const Task task{call.serial(), call.spawn(L, lua_gettop(L) - 1).number};
  new_object<Task>(L, kTaskType, task);
  return 1;
}

// task:join(): waits for its end, and returns what it returned; its error is one here.
int join(lua_State *L) {
  const auto handle = object_at<Task>(L, 1, kTaskType);
  if (Call::running(L, "a task").serial() != handle.serial)
    throw ScriptError{"a task is good in its handler only, and that has ended"};
  auto &call = Call::may_wait(L, "task:join");
  auto *const task = call.task(handle.number);
  if (task && call.is_current(*task)) throw ScriptError{"a task cannot join itself"};
  if (!task || task->joined) throw ScriptError{"the task has been joined before"};
  task->joined = true;
  if (task->ended) return call.take_results(L, *task);
  auto &wait = call.begin_wait("a task");
  task->joiner = &wait;
  wait.stop = [task, &wait] {
    task->joiner = nullptr;
    wait.engine->forget(wait);
  };
  return wait_for_it(L, call);
}

}  // namespace

void add_spawn(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {{"join", bound<join>}, {nullptr, nullptr}};
  make_type(L, kTaskType, kMethods, nullptr);
  lua_pushcfunction(L, bound<spawn>);
  lua_setfield(L, -2, "spawn");
}

}  // namespace mansio::lua
