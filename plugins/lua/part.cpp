// The MIME parts of a message as objects: message:parts() walks, and what a part has is read when a script asks for it.
// A part is a few numbers that Lua owns, and so are the walk and what reads a body: nothing of the message is held.
#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/common/ascii.hpp"
#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/content.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/header.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/objects.hpp"
#include "plugins/mime-common/decoder.hpp"
#include "plugins/mime-common/parameters.hpp"
#include "plugins/mime-common/walk.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kPartType = "part", *kWalkType = "walk over parts", *kReaderType = "reader of a part";
constexpr std::uint64_t kLargestPartHeader = 256 << 10;
constexpr std::int64_t kUsualPartPiece = 32 << 10, kLargestPartPiece = 1 << 20;
constexpr std::size_t kReadAtOnce = 8 << 10;
// User values of a part.
constexpr int kItsWalk = 1, kItsFacts = 2;

// The message of a call; what is read is charged.
class CallSource final : public mime::Source {
 public:
  CallSource(lua_State *lua, Call &call) : lua_(lua), call_(call) {}
  std::size_t read(std::uint64_t offset, char *to, std::size_t n) override {
    call_.state().charge(lua_, 100 + n / 16);
    return call_.content().read(offset, to, n);
  }

 private:
  lua_State *lua_;
  Call &call_;
};

struct WalkObject {
  explicit WalkObject(std::uint64_t of_call) : serial(of_call) {}
  std::uint64_t serial;
  mime::Walk walk;
};

struct Part {
  std::uint64_t serial;  // of its call
  mime::Entity entity;
  std::uint64_t end;  // of its body
  bool settled;       // the end is known; until then the walk stands at this part
};

// What is left of a body, and what was decoded of it beyond the last piece.
struct PartReader {
  std::uint64_t offset, end;
  mime::Decoder decoder;
  bool finished = false;
  std::size_t surplus_size = 0;
  std::array<char, 2 * mime::Decoder::kMostHeld> surplus{};
};

Part &part_at(lua_State *L, int index) { return object_at<Part>(L, index, kPartType); }

void settle(Part &part, mime::Walk &walk, mime::Source &source) {
  if (part.settled) return;
  part.end = part.entity.container ? part.entity.body_begin : walk.end_of_body(source);
  part.settled = true;
}

// The fields of its header section.
std::vector<Field> fields_of(lua_State *L, Call &call, const Part &part) {
  const auto size = part.entity.header_end - part.entity.header_begin;
  if (size > kLargestPartHeader) throw ScriptError{"the header section of a part is larger than 256 KiB"};
  std::string header(static_cast<std::size_t>(size), '\0');
  CallSource source{L, call};
  for (std::size_t got = 0; got < header.size();) {
    const auto more =
        source.read(part.entity.header_begin + got, header.data() + got, std::min(kReadAtOnce, header.size() - got));
    if (more == 0) throw ScriptError{"the message cannot be read"};
    got += more;
  }
  call.state().charge(L, header.size() / 4);
  return parse_header(header);
}

std::optional<std::string_view> field_value(const std::vector<Field> &fields, std::string_view name) {
  for (const auto &field : fields)
    if (ascii::equal_fold(field.name, name)) return field.value;
  return std::nullopt;
}

void set_parameters(lua_State *L, const char *name, const mime::Parameterized &from) {
  lua_createtable(L, 0, static_cast<int>(from.parameters.size()));
  for (const auto &[key, value] : from.parameters) {
    push(L, key);
    push(L, value);
    lua_rawset(L, -3);
  }
  lua_setfield(L, -2, name);
}

void set_known(lua_State *L, const char *name, const std::string &value) {
  push_known(L, value);
  lua_setfield(L, -2, name);
}

// Onto the stack: what its header section says of the part at `index`, from when it was first asked for.
void push_facts(lua_State *L, int index, Call &call) {
  if (lua_getiuservalue(L, index, kItsFacts) == LUA_TTABLE) return;
  lua_pop(L, 1);
  const auto &part = part_at(L, index);
  const auto fields = fields_of(L, call, part);
  const auto type = mime::content_type(field_value(fields, "content-type"), part.entity.in_digest);
  const auto disposition = mime::parse_parameterized(field_value(fields, "content-disposition").value_or(""));
  const auto encoding = mime::parse_parameterized(field_value(fields, "content-transfer-encoding").value_or(""));
  lua_createtable(L, 0, 6);
  push(L, type.value);
  lua_setfield(L, -2, "type");
  set_parameters(L, "parameters", type);
  set_known(L, "disposition", disposition.value);
  set_parameters(L, "disposition_parameters", disposition);
  set_known(L, "filename", mime::file_name(disposition, type));
  push(L, encoding.value.empty() ? std::string_view{"7bit"} : encoding.value);
  lua_setfield(L, -2, "encoding");
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, kItsFacts);
}

void push_part(lua_State *L, int walk, std::uint64_t serial, const mime::Entity &entity) {
  new (lua_newuserdatauv(L, sizeof(Part), 2)) Part{serial, entity, 0, false};
  luaL_setmetatable(L, kPartType);
  lua_pushvalue(L, walk);
  lua_setiuservalue(L, -2, kItsWalk);
}

// The iterator of message:parts(); upvalues: the walk, the part that it stands at.
int next_part(lua_State *L) {
  auto &object = object_at<WalkObject>(L, lua_upvalueindex(1), kWalkType);
  auto &call = call_with(L, object.serial, "message");
  call.state().charge(L, 200);
  CallSource source{L, call};
  if (!lua_isnil(L, lua_upvalueindex(2))) settle(part_at(L, lua_upvalueindex(2)), object.walk, source);
  mime::Entity entity;
  switch (object.walk.next(source, entity)) {
    case mime::Step::Part:
      break;
    case mime::Step::End:
      lua_pushnil(L);
      return 1;
    case mime::Step::TooDeep:
      throw ScriptError{"the parts of the message are more than 64 levels deep"};
    case mime::Step::TooMany:
      throw ScriptError{"the message has more than 10000 parts"};
    case mime::Step::TooLong:
      throw ScriptError{"a part of the message has a Content-Type or Content-Transfer-Encoding of more than 16 KiB"};
  }
  push_part(L, lua_upvalueindex(1), object.serial, entity);
  lua_copy(L, -1, lua_upvalueindex(2));
  return 1;
}

// Pushes up to n decoded octets, as a string; false at the end.
bool push_decoded(lua_State *L, Call &call, PartReader &reader, std::size_t n) {
  CallSource source{L, call};
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  std::size_t size = std::min(n, reader.surplus_size);
  luaL_addlstring(&buffer, reader.surplus.data(), size);
  std::copy(reader.surplus.begin() + static_cast<std::ptrdiff_t>(size),
            reader.surplus.begin() + static_cast<std::ptrdiff_t>(reader.surplus_size), reader.surplus.begin());
  reader.surplus_size -= size;
  std::array<char, kReadAtOnce> raw;
  std::string decoded;
  while (size < n && !reader.finished) {
    decoded.clear();
    const auto left = std::min<std::uint64_t>(raw.size(), reader.end - reader.offset);
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left, reader.decoder.octets_for(n - size)));
    const auto got = wanted == 0 ? 0 : source.read(reader.offset, raw.data(), wanted);
    reader.offset += got;
    if (got != 0) {
      reader.decoder.add({raw.data(), got}, decoded);
    } else {
      reader.decoder.finish(decoded);
      reader.finished = true;
    }
    const auto taken = std::min(decoded.size(), n - size);
    // What is beyond: as much as a decoder may hold back, and it was asked for no more than the rest.
    reader.surplus_size = decoded.copy(reader.surplus.data(), reader.surplus.size(), taken);
    luaL_addlstring(&buffer, decoded.data(), taken);
    size += taken;
  }
  luaL_pushresult(&buffer);
  return size != 0;
}

PartReader make_part_reader(lua_State *L, Call &call) {
  auto &part = part_at(L, 1);
  lua_getiuservalue(L, 1, kItsWalk);
  CallSource source{L, call};
  settle(part, object_at<WalkObject>(L, -1, kWalkType).walk, source);
  push_facts(L, 1, call);
  lua_getfield(L, -1, "encoding");
  const auto encoding = mime::encoding_of(text_at(L, -1, "the encoding"));
  lua_pop(L, 3);
  return PartReader{.offset = part.entity.body_begin, .end = part.end, .decoder = mime::Decoder{encoding}};
}

// The iterator of part:body(); upvalues: the part, what reads it, the size of a piece.
int next_decoded(lua_State *L) {
  auto &call = call_with(L, part_at(L, lua_upvalueindex(1)).serial, kPartType);
  auto &reader = object_at<PartReader>(L, lua_upvalueindex(2), kReaderType);
  call.state().charge(L, 50);
  if (!push_decoded(L, call, reader, static_cast<std::size_t>(lua_tointeger(L, lua_upvalueindex(3))))) lua_pushnil(L);
  return 1;
}

// for piece in part:body([bytes]) do ... end
int part_body(lua_State *L) {
  auto &call = call_with(L, part_at(L, 1).serial, kPartType);
  const auto size = lua_isnoneornil(L, 2) ? kUsualPartPiece : integer_at<"part:body">(L, 1, kLargestPartPiece);
  const auto reader = make_part_reader(L, call);
  lua_pushvalue(L, 1);
  new_object<PartReader>(L, kReaderType, reader);
  lua_pushinteger(L, size);
  lua_pushcclosure(L, bound<next_decoded>, 3);
  return 1;
}

// part:text([most]): the first octets of the decoded body, 64 KiB unless told.
int part_text(lua_State *L) {
  auto &call = call_with(L, part_at(L, 1).serial, kPartType);
  const auto most = lua_isnoneornil(L, 2) ? 65536 : integer_at<"part:text">(L, 1, std::int64_t{1} << 30);
  auto reader = make_part_reader(L, call);
  push_decoded(L, call, reader, static_cast<std::size_t>(most));
  return 1;
}

// part:header(name [, nth]): the value as it stands there, unfolded, or nil.
int part_header(lua_State *L) {
  auto &call = call_with(L, part_at(L, 1).serial, kPartType);
  const auto name = text_at<"part:header">(L);
  auto nth = lua_isnoneornil(L, 3) ? 1 : integer_at<"part:header", 2>(L, 1, 1 << 30);
  for (const auto &field : fields_of(L, call, part_at(L, 1)))
    if (ascii::equal_fold(field.name, name) && --nth == 0) return push(L, field.value), 1;
  lua_pushnil(L);
  return 1;
}

// part:headers(): a list of {name =, value =}.
int part_headers(lua_State *L) {
  auto &call = call_with(L, part_at(L, 1).serial, kPartType);
  const auto fields = fields_of(L, call, part_at(L, 1));
  call.state().charge(L, 10 * fields.size());
  push_fields(L, fields);
  return 1;
}

// __index: a fact, or a method of the table that is the upvalue.
int part_field(lua_State *L) {
  const auto &part = part_at(L, 1);
  auto &call = call_with(L, part.serial, kPartType);
  const auto key = text_at(L, 2, "the field");
  if (key == "depth" || key == "number") {
    lua_pushinteger(L, key == "depth" ? part.entity.depth : part.entity.number);
    return 1;
  }
  if (key == "leaf") {
    lua_pushboolean(L, !part.entity.container);
    return 1;
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  if (std::find(kPartFields.begin(), kPartFields.end(), key) == kPartFields.end())
    no_field(kPartType, key, kPartFields);
  push_facts(L, 1, call);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

}  // namespace

// message:parts(): an iterator over all of them, depth first.
int message_parts(lua_State *L) {
  auto &call = call_of(L, 1, "message");
  call.content();  // throws where there is none
  call.state().charge(L, 500);
  new_object<WalkObject>(L, kWalkType, call.serial());
  lua_pushnil(L);
  lua_pushcclosure(L, bound<next_part>, 2);
  return 1;
}

void make_part_types(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {{"body", bound<part_body>},
                                          {"text", bound<part_text>},
                                          {"header", bound<part_header>},
                                          {"headers", bound<part_headers>},
                                          {nullptr, nullptr}};
  make_handle_type(L, kPartType, bound<part_field>, bound<takes_no_field>, kMethods);
  make_type(L, kWalkType, nullptr, nullptr);
  make_type(L, kReaderType, nullptr, nullptr);
}

}  // namespace mansio::lua
