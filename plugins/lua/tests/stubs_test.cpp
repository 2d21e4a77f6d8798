// What is declared is what the engine offers, and what its functions say of wrong arguments; and sdk/lua/mansio.d.lua
// is written from it.
#include "plugins/lua/declare/stubs.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "plugins/lua/check/live.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/shapes.hpp"
#include "plugins/lua/state.hpp"
#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using Names = std::set<std::string>;

TEST(Stubs, AreWhatTheDeclarationsSay) {
  const auto path = std::string{MANSIO_SOURCE_DIR} + "/sdk/lua/mansio.d.lua";
  if (std::getenv("MANSIO_WRITE_REFERENCE")) std::ofstream{path} << stubs();
  std::ifstream in{path};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  EXPECT_EQ(text, stubs()) << "write it anew: MANSIO_WRITE_REFERENCE=1 unit-lua";
}

TEST(Stubs, HaveTheEnginesFunctions) {
  Scripted s{R"(
    local function list(t, prefix)
      for name, value in pairs(t) do
        if type(value) == "function" then mansio.log.info(prefix .. name) end
        if type(value) == "table" then list(value, prefix .. name .. ".") end
      end
    end
    list(mansio, "mansio.")
    mansio.on("connect", function() end)
  )"};
  Names offered, declared;
  std::istringstream lines{s.host.log};
  for (std::string line; std::getline(lines, line);) offered.insert(line);
  for (const auto &function : kDeclaredFunctions) declared.emplace(function.name);
  for (const auto &function : kDeclaredLibraryFunctions) declared.emplace(function.name);
  EXPECT_EQ(declared, offered);
}

// The methods of objects that the engine's functions return.
TEST(Stubs, HaveTheMethodsOfObjects) {
  Settings settings;
  settings.path = "stubs.lua";
  settings.text = "mansio.on('connect', function() end)";
  settings.instructions = 10'000'000;
  settings.call_memory = 16 << 20;
  settings.state_memory = 128 << 20;
  Engine engine{nullptr, settings};
  const State state{engine, settings};
  LiveWorld world{state.main()};
  std::size_t objects = 0;
  for (const auto &type : kDeclaredClasses) {
    if (type.object.empty() || !type.fields.empty()) continue;
    ++objects;
    const auto methods = world.methods_of(type.object);
    ASSERT_TRUE(methods) << type.object;
    Names declared;
    for (const auto &method : kDeclaredMethods)
      if (method.name.starts_with(std::string{type.object} + ':'))
        declared.emplace(method.name.substr(type.object.size() + 1));
    EXPECT_EQ(declared, Names(methods->known.begin(), methods->known.end())) << type.object;
  }
  EXPECT_GT(objects, 5u);
}

// One of LuaLS's, an alias, or a class that is declared.
bool is_known_type(std::string_view type) {
  constexpr std::array kOfLua{"string", "integer", "number",        "boolean", "table", "any",
                              "nil",    "false",   "lightuserdata", "F",       "4",     "6"};
  constexpr std::array kAliases{"mansio.Time",       "mansio.Event",       "mansio.MessageEvent", "mansio.OnError",
                                "mansio.RecordType", "mansio.ProvideKind", "mansio.QueueLimit"};
  for (const std::string_view end : {"?", "[]"})
    if (type.ends_with(end)) return is_known_type(type.substr(0, type.size() - end.size()));
  const auto is_it = [&](std::string_view known) { return known == type; };
  return type.starts_with('"') || std::any_of(kOfLua.begin(), kOfLua.end(), is_it) ||
         std::any_of(kAliases.begin(), kAliases.end(), is_it) ||
         std::any_of(std::begin(kDeclaredClasses), std::end(kDeclaredClasses),
                     [&](const DeclaredClass &known) { return known.name == type; });
}
void expect_known_types(std::string_view types, std::string_view where) {
  if (types.starts_with("table<") || types.starts_with("fun(") || types.starts_with('(')) return;
  std::istringstream parts{std::string{types}};
  for (std::string part; std::getline(parts, part, '|');) EXPECT_TRUE(is_known_type(part)) << part << " of " << where;
}

TEST(Stubs, NameTypesThatThereAre) {
  for (const auto &type : kDeclaredClasses)
    for (const auto &field : type.fields) expect_known_types(field.type, type.name);
  for (const auto &functions : kAllFunctions)
    for (const auto &function : functions) {
      for (const auto &parameter : function.parameters) expect_known_types(parameter.type, function.name);
      for (const auto &result : function.results) expect_known_types(result.type, function.name);
    }
}

// What an argument of that kind may be, in Lua.
std::string good_argument(const DeclaredParameter &parameter) {
  if (parameter.what == "the address") return "'192.0.2.1:25'";
  if (parameter.what == "the URL") return "'http://example.com/'";
  if (parameter.what == "the path") return "'/text'";
  if (parameter.what == "the rate") return "'100/m'";
  if (parameter.what == "the hash") return "'sha256'";
  if (parameter.what == "the type of the records") return "'A'";
  if (parameter.what == "the limit") return "'tenant_rate_limit'";
  if (parameter.what == "the method") return "'PUT'";
  if (parameter.type == "mansio.Time" || parameter.type == "integer") return "1";
  if (parameter.type == "F" || parameter.type.starts_with("fun(")) return "print";
  if (parameter.type.ends_with("Options")) return "{}";
  return "'text'";
}
std::string refusal(const DeclaredParameter &parameter) {
  const auto &type = parameter.type;
  const bool text = type == "mansio.Time" || engine_type(type) == "string";
  return std::string{"expected "} +
         (text                                      ? "text"
          : type == "integer"                       ? "an integer"
          : type == "F" || type.starts_with("fun(") ? "a function"
                                                    : "a table") +
         " for " + std::string{parameter.what} + ", got boolean";
}

// The tries of a function at its arguments: with all before them good, one is true, which none takes.
std::string tries(const DeclaredFunction &function, const std::string &in_lua, std::string before) {
  std::string text;
  for (const auto &parameter : function.parameters) {
    if (parameter.name.empty()) break;
    if (!parameter.what.empty())
      text += "try(\"" + std::string{function.name} + "\", \"" + refusal(parameter) + "\", " + in_lua + ", " + before +
              "true)\n";
    before += good_argument(parameter) + ", ";
  }
  return text;
}

TEST(Stubs, DeclareWhatFunctionsSayOfWrongArguments) {
  std::string text = R"(
    local function try(name, expected, f, ...)
      local _, why = pcall(f, ...)
      if not tostring(why):find(expected, 1, true) then mansio.log.info("%s: %s, expected %s", name, why, expected) end
    end
    local window, rate = mansio.window("window", "1m"), mansio.rate("rate", "10/m")
    local regex, ip_set = mansio.re.compile("x"), mansio.ip.set{}
    local counter_metric, gauge_metric = mansio.metric.counter("a", "a"), mansio.metric.gauge("b", "b")
    mansio.on("connect", function()
  )";
  const Names at_load{"mansio.on", "mansio.provide", "mansio.command", "mansio.option"};
  for (const auto &function : kDeclaredFunctions)
    if (!at_load.contains(std::string{function.name})) text += tries(function, std::string{function.name}, "");
  for (const auto &function : kDeclaredLibraryFunctions) text += tries(function, std::string{function.name}, "");
  for (const auto &method : kDeclaredMethods) {
    const auto colon = method.name.find(':');
    std::string object{method.name.substr(0, colon)};
    std::replace(object.begin(), object.end(), ' ', '_');
    if (!Names{"window", "rate", "regex", "ip_set", "counter_metric", "gauge_metric"}.contains(object)) continue;
    text += tries(method, object + '.' + std::string{method.name.substr(colon + 1)}, object + ", ");
  }
  Scripted s{text + "end)\n", {{"allow", "connect,http,redis,sqlite"}}};
  s.at(MANSIO_STAGE_CONNECT);
  EXPECT_EQ(s.host.log, "");
}

// The same at the end of a message, of which there has to be one.
TEST(Stubs, DeclareWhatMethodsOfMessagesSayOfWrongArguments) {
  std::string text = R"(
    mansio.on("end-of-message", function(_, message)
      local said = {}
      local function try(name, expected, f, ...)
        local _, why = pcall(f, ...)
        if not tostring(why):find(expected, 1, true) then said[#said + 1] = name .. ": " .. tostring(why) end
      end
      local part = message:parts()()
  )";
  for (const auto &method : kDeclaredMethods)
    for (const std::string object : {"message", "part"})
      if (method.name.starts_with(object + ':'))
        text += tries(method, object + '.' + std::string{method.name.substr(object.size() + 1)}, object + ", ");
  Scripted s{text + "mansio.log.info('%d: %s', #said, table.concat(said, '; ')) end)\n"};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_END_OF_MESSAGE;
  stage.content = "Subject: a\r\n\r\ntext\r\n";
  s.host.run(stage);
  EXPECT_EQ(s.host.log, "0: \n");
}

}  // namespace
}  // namespace mansio::lua::testing
