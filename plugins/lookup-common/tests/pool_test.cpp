#include "plugins/lookup-common/pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace mansio::lookup {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Servers that can be up or down, a clock that the test sets, and a record of what was connected to.
struct PoolTest : testing::Test {
  struct Connection {
    std::size_t server;
    int generation;  // of the server: one from before a restart is broken
  };
  using TestPool = Pool<Connection>;

  TestPool pool(std::size_t servers, std::chrono::nanoseconds retry = 5s, std::chrono::nanoseconds idle = 60s) {
    return TestPool{{servers, retry, idle},
                    [this](std::size_t server, std::string &why) -> std::unique_ptr<Connection> {
                      connects.push_back(server);
                      if (down.contains(server)) return why = "server " + std::to_string(server) + " is down", nullptr;
                      return std::make_unique<Connection>(server, generation[server]);
                    },
                    [this] { return now; }};
  }
  std::string ask(TestPool &pool) {
    const auto answer = pool.ask([this](Connection &c, std::string &why) -> std::optional<Answer> {
      if (down.contains(c.server) || c.generation != generation[c.server]) return why = "closed", std::nullopt;
      return Answer::found(std::to_string(c.server));
    });
    return answer.outcome == Answer::Outcome::Found ? answer.values.at(0) : answer.text;
  }

  TestPool::Clock::time_point now{1h};
  std::set<std::size_t> down;
  std::map<std::size_t, int> generation;
  std::vector<std::size_t> connects;
};

TEST_F(PoolTest, KeepsConnectionsBetweenLookups) {
  auto p = pool(1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(p), "0");
  EXPECT_THAT(connects, ElementsAre(0));
}

TEST_F(PoolTest, ClosesConnectionsThatWereIdleForTooLong) {
  auto p = pool(1);
  ask(p);
  now += 61s;
  EXPECT_EQ(ask(p), "0");
  EXPECT_THAT(connects, ElementsAre(0, 0));
}

TEST_F(PoolTest, SurvivesTheRestartOfAServer) {
  auto p = pool(1);
  ask(p);
  ++generation[0];
  EXPECT_EQ(ask(p), "0");
  EXPECT_THAT(connects, ElementsAre(0, 0));
}

TEST_F(PoolTest, GoesOnToTheNextServerAndComesBack) {
  auto p = pool(3, 5s, 10s);
  down = {0, 1};
  EXPECT_EQ(ask(p), "2");
  down = {};
  EXPECT_EQ(ask(p), "2") << "an idle connection is used";
  now += 11s;
  EXPECT_EQ(ask(p), "0") << "the first one again, once it is no longer known to be down";
  EXPECT_THAT(connects, ElementsAre(0, 1, 2, 0));
}

TEST_F(PoolTest, EndsInTryLaterWhenNoServerIsLeft) {
  auto p = pool(2);
  down = {0, 1};
  EXPECT_THAT(ask(p), HasSubstr("is down"));
}

TEST_F(PoolTest, LeavesAServerAloneForTheRetryInterval) {
  auto p = pool(1);
  down = {0};
  ask(p);
  down = {};
  EXPECT_EQ(ask(p), "server 0 is down");
  EXPECT_THAT(connects, ElementsAre(0)) << "not asked again";
  now += 5s;
  EXPECT_EQ(ask(p), "0");
}

TEST_F(PoolTest, WithoutRetryIntervalAsksEachTime) {
  auto p = pool(1, 0s);
  down = {0};
  ask(p);
  down = {};
  EXPECT_EQ(ask(p), "0");
}

TEST_F(PoolTest, ReplacesABrokenConnectionAndTakesTheNextServerWhenThatFailsToo) {
  auto p = pool(2);
  ask(p);
  down = {0};
  EXPECT_EQ(ask(p), "1");
  EXPECT_THAT(connects, ElementsAre(0, 0, 1));
}

}  // namespace
}  // namespace mansio::lookup
