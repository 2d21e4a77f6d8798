#include "plugins/lua/objects.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/queued.hpp"
#include "plugins/lua/shapes.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kSession = "session", *kTransaction = "transaction";
constexpr const char *kSessionMeta = "session metadata", *kMessageMeta = "message metadata";

plugin::Stage &stage_of(Call &call) {
  auto *stage = call.stage();
  if (!stage) throw ScriptError{"there is no session here"};
  return *stage;
}

int session_field(lua_State *L) {
  auto &call = call_of(L, 1, kSession);
  auto &stage = stage_of(call);
  const auto key = text_at(L, 2, "the field");
  for (const auto &fact : kSessionFacts)
    if (fact.name == key) return push_fact(L, stage, fact), 1;
  if (key == "id")
    push(L, stage.session());
  else if (key == "meta")
    push_handle(L, kSessionMeta, call);
  else
    no_field(kSession, key, kSessionFields);
  return 1;
}

int transaction_field(lua_State *L) {
  auto &call = call_of(L, 1, kTransaction);
  auto &stage = stage_of(call);
  const auto key = text_at(L, 2, "the field");
  if (key == "session") {
    push_handle(L, kSession, call);
  } else if (key == "meta") {
    push_handle(L, kMessageMeta, call);
  } else if (key == "queue_id") {
    push(L, stage.queue_id());
  } else if (key == "sender") {
    push_address(L, stage.stage() == MANSIO_STAGE_MAIL ? stage.argument(0) : stage.macro("sender"), {});
  } else if (key == "recipient_count") {
    const auto value = stage.macro("recipient_count");
    lua_Integer number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    lua_pushinteger(L, number);
  } else {
    no_field(kTransaction, key, kTransactionFields);
  }
  return 1;
}

template <bool of_message>
int get_meta(lua_State *L) {
  auto &call = call_of(L, 1, of_message ? kMessageMeta : kSessionMeta);
  auto &stage = stage_of(call);
  const std::string key{text_at(L, 2, "the name")};
  const auto &set = call.set_meta(of_message);
  std::optional<std::string> value;
  if (const auto found = set.find(key); found != set.end())
    value = found->second;
  else
    value = of_message ? stage.message_value(key) : stage.session_value(key);
  if (value && !value->empty())
    push(L, *value);
  else
    lua_pushnil(L);
  return 1;
}

template <bool of_message>
int put_meta(lua_State *L) {
  auto &call = call_of(L, 1, of_message ? kMessageMeta : kSessionMeta);
  auto &stage = stage_of(call);
  const std::string key{text_at(L, 2, "the name")};
  const std::string value{lua_isnil(L, 3) ? std::string_view{} : text_at(L, 3, "the value")};
  if (!(of_message ? stage.set_message(key, value) : stage.set_session(key, value)))
    throw ScriptError{std::string{of_message ? kMessageMeta : kSessionMeta} + " cannot have \"" + key +
                      "\" here: names are [a-z0-9._-] and not Mansio's own, values up to 4 KiB, and those of a message "
                      "begin with MAIL and stay as they are once it is in the queue"};
  call.set_meta(of_message)[key] = value;
  return 0;
}

template <const char *const *type>
int no_assignment(lua_State *L) {
  throw ScriptError{std::string{*type} + " cannot be changed: \"" + std::string{text_at(L, 2, "the field")} +
                    "\"; notes go into its .meta"};
}
constexpr const char *kSessionName = kSession, *kTransactionName = kTransaction;

// The address and its ESMTP parameters.
void push_path(lua_State *L, const plugin::Stage &stage) {
  const auto &all = stage.arguments();
  const std::vector<std::string_view> parameters(all.begin() + (all.empty() ? 0 : 1), all.end());
  push_address(L, stage.argument(0), parameters);
}

// __index of a table; its type is the upvalue.
int not_in_table(lua_State *L) {
  const std::string type = lua_tostring(L, lua_upvalueindex(1));
  const auto key = text_at(L, 2, "the field");
  const auto &shape = *find_shape(type);
  if (std::find(shape.fields.begin(), shape.fields.end(), key) == shape.fields.end())
    throw ScriptError{type + (shape.handle ? " has no field \"" : " has no \"") + std::string{key} + '"' +
                      missing_field(type, key, shape.fields)};
  lua_pushnil(L);
  return 1;
}

}  // namespace

void push_number(lua_State *L, std::string_view text) {
  lua_Integer number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc{})
    lua_pushinteger(L, number);
  else
    push(L, text);
}

void push_fact(lua_State *L, const plugin::Stage &stage, const Fact &fact) {
  const auto value = stage.macro(fact.macro);
  if (fact.type == FactType::Boolean)
    lua_pushboolean(L, value == "true");
  else if (value.empty())
    lua_pushnil(L);
  else if (fact.type == FactType::Integer)
    push_number(L, value);
  else
    push(L, value);
}

void push_message_meta(lua_State *L, Call &call) { push_handle(L, kMessageMeta, call); }

void no_field(const char *type, std::string_view key, std::span<const std::string_view> known) {
  throw ScriptError{std::string{type} + " has no field \"" + std::string{key} + '"' + missing_field(type, key, known)};
}

Call &call_with(lua_State *L, std::uint64_t serial, const char *type) {
  auto *call = State::of(L).call();
  if (!call || call->serial() != serial)
    throw ScriptError{std::string{"a "} + type + " is good in its handler only, and that has ended"};
  return *call;
}

Call &call_of(lua_State *L, int index, const char *type) {
  return call_with(L, object_at<Handle>(L, index, type).serial, type);
}

void push_handle(lua_State *L, const char *type, const Call &call) {
  new_object<Handle>(L, type, Handle{call.serial()});
}

void push_known(lua_State *L, const std::string &text) {
  if (text.empty())
    lua_pushnil(L);
  else
    push(L, text);
}

void make_handle_type(lua_State *L, const char *type, lua_CFunction get, lua_CFunction put, const luaL_Reg *methods) {
  luaL_newmetatable(L, type);
  if (methods) {
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
  }
  lua_pushcclosure(L, get, methods ? 1 : 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, put);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void make_table_type(lua_State *L, const char *type, lua_CFunction text) {
  luaL_newmetatable(L, type);
  lua_pushstring(L, type);
  lua_pushcclosure(L, bound<not_in_table>, 1);
  lua_setfield(L, -2, "__index");
  push_no_new_field(L, type);
  lua_setfield(L, -2, "__newindex");
  if (text) {
    lua_pushcfunction(L, text);
    lua_setfield(L, -2, "__tostring");
  }
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

int text_of_address(lua_State *L) {
  lua_pushliteral(L, "address");
  lua_rawget(L, 1);
  return 1;
}

int takes_no_field(lua_State *L) {
  throw ScriptError{type_name(L, 1) + " cannot be changed: \"" + std::string{text_at(L, 2, "the field")} + '"'};
}

void make_object_types(lua_State *L) {
  make_handle_type(L, kSession, bound<session_field>, bound<no_assignment<&kSessionName>>);
  make_handle_type(L, kTransaction, bound<transaction_field>, bound<no_assignment<&kTransactionName>>);
  make_handle_type(L, kSessionMeta, bound<get_meta<false>>, bound<put_meta<false>>);
  make_handle_type(L, kMessageMeta, bound<get_meta<true>>, bound<put_meta<true>>);
  make_table_type(L, kAddressType, text_of_address);
  for (const auto *type : {kHeaderFieldType, kLeaseType, kOriginType, kRecordType, kResponseType})
    make_table_type(L, type);
  make_message_type(L);
  make_part_types(L);
  make_delivery_types(L);
  make_auth_types(L);
  make_event_type(L);
  make_queued_types(L);
}

int push_arguments(lua_State *L, Call &call) {
  const auto &stage = stage_of(call);
  if (is_of_queue(stage.stage())) return push_queued(L, call);
  switch (stage.stage()) {
    case MANSIO_STAGE_CONNECT:
    case MANSIO_STAGE_STARTTLS:
    case MANSIO_STAGE_DISCONNECT:
      push_handle(L, kSession, call);
      return 1;
    case MANSIO_STAGE_HELO:
      push_handle(L, kSession, call);
      push(L, stage.argument(0));
      return 2;
    case MANSIO_STAGE_AUTH:
      push_handle(L, kSession, call);
      push(L, stage.argument(0));
      push(L, stage.argument(1));
      return 3;
    default:
      break;
  }
  push_handle(L, kTransaction, call);
  switch (stage.stage()) {
    case MANSIO_STAGE_MAIL:
    case MANSIO_STAGE_RCPT:
      push_path(L, stage);
      return 2;
    case MANSIO_STAGE_HEADER:
      push(L, stage.argument(0));
      push(L, stage.argument(1));
      return 3;
    case MANSIO_STAGE_BODY:
      push(L, stage.argument(0));
      return 2;
    case MANSIO_STAGE_END_OF_MESSAGE:
      push_message(L, call);
      return 2;
    default:
      return 1;
  }
}

}  // namespace mansio::lua
