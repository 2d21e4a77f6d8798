#include "plugins/lua/queued.hpp"

#include <cstddef>
#include <string>
#include <string_view>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/objects.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kQueued = "mail", *kQueuedRecipient = "recipient of mail";

void set_text(lua_State *L, const char *name, std::string_view text) {
  if (text.empty()) return;
  push(L, text);
  lua_setfield(L, -2, name);
}

// {address, code, enhanced code, text}, of which the last three may be missing.
void push_queued_recipient(lua_State *L, const plugin::Stage &stage, std::size_t at, std::size_t each) {
  lua_createtable(L, 0, static_cast<int>(kQueuedRecipientFields.size()));
  push_address(L, stage.argument(at), {});
  for (const auto *part : {"address", "localpart", "domain"}) {
    lua_getfield(L, -1, part);
    lua_setfield(L, -3, part);
  }
  lua_pop(L, 1);
  if (each > 1) {
    if (const auto code = stage.argument(at + 1); !code.empty()) {
      push_number(L, code);
      lua_setfield(L, -2, "code");
    }
    set_text(L, "status", stage.argument(at + 2));
    set_text(L, "text", stage.argument(at + 3));
  }
  luaL_setmetatable(L, kQueuedRecipient);
}

void push_queued_recipients(lua_State *L, Call &call) {
  const auto &stage = *call.stage();
  const bool told = stage.stage() == MANSIO_STAGE_RETRY || stage.stage() == MANSIO_STAGE_BOUNCE;
  const std::size_t each = told ? 4 : 1, n = stage.arguments().size() / each;
  call.state().charge(L, 20 * n);
  lua_createtable(L, static_cast<int>(n), 0);
  for (std::size_t i = 0; i < n; ++i) {
    push_queued_recipient(L, stage, i * each, each);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
  }
}

int queued_field(lua_State *L) {
  auto &call = call_of(L, 1, kQueued);
  const auto &stage = *call.stage();
  const auto key = text_at(L, 2, "the field");
  for (const auto &fact : kQueuedFacts)
    if (fact.name == key) return push_fact(L, stage, fact), 1;
  if (key == "queue_id")
    push(L, stage.queue_id());
  else if (key == "sender")
    push_address(L, stage.macro("sender"), {});
  else if (key == "meta")
    push_message_meta(L, call);
  else if (key == "recipients")
    push_queued_recipients(L, call);
  else if (key == "to" && stage.stage() == MANSIO_STAGE_BOUNCE)
    push_address(L, stage.macro("to"), {});
  else if (key == "to")
    lua_pushnil(L);
  else
    no_field(kQueued, key, kQueuedFields);
  return 1;
}

}  // namespace

void make_queued_types(lua_State *L) {
  make_handle_type(L, kQueued, bound<queued_field>, bound<takes_no_field>);
  make_table_type(L, kQueuedRecipient, text_of_address);
}

int push_queued(lua_State *L, Call &call) {
  const auto &stage = *call.stage();
  push_handle(L, kQueued, call);
  if (stage.stage() != MANSIO_STAGE_ROUTE) return 1;
  push_address(L, stage.argument(0), {});
  return 2;
}

}  // namespace mansio::lua
