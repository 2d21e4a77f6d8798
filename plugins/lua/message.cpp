// The message at its end, or of a delivery: its header fields, its body as a stream, and edits, which the host collects
// and applies as a whole when the call ends without objection. What is read is the message as it came.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "mansio/draft/services.h"
#include "plugins/common/ascii.hpp"
#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/objects.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kMessageType = "message", *kVersionType = "version";
constexpr std::int64_t kMostFields = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t kUsualPiece = 32 << 10, kLargestPiece = 1 << 20;

// Before and after: to read them is work, too.
void charge_for_fields(lua_State *L, Call &call) {
  call.state().charge(L, 50);
  call.state().charge(L, call.content().fields().size());
}

// message:header(name [, nth]): the value, or nil.
int header(lua_State *L) {
  auto &call = call_of(L, 1, kMessageType);
  const auto name = text_at<"message:header">(L);
  auto nth = lua_isnoneornil(L, 3) ? 1 : integer_at<"message:header", 2>(L, 1, kMostFields);
  charge_for_fields(L, call);
  for (const auto &field : call.content().fields())
    if (ascii::equal_fold(field.name, name) && --nth == 0) return push(L, field.value), 1;
  lua_pushnil(L);
  return 1;
}

// message:headers(): a list of {name =, value =}.
int headers(lua_State *L) {
  auto &call = call_of(L, 1, kMessageType);
  charge_for_fields(L, call);
  call.state().charge(L, 10 * call.content().fields().size());
  push_fields(L, call.content().fields());
  return 1;
}

// Up to n bytes from `offset`, as a string; false at the end.
bool push_piece(lua_State *L, Call &call, std::uint64_t offset, std::size_t n) {
  call.state().charge(L, 100 + n / 16);
  luaL_Buffer buffer;
  char *to = luaL_buffinitsize(L, &buffer, n);
  std::size_t got = 0;
  while (got < n) {
    const auto more = call.content().read(offset + got, to + got, n - got);
    if (more == 0) break;
    got += more;
  }
  luaL_pushresultsize(&buffer, got);
  return got != 0;
}

// The iterator of message:body() and raw(); upvalues: the message, the next offset, the size of a piece.
int next_piece(lua_State *L) {
  auto &call = call_of(L, lua_upvalueindex(1), kMessageType);
  const auto offset = static_cast<std::uint64_t>(lua_tointeger(L, lua_upvalueindex(2)));
  const auto size = static_cast<std::size_t>(lua_tointeger(L, lua_upvalueindex(3)));
  if (!push_piece(L, call, offset, size)) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, static_cast<lua_Integer>(offset + lua_rawlen(L, -1)));
  lua_replace(L, lua_upvalueindex(2));
  return 1;
}

// for piece in message:body([bytes]) do ... end; message:raw([bytes]) has the header section, too.
template <bool with_header>
int pieces(lua_State *L) {
  auto &call = call_of(L, 1, kMessageType);
  const auto size = lua_isnoneornil(L, 2) ? kUsualPiece : integer_at<"message:body">(L, 1, kLargestPiece);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, with_header ? 0 : static_cast<lua_Integer>(call.content().body_begins()));
  lua_pushinteger(L, size);
  lua_pushcclosure(L, bound<next_piece>, 3);
  return 1;
}

// message:text([most]): the first bytes of the body, 64 KiB unless told.
int text(lua_State *L) {
  auto &call = call_of(L, 1, kMessageType);
  const auto most = lua_isnoneornil(L, 2) ? 65536 : integer_at<"message:text">(L, 1, std::int64_t{1} << 30);
  const auto begin = call.content().body_begins();
  const auto left = call.content().size() - std::min(begin, call.content().size());
  push_piece(L, call, begin, static_cast<std::size_t>(std::min<std::uint64_t>(left, static_cast<std::uint64_t>(most))));
  return 1;
}

struct MessageVersion {
  std::uint64_t serial;  // of its call
  std::uint32_t number;
};

// The first argument is the message, or a version of it.
Call &edited_call(lua_State *L, std::uint32_t &version) {
  const auto *const its = static_cast<const MessageVersion *>(luaL_testudata(L, 1, kVersionType));
  version = its ? its->number : 0;
  return its ? call_with(L, its->serial, kVersionType) : call_of(L, 1, kMessageType);
}

// What can be edited: the edit service and its first arguments.
struct Edited {
  const mansio_host_edit &service;
  const mansio_host *host;
  mansio_op op;
  std::uint32_t version;
};
Edited edited(lua_State *L, const char *what) {
  std::uint32_t version = 0;
  auto &call = edited_call(L, version);
  if (!call.stage())
    throw ScriptError{std::string{what} + " is for filters; a transport delivers the message as it is"};
  std::size_t octets = 0;
  for (int i = lua_gettop(L); i > 1; --i)
    if (lua_type(L, i) == LUA_TSTRING) octets += lua_rawlen(L, i);
  call.state().charge(L, 100 + octets / 16);
  const auto &host = *call.engine().host();
  return {*host.service<mansio_host_edit>("mansio.host.edit/1~draft"), host.raw(), call.op(), version};
}

// What the host says to an edit; f(Edited).
template <class F>
int edit(lua_State *L, const char *what, F f) {
  const auto status = f(edited(L, what));
  if (status == MANSIO_UNSUPPORTED)
    throw ScriptError{std::string{what} + " is for filters, at the end of the message; this is a policy"};
  if (status != MANSIO_OK) throw ScriptError{std::string{what} + " was refused: no such name, value or address can be"};
  return 0;
}

int add_header(lua_State *L) {
  const auto name = text_at<"message:add_header">(L), value = text_at<"message:add_header", 2>(L);
  return edit(L, "add_header", [&](const Edited &e) {
    return e.service.add_header(e.host, e.op, e.version, plugin::str(name), plugin::str(value));
  });
}
int insert_header(lua_State *L) {  // (position from 1, name, value)
  const auto position = static_cast<std::uint32_t>(integer_at<"message:insert_header">(L, 1, kMostFields) - 1);
  const auto name = text_at<"message:insert_header", 2>(L), value = text_at<"message:insert_header", 3>(L);
  return edit(L, "insert_header", [&](const Edited &e) {
    return e.service.insert_header(e.host, e.op, e.version, position, plugin::str(name), plugin::str(value));
  });
}
int set_header(lua_State *L) {  // (name, value [, nth])
  const auto name = text_at<"message:set_header">(L), value = text_at<"message:set_header", 2>(L);
  const auto nth =
      static_cast<std::uint32_t>(lua_isnoneornil(L, 4) ? 1 : integer_at<"message:set_header", 3>(L, 1, kMostFields));
  return edit(L, "set_header", [&](const Edited &e) {
    return e.service.change_header(e.host, e.op, e.version, plugin::str(name), nth, plugin::str(value));
  });
}
int remove_header(lua_State *L) {  // (name [, nth]); all of that name without a number
  std::uint32_t version = 0;
  auto &call = edited_call(L, version);
  const auto name = text_at<"message:remove_header">(L);
  std::uint32_t first = 1, last = 0;
  if (lua_isnoneornil(L, 3)) {
    charge_for_fields(L, call);
    for (const auto &field : call.content().fields()) last += ascii::equal_fold(field.name, name) ? 1 : 0;
  } else {
    first = last = static_cast<std::uint32_t>(integer_at<"message:remove_header", 2>(L, 1, kMostFields));
  }
  // From the last one on, so that the numbers of the others stay.
  for (; last >= first; --last)
    edit(L, "remove_header",
         [&](const Edited &e) { return e.service.delete_header(e.host, e.op, e.version, plugin::str(name), last); });
  return 0;
}
int set_sender(lua_State *L) {
  const auto address = text_at<"message:set_sender">(L);
  return edit(L, "set_sender",
              [&](const Edited &e) { return e.service.set_sender(e.host, e.op, plugin::str(address)); });
}
int add_recipient(lua_State *L) {
  const auto address = text_at<"message:add_recipient">(L);
  return edit(L, "add_recipient",
              [&](const Edited &e) { return e.service.add_recipient(e.host, e.op, plugin::str(address)); });
}
int remove_recipient(lua_State *L) {
  const auto address = text_at<"message:remove_recipient">(L);
  return edit(L, "remove_recipient",
              [&](const Edited &e) { return e.service.delete_recipient(e.host, e.op, plugin::str(address)); });
}
int replace_body(lua_State *L) {  // the first call begins a new body, the others go on with it
  const auto piece = text_at<"message:replace_body">(L);
  return edit(L, "replace_body",
              [&](const Edited &e) { return e.service.replace_body(e.host, e.op, e.version, plugin::str(piece)); });
}
// message:version{recipients...}
int version(lua_State *L) {
  auto &call = call_of(L, 1, kMessageType);
  expect_table<"message:version">(L);
  std::vector<std::string> recipients;
  for (lua_Integer i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; ++i) {
    recipients.emplace_back(text_at(L, -1, "a recipient"));
    lua_pop(L, 1);
    call.state().charge(L, 10);
  }
  lua_settop(L, 2);
  const auto e = edited(L, "version");
  std::vector<mansio_str> names;
  names.reserve(recipients.size());
  for (const auto &recipient : recipients) names.push_back(plugin::str(recipient));
  const auto number = e.service.version(e.host, e.op, names.data(), names.size());
  if (number == 0)
    throw ScriptError{
        "version was refused: it is for filters, and for recipients of the message who have none yet; "
        "there may be 100"};
  new_object<MessageVersion>(L, kVersionType, MessageVersion{call.serial(), number});
  return 1;
}
int version_field(lua_State *L) {  // as field()
  const auto key = text_at(L, 2, "the field");
  if (key == "number") {
    lua_pushinteger(L, object_at<MessageVersion>(L, 1, kVersionType).number);
    return 1;
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL) no_field(kVersionType, key, kMessageVersionFields);
  return 1;
}
void push_recipients(lua_State *L, Call &call) {
  const auto *const stage = call.stage();
  if (!stage) return lua_pushnil(L);
  call.state().charge(L, 10 * stage->arguments().size());
  push_texts(L, stage->arguments());
}
int progress(lua_State *L) {
  call_of(L, 1, kMessageType).progress();
  return 0;
}

// __index: the size, or a method of the table that is the upvalue.
int field(lua_State *L) {
  const auto key = text_at(L, 2, "the field");
  if (key == "size") {
    lua_pushinteger(L, static_cast<lua_Integer>(call_of(L, 1, kMessageType).content().size()));
    return 1;
  }
  if (key == "recipients") return push_recipients(L, call_of(L, 1, kMessageType)), 1;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL) no_field("message", key, kMessageFields);
  return 1;
}

int no_assignment_to_message(lua_State *L) {
  throw ScriptError{"message cannot be changed by assignment to \"" + std::string{text_at(L, 2, "the field")} +
                    "\"; it has methods, such as message:set_header()"};
}

}  // namespace

void push_fields(lua_State *L, const std::vector<Field> &fields) {
  lua_createtable(L, static_cast<int>(fields.size()), 0);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    lua_createtable(L, 0, 2);
    push(L, fields[i].name);
    lua_setfield(L, -2, "name");
    push(L, fields[i].value);
    lua_setfield(L, -2, "value");
    luaL_setmetatable(L, kHeaderFieldType);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
  }
}

void make_message_type(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {{"header", bound<header>},
                                          {"headers", bound<headers>},
                                          {"body", bound<pieces<false>>},
                                          {"raw", bound<pieces<true>>},
                                          {"text", bound<text>},
                                          {"parts", bound<message_parts>},
                                          {"add_header", bound<add_header>},
                                          {"insert_header", bound<insert_header>},
                                          {"set_header", bound<set_header>},
                                          {"remove_header", bound<remove_header>},
                                          {"set_sender", bound<set_sender>},
                                          {"add_recipient", bound<add_recipient>},
                                          {"remove_recipient", bound<remove_recipient>},
                                          {"replace_body", bound<replace_body>},
                                          {"version", bound<version>},
                                          {"progress", bound<progress>},
                                          {nullptr, nullptr}};
  make_handle_type(L, kMessageType, bound<field>, bound<no_assignment_to_message>, kMethods);
  static constexpr luaL_Reg kVersionMethods[] = {
      {"add_header", bound<add_header>},     {"insert_header", bound<insert_header>},
      {"set_header", bound<set_header>},     {"remove_header", bound<remove_header>},
      {"replace_body", bound<replace_body>}, {nullptr, nullptr}};
  make_handle_type(L, kVersionType, bound<version_field>, bound<takes_no_field>, kVersionMethods);
}

void push_message(lua_State *L, Call &call) { push_handle(L, kMessageType, call); }

}  // namespace mansio::lua
