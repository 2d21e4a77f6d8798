// sdk/lua/mansio.d.lua names what the engine offers, and nothing else, and says of it what the engine's tables say.
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include "plugins/lua/check/live.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/shapes.hpp"
#include "plugins/lua/state.hpp"
#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using Names = std::set<std::string>;

std::string stubs() {
  std::ifstream in{std::string{MANSIO_SOURCE_DIR} + "/sdk/lua/mansio.d.lua"};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// The first group of each match.
Names all(const std::string &text, const std::string &expression) {
  const std::regex regex{expression};
  Names names;
  for (std::sregex_iterator i{text.begin(), text.end(), regex}, end; i != end; ++i) names.insert((*i)[1]);
  return names;
}

// The fields and methods of a class.
Names fields(const std::string &name) {
  const auto text = stubs();
  const auto begin = text.find("---@class mansio." + name + "\n");
  const auto end = text.find("---@class", begin + 1);
  auto found = all(text.substr(begin, end - begin), R"re(---@field (?:\[")?([\w-]+)(?:"\])?\?? )re");
  found.merge(all(text, "function " + name + ":(\\w+)\\("));
  return found;
}

template <class Array>
Names names_of(const Array &array) {
  return Names(array.begin(), array.end());
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
  Names offered;
  std::istringstream lines{s.host.log};
  for (std::string line; std::getline(lines, line);) offered.insert(line);
  EXPECT_EQ(all(stubs(), "function (mansio\\.[\\w.]+)\\("), offered);
}

// The texts that the alias stands for.
Names alias(const std::string &name) {
  const auto text = stubs();
  const auto begin = text.find("---@alias mansio." + name + "\n");
  if (begin == text.npos) return {};
  return all(text.substr(begin, text.find("---@alias", begin + 1) - begin), "---\\| \"([\\w-]+)\"");
}

TEST(Stubs, HaveTheEnginesEvents) {
  Names events, of_messages;
  for (const auto &event : kEvents) events.emplace(event.name);
  for (const auto &event : kMessageEvents) of_messages.emplace(event.name);
  EXPECT_EQ(alias("Event"), events);
  EXPECT_EQ(alias("MessageEvent"), of_messages);
}

TEST(Stubs, HaveTheEnginesFieldsAndOptions) {
  EXPECT_EQ(fields("session"), names_of(kSessionFields));
  EXPECT_EQ(fields("transaction"), names_of(kTransactionFields));
  EXPECT_EQ(fields("address"), names_of(kAddressFields));
  EXPECT_EQ(fields("message"), names_of(kMessageFields));
  EXPECT_EQ(fields("part"), names_of(kPartFields));
  EXPECT_EQ(fields("delivery"), names_of(kDeliveryFields));
  EXPECT_EQ(fields("recipient"), names_of(kRecipientFields));
  EXPECT_EQ(fields("auth_step"), names_of(kAuthStepFields));
  EXPECT_EQ(fields("lease_request"), names_of(kLeaseFields));
  EXPECT_EQ(fields("event"), names_of(kMessageEventFields));
  EXPECT_EQ(fields("mail"), names_of(kQueuedFields));
  EXPECT_EQ(fields("mail_recipient"), names_of(kQueuedRecipientFields));
  EXPECT_EQ(fields("RouteFields"), names_of(kRouteFields));
  EXPECT_EQ(fields("AuthObject"), names_of(kAuthFields));
  EXPECT_EQ(fields("RateObject"), names_of(kRateFields));
  EXPECT_EQ(fields("FilterObject"), names_of(kFilterFields));
  EXPECT_EQ(fields("PermitsOptions"), names_of(kPermitsOptions));
  EXPECT_EQ(fields("RateOptions"), names_of(kRateOptions));
  EXPECT_EQ(fields("OnOptions"), names_of(kOnOptions));
  EXPECT_EQ(fields("ResultOptions"), names_of(kResultOptions));
  EXPECT_EQ(fields("ConnectOptions"), names_of(kConnectOptions));
  EXPECT_EQ(fields("HttpOptions"), names_of(kHttpOptions));
  EXPECT_EQ(fields("RedisOptions"), names_of(kRedisOptions));
  EXPECT_EQ(fields("SqliteOptions"), names_of(kSqliteOptions));
  for (const auto &fact : kQueuedFacts) EXPECT_TRUE(names_of(kQueuedFields).contains(std::string{fact.name}));
  for (const auto &fact : kSessionFacts) EXPECT_TRUE(names_of(kSessionFields).contains(std::string{fact.name}));
}

// What the stubs call the engine's types.
std::string stub_name(std::string_view type) {
  static const std::map<std::string, std::string, std::less<>> kNames{
      {"recipient of mail", "mail_recipient"}, {"window", "window_of"}, {"rate", "rate_limit"}};
  const auto found = kNames.find(type);
  std::string name{found == kNames.end() ? type : found->second};
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}
std::string stub_type(std::string_view type) {
  if (type == "string") return "string";
  if (type.ends_with("[]")) return stub_type(type.substr(0, type.size() - 2)) + "[]";
  return "mansio." + stub_name(type);
}

// Of a function of the engine's, or a method ("message:header"): the types that stand behind `---@WHAT`, in their
// order.
std::vector<std::string> annotated(std::string_view function, const std::string &what) {
  std::string name{function};
  if (const auto colon = name.find(':'); colon != name.npos)
    name = (name.starts_with("window:") ? "window" : stub_name(name.substr(0, colon))) + name.substr(colon);
  std::istringstream lines{stubs()};
  std::vector<std::string> types;
  const std::regex of_return{"---@return ([^ ]+).*"}, of_parameter{"---@param [\\w.]+\\?? ([^ ]+).*"};
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (line.starts_with("function " + name + "(")) return types;
    if (!line.starts_with("---")) types.clear();
    if (std::regex_match(line, match, what == "return" ? of_return : of_parameter)) types.push_back(match[1]);
  }
  ADD_FAILURE() << name << " is not there";
  return {};
}

// The type of a field of a class, as it is written there up to its first blank; functions up to their end.
std::string field_type(const std::string &name, std::string_view field) {
  const auto text = stubs();
  const auto begin = text.find("---@class mansio." + name + "\n");
  if (begin == text.npos) return "";
  const auto section = text.substr(begin, text.find("---@class", begin + 1) - begin);
  std::smatch match;
  const std::regex regex{R"re(---@field (?:\[")?)re" + std::string{field} +
                         R"re((?:"\])?\?? (fun\([^)]*\)|[^ \n]+))re"};
  return std::regex_search(section, match, regex) ? match[1].str() : "";
}

// Of "fun(a: b, c: d)": {b, d}.
std::vector<std::string> parameter_types(const std::string &function) {
  std::vector<std::string> types;
  const std::regex regex{"\\w+: ([^,)]+)"};
  for (std::sregex_iterator i{function.begin(), function.end(), regex}, end; i != end; ++i) types.push_back((*i)[1]);
  return types;
}

template <class Types>
void expect_parameters(const std::string &function, const Types &types, bool all) {
  const auto stub = parameter_types(function);
  std::vector<std::string> expected;
  for (const auto type : types)
    if (!type.empty()) expected.push_back(stub_type(type));
  ASSERT_GE(stub.size(), expected.size()) << function;
  if (all) {
    EXPECT_EQ(stub.size(), expected.size()) << function;
  }
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(stub[i], expected[i]) << function;
}

TEST(Stubs, SayWhatHandlersGet) {
  for (const auto &shape : kHandlerShapes)
    expect_parameters(field_type("FilterObject", shape.event), shape.parameters, true);
  for (const auto &shape : kProvidedShapes) {
    if (shape.kind == "auth") expect_parameters(field_type("AuthObject", shape.field), shape.parameters, true);
    if (shape.kind == "rate") expect_parameters(field_type("RateObject", shape.field), shape.parameters, false);
  }
}

TEST(Stubs, SayWhatFieldsAre) {
  for (const auto &shape : kFieldShapes) {
    auto type = field_type(stub_name(shape.object), shape.field);
    if (type.ends_with('?')) type.pop_back();
    if (type == "mansio.MessageEvent") type = "string";
    EXPECT_EQ(type, stub_type(shape.type)) << shape.object << '.' << shape.field;
  }
}

TEST(Stubs, SayWhatFunctionsReturn) {
  for (const auto &shape : kResultShapes) {
    if (!shape.function.starts_with("mansio.") && !shape.function.starts_with("message:") &&
        !shape.function.starts_with("connection:"))
      continue;  // Lua's own
    const auto types = annotated(shape.function, "return");
    ASSERT_FALSE(types.empty()) << shape.function;
    const auto &type = types.front();
    EXPECT_EQ(type.substr(0, type.find('?')), stub_type(shape.type)) << shape.function;
  }
}

TEST(Stubs, SayWhatFunctionsTake) {
  for (const auto &shape : kArgumentShapes) {
    const auto types = annotated(shape.function, "param");
    ASSERT_GE(types.size(), shape.number) << shape.function;
    const auto &type = types[shape.number - 1];
    std::string records;
    for (const auto record : kRecordTypes) records += (records.empty() ? "\"" : "|\"") + std::string{record} + '"';
    EXPECT_EQ(type, shape.type == ArgumentType::Text   ? "string"
                    : shape.type == ArgumentType::Time ? "mansio.Time"
                                                       : records)
        << shape.function;
  }
  // Those of memoize() stand where they are taken.
  const auto text = stubs();
  std::smatch match;
  ASSERT_TRUE(std::regex_search(text, match, std::regex{"options\\? \\{([^}]*)\\}\n---@return F\n"}));
  EXPECT_EQ(all(match[1], "(\\w+)\\?:"), names_of(kMemoizeOptions));
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
  const auto text = stubs();
  std::set<std::string_view> seen;
  for (const auto &shape : kResultShapes) {
    if (shape.type == "string" || !seen.insert(shape.type).second) continue;
    const auto methods = world.methods_of(shape.type);
    ASSERT_TRUE(methods) << shape.type;
    const auto name = shape.type == "window" ? "window" : stub_name(shape.type);
    EXPECT_EQ(all(text, "function " + name + ":(\\w+)\\("), Names(methods->known.begin(), methods->known.end()))
        << shape.type;
  }
}

}  // namespace
}  // namespace mansio::lua::testing
