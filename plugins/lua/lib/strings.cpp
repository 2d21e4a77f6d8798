// string.find, match, gmatch and gsub: Lua's, on lib/pattern.hpp.
#include <string.h>  // memmem()

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/lib/pattern.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kGmatchIterator = "gmatch iterator";
constexpr std::string_view kSpecial = "^$*+?.([%-";

void charge_for(lua_State *L, std::size_t bytes) { State::of(L).charge(L, 10 + bytes / 16); }

// Where to begin, from 0; beyond the end when there is nothing to find.
std::size_t start_at(lua_State *L, int index, std::size_t length) {
  const auto n = luaL_optinteger(L, index, 1);
  if (n > 0) return static_cast<std::size_t>(n) - 1;
  if (n == 0 || static_cast<lua_Unsigned>(-(n + 1)) >= length) return 0;
  return length - static_cast<std::size_t>(-n);
}

void push_capture(lua_State *L, const Pattern &pattern, std::string_view subject, std::size_t capture) {
  const auto [group, position] = pattern.captures[capture];
  if (!pattern.regex.took_part(group)) throw ScriptError{"the pattern has a capture that took no part"};
  const auto begin = pattern.regex.begin(group), end = pattern.regex.end(group);
  if (position)
    lua_pushinteger(L, static_cast<lua_Integer>(begin) + 1);
  else
    push(L, subject.substr(begin, end - begin));
}

std::string_view whole(const Pattern &pattern, std::string_view subject) {
  return subject.substr(pattern.regex.begin(0), pattern.regex.end(0) - pattern.regex.begin(0));
}

// All captures, or the whole match where there are none and `or_whole`.
int push_captures(lua_State *L, const Pattern &pattern, std::string_view subject, bool or_whole) {
  luaL_checkstack(L, static_cast<int>(pattern.captures.size()) + 1, "too many captures");
  if (pattern.captures.empty() && or_whole) return push(L, whole(pattern, subject)), 1;
  for (std::size_t i = 0; i < pattern.captures.size(); ++i) push_capture(L, pattern, subject, i);
  return static_cast<int>(pattern.captures.size());
}

template <bool find>
int search(lua_State *L) {
  const auto subject = text_at(L, 1, "the text"), wanted = text_at(L, 2, "the pattern");
  const auto start = start_at(L, 3, subject.size());
  charge_for(L, subject.size());
  if (start > subject.size()) return lua_pushnil(L), 1;
  if (find && (lua_toboolean(L, 4) || wanted.find_first_of(kSpecial) == wanted.npos)) {
    // Linear in any case, which find() of the standard library is not.
    const auto *found = static_cast<const char *>(
        ::memmem(subject.data() + start, subject.size() - start, wanted.data(), wanted.size()));
    if (!found) return lua_pushnil(L), 1;
    const auto at = static_cast<std::size_t>(found - subject.data());
    lua_pushinteger(L, static_cast<lua_Integer>(at) + 1);
    lua_pushinteger(L, static_cast<lua_Integer>(at) + static_cast<lua_Integer>(wanted.size()));
    return 2;
  }
  const auto pattern = State::of(L).pattern(L, wanted);
  if (!State::of(L).match(L, pattern->regex, subject, start)) return lua_pushnil(L), 1;
  if (!find) return push_captures(L, *pattern, subject, true);
  lua_pushinteger(L, static_cast<lua_Integer>(pattern->regex.begin(0)) + 1);
  lua_pushinteger(L, static_cast<lua_Integer>(pattern->regex.end(0)));
  return 2 + push_captures(L, *pattern, subject, false);
}

// The matches of a subject one after the other; an empty one does not stand where the last one ended.
class Matches {
 public:
  Matches(std::shared_ptr<const Pattern> pattern, std::size_t start) : pattern_(std::move(pattern)), at_(start) {}
  const Pattern &pattern() const { return *pattern_; }
  bool next(lua_State *L, std::string_view subject) {
    while (at_ <= subject.size()) {
      if (!State::of(L).match(L, pattern_->regex, subject, at_)) return false;
      const auto begin = pattern_->regex.begin(0), end = pattern_->regex.end(0);
      const bool again = begin == end && end == last_end_;
      at_ = again ? end + 1 : end;
      if (again) continue;
      last_end_ = end;
      return true;
    }
    return false;
  }

 private:
  std::shared_ptr<const Pattern> pattern_;
  std::size_t at_;
  std::size_t last_end_ = std::string::npos;
};

// Upvalues: the subject, the Matches.
int gmatch_next(lua_State *L) {
  const auto subject = text_at(L, lua_upvalueindex(1), "the text");
  auto &matches = object_at<Matches>(L, lua_upvalueindex(2), kGmatchIterator);
  State::of(L).charge(L, 20);
  if (!matches.next(L, subject)) return lua_pushnil(L), 1;
  return push_captures(L, matches.pattern(), subject, true);
}

int gmatch(lua_State *L) {
  const auto subject = text_at(L, 1, "the text"), wanted = text_at(L, 2, "the pattern");
  const auto start = start_at(L, 3, subject.size());
  auto pattern = State::of(L).pattern(L, wanted, false);
  lua_pushvalue(L, 1);
  new_object<Matches>(L, kGmatchIterator, std::move(pattern), start);
  lua_pushcclosure(L, bound<gmatch_next>, 2);
  return 1;
}

// "%1" of a replacement.
void add_expanded(lua_State *L, std::string &out, const Pattern &pattern, std::string_view subject,
                  std::string_view replacement) {
  for (std::size_t i = 0; i < replacement.size(); ++i) {
    if (replacement[i] != '%') {
      out += replacement[i];
      continue;
    }
    const char c = ++i < replacement.size() ? replacement[i] : '\0';
    if (c == '%') {
      out += '%';
    } else if (c == '0' || (c == '1' && pattern.captures.empty())) {
      out += whole(pattern, subject);
    } else if (c >= '1' && c <= '9') {
      const auto n = static_cast<std::size_t>(c - '1');
      if (n >= pattern.captures.size())
        throw ScriptError{std::string{"the replacement has %"} + c + ", but the pattern has no such capture"};
      push_capture(L, pattern, subject, n);
      out += text_at(L, -1, "a capture");
      lua_pop(L, 1);
    } else {
      throw ScriptError{"the replacement has a single %; %% stands for one"};
    }
  }
}

// What takes the place of a match: the third argument is a text, a table or a function.
void add_replacement(lua_State *L, std::string &out, const Pattern &pattern, std::string_view subject) {
  const std::string matched{whole(pattern, subject)};  // the function may search, too
  const int type = lua_type(L, 3);
  if (type == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    const int n = push_captures(L, pattern, subject, true);
    lua_call(L, n, 1);
  } else if (type == LUA_TTABLE) {
    if (pattern.captures.empty())
      push(L, matched);
    else
      push_capture(L, pattern, subject, 0);
    lua_gettable(L, 3);
  } else {
    return add_expanded(L, out, pattern, subject, text_at(L, 3, "the replacement"));
  }
  if (!lua_toboolean(L, -1))
    out += matched;
  else if (lua_isstring(L, -1))
    out += text_at(L, -1, "the replacement");
  else
    throw ScriptError{"the replacement is a " + type_name(L, -1) + ", expected a text"};
  lua_pop(L, 1);
}

int gsub(lua_State *L) {
  const auto subject = text_at(L, 1, "the text"), wanted = text_at(L, 2, "the pattern");
  const int type = lua_type(L, 3);
  if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TTABLE && type != LUA_TFUNCTION)
    throw ScriptError{"expected a text, table or function for the replacement, got " + type_name(L, 3)};
  const auto most = luaL_optinteger(L, 4, static_cast<lua_Integer>(subject.size()) + 1);
  charge_for(L, subject.size());
  // A replacing function may search with the same pattern, so nothing of a match is read after it has run.
  Matches matches{State::of(L).pattern(L, wanted), 0};
  const auto limit = State::of(L).call_memory();
  std::string out;
  std::size_t copied = 0;
  lua_Integer count = 0;
  while (count < most && matches.next(L, subject)) {
    const auto begin = matches.pattern().regex.begin(0), end = matches.pattern().regex.end(0);
    State::of(L).charge(L, 20);
    out += subject.substr(copied, begin - copied);
    add_replacement(L, out, matches.pattern(), subject);
    if (out.size() > limit) throw ScriptError{"not enough memory for what string.gsub makes (call_memory)"};
    copied = end;
    ++count;
    if (matches.pattern().anchored) break;
  }
  out += subject.substr(copied);
  push(L, out);
  lua_pushinteger(L, count);
  return 2;
}

}  // namespace

void add_patterns(lua_State *L) {
  make_type(L, kGmatchIterator, nullptr, destroy_object<Matches>);
  static constexpr luaL_Reg kFunctions[] = {{"find", bound<search<true>>},
                                            {"match", bound<search<false>>},
                                            {"gmatch", bound<gmatch>},
                                            {"gsub", bound<gsub>},
                                            {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
