// sdk/lua/mansio.d.lua names what the engine offers, and nothing else.
#include <regex>
#include <set>
#include <sstream>

#include "plugins/lua/declarations.hpp"
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

}  // namespace
}  // namespace mansio::lua::testing
