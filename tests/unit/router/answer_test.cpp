// What the router answers when routes are asked for again.
#include "kernel/router/answer.hpp"

#include <gtest/gtest.h>

#include "kernel/io/channel.hpp"

namespace mansio::router {
namespace {

class AnswerTest : public ::testing::Test {
 protected:
  AnswerTest() {
    settings_.myhostname = "mail.example.org";
    config::RouteRule refused;
    refused.domain = {"closed.example"};
    refused.error = "550 5.1.2 closed for good";
    config::RouteRule rest;
    rest.transport = "smtp";
    rest.nexthop = std::string(200, 'n') + ".example";
    settings_.routes = {refused, rest};
  }
  wire::RouteReply ask(std::vector<std::string> recipients) const {
    wire::RouteRequest request;
    request.request = 7;
    for (auto &r : recipients) request.recipients.emplace_back(request.recipients.size(), std::move(r));
    return answer(request, route::RouteTable{settings_}, 3).reply();
  }
  config::Settings settings_;
};

TEST_F(AnswerTest, SaysOfEachRecipientWhereItGoesOrWhyNowhere) {
  const auto reply = ask({"a@open.example", "b@closed.example"});
  EXPECT_EQ(reply.request, 7u);
  EXPECT_EQ(reply.config_epoch, 3u);
  ASSERT_EQ(reply.routes.size(), 1u);
  EXPECT_EQ(reply.routes[0].first, 0u);
  EXPECT_EQ(reply.routes[0].second.transport, "smtp");
  ASSERT_EQ(reply.refusals.size(), 1u);
  EXPECT_EQ(reply.refusals[0].recipient, 1u);
  EXPECT_EQ(to_string(reply.refusals[0].status), "5.1.2");
}

TEST_F(AnswerTest, SendsAllToAContentFilterWhateverTheRoutesSay) {
  wire::RouteRequest request;
  request.request = 7;
  request.recipients = {{0, "a@open.example"}, {4, "b@closed.example"}};
  const auto reply = answer(request, Route{"dspam", "[127.0.0.1]:10024"}, 3).reply();
  EXPECT_EQ(reply.config_epoch, 3u);
  EXPECT_TRUE(reply.refusals.empty());
  ASSERT_EQ(reply.routes.size(), 2u);
  EXPECT_EQ(reply.routes[1].first, 4u);
  EXPECT_EQ(reply.routes[1].second, (Route{"dspam", "[127.0.0.1]:10024"}));
}

TEST_F(AnswerTest, RefusesAll) {
  wire::RouteRequest request;
  request.request = 7;
  request.recipients = {{0, "a@open.example"}, {4, "b@closed.example"}};
  const auto reply = answer(request, route::Refusal{451, {4, 3, 5}, "no transport"}, 3).reply();
  EXPECT_TRUE(reply.routes.empty());
  ASSERT_EQ(reply.refusals.size(), 2u);
  EXPECT_EQ(reply.refusals[1].recipient, 4u);
  EXPECT_EQ(to_string(reply.refusals[1].status), "4.3.5");
}

TEST_F(AnswerTest, SaysWhatAPolicyMadeOfTheWay) {
  wire::RouteRequest request;
  Answer said{request, 3};
  std::uint32_t next = 0;
  const auto add = [&](wire::PolicyAction action, auto change) {
    route::RouteDecision decision;
    decision.route = {"smtp", "[192.0.2.1]"};
    wire::PolicyWord word;
    word.action = action;
    word.policy = "policy.quota";
    change(word);
    said.add(next++, std::move(decision), word);
  };
  using wire::PolicyAction;
  add(PolicyAction::None, [](auto &) {});
  add(PolicyAction::Route, [](auto &w) { w.route = {"bulk", ""}; });
  add(PolicyAction::Route, [](auto &w) { w.route.nexthop = "[192.0.2.7]"; });
  add(PolicyAction::Route, [](auto &w) { w.source_pool = "warm"; });
  add(PolicyAction::Hold, [](auto &w) { w.text = "too much"; });
  add(PolicyAction::Defer, [](auto &w) { w.retry = 5 * kSecond; });
  add(PolicyAction::Fail, [](auto &w) { w.enhanced = {5, 7, 9}, w.text = "never"; });
  add(PolicyAction::Discard, [](auto &) {});
  const auto &reply = said.reply();
  ASSERT_EQ(reply.routes.size(), 5u);
  EXPECT_EQ(reply.routes[0].second, (Route{"smtp", "[192.0.2.1]"}));
  EXPECT_EQ(reply.routes[1].second, (Route{"bulk", ""}));
  EXPECT_EQ(reply.routes[2].second, (Route{"smtp", "[192.0.2.7]"}));
  EXPECT_EQ(reply.routes[3].second, (Route{"smtp", "[192.0.2.1]"}));
  EXPECT_EQ(reply.routes[4].second, (Route{"smtp", "[192.0.2.1]"}));  // once it is released
  ASSERT_EQ(reply.pools.size(), 1u);
  EXPECT_EQ(reply.pools[0], (std::pair<std::uint32_t, std::string>{3, "warm"}));
  EXPECT_EQ(reply.hold, "by policy.quota: too much");
  ASSERT_EQ(reply.refusals.size(), 3u);
  EXPECT_EQ(to_string(reply.refusals[0].status), "4.7.1");
  EXPECT_EQ(reply.refusals[0].retry, 5 * kSecond);
  EXPECT_EQ(to_string(reply.refusals[1].status), "5.7.9");
  EXPECT_EQ(reply.refusals[1].text, "never");
  EXPECT_TRUE(reply.refusals[2].discard);
  EXPECT_EQ(reply.refusals[2].text, "discarded by policy.quota");
}

TEST_F(AnswerTest, FitsInAMessageAndLeavesTheRestForLater) {
  std::vector<std::string> all;
  for (int i = 0; i < 1000; ++i) all.push_back(std::to_string(i) + "@open.example");
  const auto reply = ask(all);
  EXPECT_LE(encode(reply).size(), io::kMaxMessage);
  EXPECT_GT(reply.routes.size(), 100u);
  EXPECT_EQ(reply.routes.size() + reply.refusals.size(), all.size());
  EXPECT_EQ(reply.refusals.back().status.cls, 4);
}

}  // namespace
}  // namespace mansio::router
