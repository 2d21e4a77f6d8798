// mansio.re: Perl's regular expressions by PCRE2. A match that would cost too much is an error, and no "no".
#include <memory>
#include <string>
#include <utility>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/lib/regex.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kRegexType = "regex";
constexpr const char *kRegexIterator = "regex iterator";

std::uint32_t flags_at(lua_State *L, int index) {
  std::uint32_t flags = 0;
  if (lua_isnoneornil(L, index)) return flags;
  for (const char c : text_at(L, index, "the flags")) switch (c) {
      case 'i':
        flags |= PCRE2_CASELESS;
        break;
      case 'm':
        flags |= PCRE2_MULTILINE;
        break;
      case 's':
        flags |= PCRE2_DOTALL;
        break;
      case 'x':
        flags |= PCRE2_EXTENDED;
        break;
      case 'u':
        flags |= PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF;  // mail is not always what it says
        break;
      default:
        throw ScriptError{std::string{"there is no flag \""} + c + "\", expected some of i, m, s, u and x"};
    }
  return flags;
}

// mansio.re.compile(pattern [, flags])
int compile(lua_State *L) {
  auto &state = State::of(L);
  const auto pattern = text_at<"mansio.re.compile">(L);
  state.charge(L, 1000 + 4 * pattern.size());
  const auto flags = flags_at(L, 2);
  const Regex *made = nullptr;
  state.allocate(L, "an expression",
                 [&] { made = &new_object<Regex>(L, kRegexType, pattern, flags, state.outside()); });
  // The collector sees a small object: it is to work as for one of this size.
  lua_gc(L, LUA_GCSTEP, static_cast<int>(made->octets() / 1024) + 1);
  return 1;
}

bool match(lua_State *L, const Regex &regex, std::string_view subject, std::size_t start) {
  State::of(L).charge(L, 50 + subject.size() / 16);
  return State::of(L).match(L, regex, subject, start);
}

void push_group(lua_State *L, const Regex &regex, std::string_view subject, std::size_t group) {
  if (regex.took_part(group))
    push(L, subject.substr(regex.begin(group), regex.end(group) - regex.begin(group)));
  else
    lua_pushboolean(L, 0);
}

// The groups, or the whole match where there are none.
int push_groups(lua_State *L, const Regex &regex, std::string_view subject) {
  luaL_checkstack(L, static_cast<int>(regex.groups()) + 1, "too many groups");
  if (regex.groups() == 0) return push_group(L, regex, subject, 0), 1;
  for (std::size_t i = 1; i <= regex.groups(); ++i) push_group(L, regex, subject, i);
  return static_cast<int>(regex.groups());
}

template <FunctionName F>
std::size_t start_at(lua_State *L) {
  return lua_isnoneornil(L, 3) ? 0 : static_cast<std::size_t>(integer_at<F, 2>(L, 1, 1 << 30) - 1);
}

int re_test(lua_State *L) {
  const auto &regex = object_at<Regex>(L, 1, kRegexType);
  lua_pushboolean(L, match(L, regex, text_at<"regex:test">(L), 0));
  return 1;
}

int re_match(lua_State *L) {
  const auto &regex = object_at<Regex>(L, 1, kRegexType);
  const auto subject = text_at<"regex:match">(L);
  const auto start = start_at<"regex:match">(L);
  if (start > subject.size() || !match(L, regex, subject, start)) return lua_pushnil(L), 1;
  return push_groups(L, regex, subject);
}

int re_find(lua_State *L) {
  const auto &regex = object_at<Regex>(L, 1, kRegexType);
  const auto subject = text_at<"regex:find">(L);
  const auto start = start_at<"regex:find">(L);
  if (start > subject.size() || !match(L, regex, subject, start)) return lua_pushnil(L), 1;
  lua_pushinteger(L, static_cast<lua_Integer>(regex.begin(0)) + 1);
  lua_pushinteger(L, static_cast<lua_Integer>(regex.end(0)));
  return 2;
}

// regex:group(text, name): one group by its name or number, nil without a match.
int re_group(lua_State *L) {
  const auto &regex = object_at<Regex>(L, 1, kRegexType);
  const auto subject = text_at<"regex:group">(L);
  std::size_t group = 0;
  if (lua_isinteger(L, 3)) {
    group = static_cast<std::size_t>(integer_at(L, 3, "the group", 0, static_cast<std::int64_t>(regex.groups())));
  } else {
    const std::string name{text_at(L, 3, "the group")};
    group = regex.named(name);
    if (group == 0) throw ScriptError{"the expression has no group \"" + name + '"'};
  }
  if (!match(L, regex, subject, 0) || !regex.took_part(group)) return lua_pushnil(L), 1;
  push_group(L, regex, subject, group);
  return 1;
}

// Goes on after a match: one that was empty is not found again where it stands.
struct Walk {
  std::size_t at = 0;
  bool empty = false;  // the last match, which ended at `at`
  bool next(lua_State *L, const Regex &regex, std::string_view subject) {
    if (at > subject.size()) return false;
    State::of(L).charge(L, 50);
    bool found = State::of(L).match(L, regex, subject, at, empty ? PCRE2_NOTEMPTY_ATSTART : 0);
    if (!found) return false;
    empty = regex.begin(0) == regex.end(0);
    at = regex.end(0);
    return true;
  }
};

// Upvalues: the expression, the text, the Walk.
int re_next(lua_State *L) {
  const auto &regex = object_at<Regex>(L, lua_upvalueindex(1), kRegexType);
  const auto subject = text_at(L, lua_upvalueindex(2), "the text");
  auto &walk = object_at<Walk>(L, lua_upvalueindex(3), kRegexIterator);
  if (!walk.next(L, regex, subject)) return lua_pushnil(L), 1;
  return push_groups(L, regex, subject);
}

// for a, b in regex:each(text) do ... end
int re_each(lua_State *L) {
  object_at<Regex>(L, 1, kRegexType);
  text_at<"regex:each">(L);
  lua_settop(L, 2);
  new_object<Walk>(L, kRegexIterator);
  lua_pushcclosure(L, bound<re_next>, 3);
  return 1;
}

// "$1" and "$$" of a replacement.
void add_expanded(std::string &out, const Regex &regex, std::string_view subject, std::string_view replacement) {
  for (std::size_t i = 0; i < replacement.size(); ++i) {
    const char next = i + 1 < replacement.size() ? replacement[i + 1] : '\0';
    if (replacement[i] != '$' || (next != '$' && (next < '0' || next > '9'))) {
      out += replacement[i];
      continue;
    }
    ++i;
    const auto group = static_cast<std::size_t>(next - '0');
    if (next == '$')
      out += '$';
    else if (group > regex.groups())
      throw ScriptError{std::string{"the replacement has $"} + next + ", but the expression has no such group"};
    else if (regex.took_part(group))
      out += subject.substr(regex.begin(group), regex.end(group) - regex.begin(group));
  }
}

// regex:replace(text, replacement): all matches; returns the text and how many.
int re_replace(lua_State *L) {
  const auto &regex = object_at<Regex>(L, 1, kRegexType);
  const auto subject = text_at<"regex:replace">(L), replacement = text_at<"regex:replace", 2>(L);
  State::of(L).charge(L, 50 + subject.size() / 16);
  std::string out;
  std::size_t copied = 0;
  lua_Integer count = 0;
  for (Walk walk; walk.next(L, regex, subject); ++count) {
    out += subject.substr(copied, regex.begin(0) - copied);
    add_expanded(out, regex, subject, replacement);
    copied = regex.end(0);
    if (out.size() > State::of(L).call_memory())
      throw ScriptError{"not enough memory for what replace makes (call_memory)"};
  }
  out += subject.substr(copied);
  push(L, out);
  lua_pushinteger(L, count);
  return 2;
}

// mansio.re.escape(text): an expression that matches it and nothing else.
int escape(lua_State *L) {
  std::string out;
  for (const char c : text_at<"mansio.re.escape">(L)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
    if (c == '\0') {
      out += "\\x00";
      continue;
    }
    if (!plain) out += '\\';
    out += c;
  }
  push(L, out);
  return 1;
}

}  // namespace

void add_re(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {
      {"test", bound<re_test>}, {"match", bound<re_match>},     {"find", bound<re_find>}, {"group", bound<re_group>},
      {"each", bound<re_each>}, {"replace", bound<re_replace>}, {nullptr, nullptr}};
  make_type(L, kRegexType, kMethods, destroy_object<Regex>);
  make_type(L, kRegexIterator, nullptr, nullptr);
  static constexpr luaL_Reg kFunctions[] = {{"compile", bound<compile>}, {"escape", bound<escape>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
