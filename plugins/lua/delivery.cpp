// A delivery as a transport's script sees it: the envelope, the message, and the results, which the host hears as they
// are said.
#include "plugins/lua/delivery.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/objects.hpp"
#include "plugins/lua/verdict.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kDelivery = "delivery", *kRecipient = "recipient";
constexpr int kRecipients = 1;  // the user value of a delivery

struct RecipientHandle {
  std::uint64_t serial;  // of its call
  std::size_t index;
};

void push_metadata(lua_State *L, const plugin::Delivery &mail) {
  lua_createtable(L, 0, static_cast<int>(mail.metadata.size()));
  for (const auto &[name, value] : mail.metadata) {
    push(L, name);
    push(L, value);
    lua_rawset(L, -3);
  }
}

void push_notify(lua_State *L, std::uint8_t notify) {
  struct Name {
    std::uint8_t bit;
    std::string_view text;
  };
  static constexpr Name kNames[] = {{MANSIO_NOTIFY_NEVER, "never"},
                                    {MANSIO_NOTIFY_SUCCESS, "success"},
                                    {MANSIO_NOTIFY_FAILURE, "failure"},
                                    {MANSIO_NOTIFY_DELAY, "delay"}};
  if (notify == 0) return lua_pushnil(L);
  lua_createtable(L, 3, 0);
  lua_Integer n = 0;
  for (const auto &name : kNames) {
    if ((notify & name.bit) == 0) continue;
    push(L, name.text);
    lua_rawseti(L, -2, ++n);
  }
}

void push_origin(lua_State *L, const plugin::Origin &origin) {
  const auto set = [L](const char *name, const std::string &text) {
    push_known(L, text);
    lua_setfield(L, -2, name);
  };
  lua_createtable(L, 0, 7);
  set("source", origin.source == MANSIO_ORIGIN_LOCAL ? "local" : origin.source == MANSIO_ORIGIN_REMOTE ? "remote" : "");
  set("address", origin.address);
  set("name", origin.name);
  set("helo_name", origin.helo);
  set("protocol", origin.protocol);
  set("ident", origin.ident);
  if (origin.port != 0) {
    lua_pushinteger(L, origin.port);
    lua_setfield(L, -2, "port");
  }
  luaL_setmetatable(L, kOriginType);
}

// __index; the methods are the upvalue.
int delivery_field(lua_State *L) {
  auto &call = call_of(L, 1, kDelivery);
  const auto &mail = call.delivery()->mail;
  const auto key = text_at(L, 2, "the field");
  if (key == "sender") {
    push_address(L, mail.sender, {});
  } else if (key == "recipients") {
    lua_getiuservalue(L, 1, kRecipients);
  } else if (key == "nexthop") {
    push_known(L, mail.nexthop);
  } else if (key == "queue_id") {
    push(L, mail.queue_id);
  } else if (key == "meta") {
    push_metadata(L, mail);
  } else if (key == "message") {
    push_message(L, call);
  } else if (key == "arrival") {
    lua_pushnumber(L, static_cast<lua_Number>(mail.arrival) / 1e9);
  } else if (key == "attempts") {
    lua_pushinteger(L, mail.attempts);
  } else if (key == "envid") {
    push_known(L, mail.envid);
  } else if (key == "ret") {
    push_known(L, mail.ret == MANSIO_RET_FULL ? "full" : mail.ret == MANSIO_RET_HDRS ? "hdrs" : "");
  } else if (key == "smtputf8") {
    lua_pushboolean(L, mail.has(MANSIO_MSG_SMTPUTF8));
  } else if (key == "require_tls") {
    lua_pushboolean(L, mail.has(MANSIO_MSG_REQUIRETLS));
  } else if (key == "possible_duplicate") {
    lua_pushboolean(L, mail.has(MANSIO_MSG_POSSIBLE_DUPLICATE));
  } else if (key == "source_pool") {
    push_known(L, mail.source_pool);
  } else if (key == "client_address") {
    push_known(L, mail.client_address);
  } else if (key == "client_name") {
    push_known(L, mail.client_name);
  } else if (key == "helo_name") {
    push_known(L, mail.client_helo);
  } else if (key == "tls_policy") {
    push_known(L, mail.tls_policy);
  } else if (key == "origin") {
    push_origin(L, mail.origin);
  } else if (key == "eight_bit") {
    lua_pushboolean(L, mail.has(MANSIO_MSG_EIGHT_BIT));
  } else if (key == "eight_bit_header") {
    lua_pushboolean(L, mail.has(MANSIO_MSG_EIGHT_BIT_HEADER));
  } else if (key == "body_8bitmime") {
    lua_pushboolean(L, mail.has(MANSIO_MSG_BODY_8BITMIME));
  } else if (key == "auth_user") {
    push_known(L, mail.sasl.username);
  } else if (key == "auth_method") {
    push_known(L, mail.sasl.method);
  } else if (key == "auth_sender") {
    push_known(L, mail.sasl.sender);
  } else {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL) no_field(kDelivery, key, kDeliveryFields);
  }
  return 1;
}

const plugin::Recipient &recipient_of(lua_State *L, int index) {
  const auto &handle = object_at<RecipientHandle>(L, index, kRecipient);
  return call_with(L, handle.serial, kRecipient).delivery()->mail.recipients.at(handle.index);
}

int recipient_field(lua_State *L) {
  const auto &recipient = recipient_of(L, 1);
  const auto key = text_at(L, 2, "the field");
  if (key == "original") {
    push(L, recipient.original.empty() ? recipient.address : recipient.original);
  } else if (key == "orcpt") {
    push_known(L, recipient.orcpt);
  } else if (key == "notify") {
    push_notify(L, recipient.notify);
  } else if (key == "address" || key == "localpart" || key == "domain") {
    push_address(L, recipient.address, {});
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
  } else {
    no_field(kRecipient, key, kRecipientFields);
  }
  return 1;
}

int recipient_text(lua_State *L) {
  push(L, recipient_of(L, 1).address);
  return 1;
}

// delivery:sent(recipient, [code,] [enhanced code,] [text] [, options]), and its kin.
template <VerdictKind kind>
int say(lua_State *L) {
  auto &call = call_of(L, 1, kDelivery);
  const auto recipient = object_at<RecipientHandle>(L, 2, kRecipient);
  call_with(L, recipient.serial, kRecipient);
  call.state().charge(L, 100);
  call.report(recipient.index, result_at(L, 3, kind));
  return 0;
}

// The metatable on top, finished and taken off.
void seal(lua_State *L) {
  lua_pushcfunction(L, bound<takes_no_field>);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

}  // namespace

void make_delivery_types(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {{"sent", bound<say<VerdictKind::Sent>>},
                                          {"defer", bound<say<VerdictKind::Defer>>},
                                          {"bounce", bound<say<VerdictKind::Reject>>},
                                          {"uncertain", bound<say<VerdictKind::Uncertain>>},
                                          {nullptr, nullptr}};
  luaL_newmetatable(L, kDelivery);
  luaL_newlib(L, kMethods);
  lua_pushcclosure(L, bound<delivery_field>, 1);
  lua_setfield(L, -2, "__index");
  seal(L);
  luaL_newmetatable(L, kRecipient);
  lua_pushcfunction(L, bound<recipient_field>);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, bound<recipient_text>);
  lua_setfield(L, -2, "__tostring");
  seal(L);
}

int DeliveryWork::push(lua_State *L, Call &call) {
  const auto n = mail.recipients.size();
  call.state().charge(L, 10 * n);
  new (lua_newuserdatauv(L, sizeof(Handle), kRecipients)) Handle{call.serial()};
  luaL_setmetatable(L, kDelivery);
  lua_createtable(L, static_cast<int>(n), 0);
  for (std::size_t i = 0; i < n; ++i) {
    new_object<RecipientHandle>(L, kRecipient, RecipientHandle{call.serial(), i});
    lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
  }
  lua_setiuservalue(L, -2, kRecipients);
  return 1;
}

plugin::Reply DeliveryWork::result(lua_State *L, Call &call) {
  if (lua_isnil(L, -1))
    return settled() ? plugin::sent() : plugin::defer({4, 3, 0}, "the transport's script gave no result");
  const auto verdict = verdict_at(L, -1);
  if (!verdict || !verdict->of_transports())
    throw ScriptError{call.place(L) + ": the transport returned " +
                      (verdict ? "a result that is for " + std::string{whose(*verdict)} : type_name(L, -1)) +
                      ", expected " + std::string{expected_of("transport.deliver")}};
  return reply_of(*verdict);
}

std::optional<plugin::Reply> DeliveryWork::thrown(const Verdict &verdict) {
  if (!verdict.of_transports()) return std::nullopt;
  return reply_of(verdict);
}

// The script's error is not for the sender.
plugin::Reply DeliveryWork::fault(const std::string &) {
  return plugin::Reply{MANSIO_INTERNAL, {4, 3, 0}, "the transport's script failed"};
}

std::optional<plugin::Reply> DeliveryWork::interrupted() const {
  if (!reached_out) return plugin::defer({4, 4, 7}, "the delivery was ended before anything was sent");
  return plugin::uncertain({4, 4, 2}, "the delivery was ended, and may have been sent");
}

}  // namespace mansio::lua
