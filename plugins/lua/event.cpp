#include "plugins/lua/event.hpp"

#include <algorithm>
#include <string_view>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/objects.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kEventType = "event";
constexpr int kEventFieldsSlot = 1;  // the user value of an event

int event_field(lua_State *L) {
  const auto &event = call_of(L, 1, kEventType).asked<EventWork>()->event();
  const auto key = text_at(L, 2, "the field");
  if (key == "name") {
    push(L, event.name);
  } else if (key == "time") {
    lua_pushnumber(L, static_cast<lua_Number>(event.time) / 1e9);
  } else if (key == "queue_id") {
    push_known(L, event.queue_id);
  } else if (key == "recipient") {
    if (event.recipient.empty())
      lua_pushnil(L);
    else
      push_address(L, event.recipient, {});
  } else if (key == "fields") {
    lua_getiuservalue(L, 1, kEventFieldsSlot);
  } else {
    no_field(kEventType, key, kMessageEventFields);
  }
  return 1;
}

plugin::Reply nothing_said(lua_State *L, Call &call, std::string_view event) {
  if (!lua_isnil(L, -1))
    throw ScriptError{call.place(L) + ": the handler returned " + type_name(L, -1) + ", expected nothing: \"" +
                      std::string{event} + "\" has happened, and nobody waits for an answer"};
  return plugin::Reply{MANSIO_OK};
}

}  // namespace

ToldEvent::ToldEvent(const plugin::Event &event)
    : kind(event.event()),
      name(event.name()),
      queue_id(event.queue_id()),
      recipient(event.recipient()),
      time(event.time()) {
  fields.reserve(event.fields().size());
  for (const auto &field : event.fields()) fields.emplace_back(plugin::string(field.name), plugin::string(field.value));
}

void make_event_type(lua_State *L) { make_handle_type(L, kEventType, bound<event_field>, bound<takes_no_field>); }

// A line of the log is a text; what is in it costs a script only where it looks.
int EventWork::push(lua_State *L, Call &call) {
  if (event_.kind == MANSIO_EVENT_LOG) {
    const auto line = std::find_if(event_.fields.begin(), event_.fields.end(),
                                   [](const auto &field) { return field.first == "line"; });
    const std::string_view text = line == event_.fields.end() ? std::string_view{} : std::string_view{line->second};
    call.state().charge(L, 20 + text.size() / 16);
    lua::push(L, text);
    return 1;
  }
  call.state().charge(L, 10 * event_.fields.size());
  new (lua_newuserdatauv(L, sizeof(Handle), kEventFieldsSlot)) Handle{call.serial()};
  luaL_setmetatable(L, kEventType);
  lua_createtable(L, 0, static_cast<int>(event_.fields.size()));
  for (const auto &[name, value] : event_.fields) {
    if (value.empty()) continue;  // as if it were not there
    lua::push(L, name);
    lua::push(L, value);
    lua_rawset(L, -3);
  }
  lua_setiuservalue(L, -2, kEventFieldsSlot);
  return 1;
}

plugin::Reply EventWork::result(lua_State *L, Call &call) { return nothing_said(L, call, event_.name); }

int AbortWork::push(lua_State *L, Call &) {
  lua::push(L, session_);
  lua::push(L, queue_id_);
  return 2;
}

plugin::Reply AbortWork::result(lua_State *L, Call &call) { return nothing_said(L, call, kAbortEvent.name); }

}  // namespace mansio::lua
