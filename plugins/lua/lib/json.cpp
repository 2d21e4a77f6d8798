// mansio.json: encode and decode, by Boost.JSON. null is mansio.json.null, so that it does not vanish from tables; an
// array keeps being one when it is empty (mansio.json.array(t) marks one).
#include <boost/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kArray = "json array";
constexpr std::size_t kLargestJson = 4 << 20;  // of a text
constexpr int kDeepest = 64;

// What a text is parsed into, counted with the state's memory.
class CountedResource final : public boost::json::memory_resource {
 public:
  explicit CountedResource(RegexMemory &memory) : memory_(memory) {}

 private:
  void *do_allocate(std::size_t n, std::size_t) override {
    if (auto *const block = memory_.take(n)) return block;
    throw std::bad_alloc{};
  }
  void do_deallocate(void *block, std::size_t, std::size_t) override { memory_.give_back(block); }
  bool do_is_equal(const memory_resource &other) const noexcept override { return this == &other; }

  RegexMemory &memory_;
};

std::optional<boost::json::value> parsed(std::string_view text, CountedResource &memory,
                                         boost::json::error_code &error) {
  boost::json::parse_options options;
  options.max_depth = kDeepest;
  unsigned char room[4096];
  boost::json::parser parser{boost::json::storage_ptr{&memory}, options, room, sizeof room};
  parser.reset(boost::json::storage_ptr{&memory});
  parser.write(boost::json::string_view{text.data(), text.size()}, error);
  if (error) return std::nullopt;
  return parser.release();
}

void push_value(lua_State *L, const boost::json::value &value) {
  luaL_checkstack(L, 4, "JSON is nested too deep");
  switch (value.kind()) {
    case boost::json::kind::null:
      lua_pushlightuserdata(L, nullptr);
      break;
    case boost::json::kind::bool_:
      lua_pushboolean(L, value.get_bool());
      break;
    case boost::json::kind::int64:
      lua_pushinteger(L, value.get_int64());
      break;
    case boost::json::kind::uint64:
      lua_pushnumber(L, static_cast<lua_Number>(value.get_uint64()));
      break;
    case boost::json::kind::double_:
      lua_pushnumber(L, value.get_double());
      break;
    case boost::json::kind::string:
      lua_pushlstring(L, value.get_string().data(), value.get_string().size());
      break;
    case boost::json::kind::array: {
      const auto &array = value.get_array();
      lua_createtable(L, static_cast<int>(array.size()), 0);
      for (std::size_t i = 0; i < array.size(); ++i) {
        push_value(L, array[i]);
        lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
      }
      luaL_setmetatable(L, kArray);
      break;
    }
    case boost::json::kind::object: {
      const auto &object = value.get_object();
      lua_createtable(L, 0, static_cast<int>(object.size()));
      for (const auto &member : object) {
        lua_pushlstring(L, member.key().data(), member.key().size());
        push_value(L, member.value());
        lua_rawset(L, -3);
      }
      break;
    }
  }
}

// mansio.json.decode(text): the value; for what is no JSON nil and why.
int json_decode(lua_State *L) {
  const auto text = text_at<"mansio.json.decode">(L);
  if (text.size() > kLargestJson) throw ScriptError{"the JSON text is larger than 4 MiB"};
  auto &state = State::of(L);
  state.charge(L, 100 + text.size());
  CountedResource memory{state.outside()};
  boost::json::error_code error;
  std::optional<boost::json::value> value;
  state.allocate(L, "what the JSON text becomes", [&] { value = parsed(text, memory, error); });
  if (!value) {
    lua_pushnil(L);
    push(L, error.message());
    return 2;
  }
  push_value(L, *value);
  return 1;
}

class Encoder {
 public:
  explicit Encoder(lua_State *L) : L_(L) {}

  void add(int index, int depth) {
    if (depth > kDeepest) throw ScriptError{"the value is nested deeper than 64 tables, or in itself"};
    luaL_checkstack(L_, 4, "the value is nested too deep");
    index = lua_absindex(L_, index);
    switch (lua_type(L_, index)) {
      case LUA_TBOOLEAN:
        out += lua_toboolean(L_, index) ? "true" : "false";
        break;
      case LUA_TNUMBER:
        number(index);
        break;
      case LUA_TSTRING:
        charge_for_text(lua_rawlen(L_, index));
        out += quoted(text_at(L_, index, "a value"));
        break;
      case LUA_TLIGHTUSERDATA:
        out += "null";
        break;
      case LUA_TTABLE:
        table(index, depth);
        break;
      default:
        throw ScriptError{"a " + type_name(L_, index) + " has no form in JSON"};
    }
    State::of(L_).charge(L_, 20);
    if (out.size() > kLargestJson) throw ScriptError{"the JSON text would be larger than 4 MiB"};
  }
  std::string out;

 private:
  void charge_for_text(std::size_t octets) { State::of(L_).charge(L_, 20 + octets / 16); }
  static std::string quoted(std::string_view text) {
    return boost::json::serialize(boost::json::string_view{text.data(), text.size()});
  }
  void number(int index) {
    char text[64];
    std::to_chars_result end{};
    if (lua_isinteger(L_, index)) {
      end = std::to_chars(text, text + sizeof text, static_cast<std::int64_t>(lua_tointeger(L_, index)));
    } else {
      const double value = lua_tonumber(L_, index);
      if (!std::isfinite(value)) throw ScriptError{"a number that is infinite or none has no form in JSON"};
      end = std::to_chars(text, text + sizeof text, value);
    }
    out.append(text, end.ptr);
  }
  bool is_array(int index) {
    if (lua_rawlen(L_, index) > 0) return true;
    if (!lua_getmetatable(L_, index)) return false;
    luaL_getmetatable(L_, kArray);
    const bool same = lua_rawequal(L_, -1, -2) != 0;
    lua_pop(L_, 2);
    return same;
  }
  void table(int index, int depth) {
    if (is_array(index)) {
      out += '[';
      const auto n = lua_rawlen(L_, index);
      for (lua_Unsigned i = 1; i <= n; ++i) {
        if (i > 1) out += ',';
        lua_rawgeti(L_, index, static_cast<lua_Integer>(i));
        if (lua_isnil(L_, -1)) throw ScriptError{"an array has a nil in it; mansio.json.null stands for null"};
        add(-1, depth + 1);
        lua_pop(L_, 1);
      }
      out += ']';
      return;
    }
    // In the order of the names: the same value always has the same text.
    std::vector<std::string> names;
    lua_pushnil(L_);
    while (lua_next(L_, index)) {
      lua_pop(L_, 1);
      if (lua_type(L_, -1) != LUA_TSTRING)
        throw ScriptError{"an object has a " + type_name(L_, -1) + " for a name, expected texts, or a list from 1"};
      const auto name = text_at(L_, -1, "a name");
      charge_for_text(name.size());
      held_ += name.size();
      if (held_ > kLargestJson) throw ScriptError{"the JSON text would be larger than 4 MiB"};
      names.emplace_back(name);
    }
    std::sort(names.begin(), names.end());
    out += '{';
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (i > 0) out += ',';
      out += quoted(names[i]) + ':';
      push(L_, names[i]);
      lua_rawget(L_, index);
      add(-1, depth + 1);
      lua_pop(L_, 1);
    }
    out += '}';
  }

  lua_State *L_;
  std::size_t held_ = 0;  // of names, all of which become text
};

int json_encode(lua_State *L) {
  luaL_checkany(L, 1);
  Encoder encoder{L};
  encoder.add(1, 0);
  push(L, encoder.out);
  return 1;
}

int array(lua_State *L) {
  if (lua_isnoneornil(L, 1))
    lua_newtable(L);
  else
    expect_table<"mansio.json.array">(L);
  luaL_setmetatable(L, kArray);
  return 1;
}

}  // namespace

void add_json(lua_State *L) {
  luaL_newmetatable(L, kArray);
  lua_pushboolean(L, 0);  // a script that reached it could give all arrays a finalizer, which no budget ends
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  static constexpr luaL_Reg kFunctions[] = {
      {"decode", bound<json_decode>}, {"encode", bound<json_encode>}, {"array", bound<array>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
  lua_pushlightuserdata(L, nullptr);
  lua_setfield(L, -2, "null");
}

}  // namespace mansio::lua
