// Filters and policies in C++ on the fake host: which stages they see, what their answers and edits become.
#include "mansio/filter.hpp"

#include <gmock/gmock.h>

#include <thread>

#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeHost;
using mansio::testing::FakeStage;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Everything {
 public:
  static constexpr Info info{"filter-everything", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit Everything(Host host) : host_(host) {}

  Reply rcpt(Stage &stage) {
    if (stage.argument(0) == "nobody@example.com") return reject({5, 1, 1}, "no such user").code(550);
    if (stage.argument(0) == "throw@example.com") throw std::runtime_error{"oops"};
    if (stage.argument(0) == "trap@example.com")
      return stage.redirect("review@example.com") && !stage.redirect("") ? accept() : skip();
    stage.set_message("tenant", std::string{stage.macro("client_address")});
    return stage.add_header("X", "too early") ? reject({5, 0, 0}, "edited in RCPT") : accept();
  }
  void end_of_message(Stage stage, Token token) {
    std::thread{[stage = std::move(stage), token = std::move(token)]() mutable {
      stage.progress();
      const auto content = stage.content();
      stage.add_header("X-Length", std::to_string(content ? content->size() : 0));
      stage.insert_header(0, "X-First", "1");
      stage.change_header("Subject", 1, "b");
      stage.delete_header("X-Spam", 2);
      stage.set_sender("s@example.com");
      stage.add_recipient("r@example.com");
      stage.delete_recipient("d@example.com");
      stage.replace_body("new\r\n");
      stage.hold("looks bad");
      const auto seen = stage.session_value("seen");
      token.complete(seen == "skip" ? skip() : accept());
    }}.detach();
  }
  void abort(std::string_view session, std::string_view queue_id) {
    host_.info("aborted " + std::string{session} + ' ' + std::string{queue_id});
  }

 private:
  Host host_;
};

template <class P>
const mansio_plugin *filter() {
  return Glue<P, FilterKind>::entry();
}

TEST(Filter, SeesTheStagesThatItHasFunctionsFor) {
  FakeHost host{filter<Everything>()};
  EXPECT_TRUE(host.wants(MANSIO_STAGE_RCPT));
  EXPECT_TRUE(host.wants(MANSIO_STAGE_END_OF_MESSAGE));
  EXPECT_FALSE(host.wants(MANSIO_STAGE_CONNECT));
  EXPECT_FALSE(host.wants(MANSIO_STAGE_BODY));
  EXPECT_EQ(host.run({.stage = MANSIO_STAGE_CONNECT}).last->status, MANSIO_SKIP);
}

TEST(Filter, JudgesACommand) {
  FakeHost host{filter<Everything>()};
  const auto refused = host.run({.stage = MANSIO_STAGE_RCPT, .arguments = {"nobody@example.com"}});
  EXPECT_EQ(refused.last->status, MANSIO_FAIL);
  EXPECT_EQ(refused.last->smtp_code, 550);
  EXPECT_EQ(refused.last->enhanced, "5.1.1");
  const auto taken = host.run(
      {.stage = MANSIO_STAGE_RCPT, .arguments = {"a@example.com"}, .macros = {{"client_address", "192.0.2.1"}}});
  EXPECT_EQ(taken.last->status, MANSIO_OK);
  EXPECT_EQ(taken.message_meta.at("tenant"), "192.0.2.1");
  EXPECT_THAT(taken.edits, IsEmpty());
  EXPECT_EQ(host.run({.stage = MANSIO_STAGE_RCPT, .arguments = {"throw@example.com"}}).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(host.log, HasSubstr("oops"));
}

TEST(Filter, EditsAMessageFromAThread) {
  FakeHost host{filter<Everything>()};
  const auto result = host.run({.stage = MANSIO_STAGE_END_OF_MESSAGE, .content = "Subject: a\r\n\r\nx\r\n"});
  EXPECT_EQ(result.last->status, MANSIO_OK);
  EXPECT_THAT(result.edits,
              ElementsAre("add_header X-Length: 17", "insert_header 0 X-First: 1", "change_header 1 Subject: b",
                          "delete_header 2 X-Spam", "set_sender s@example.com", "add_recipient r@example.com",
                          "delete_recipient d@example.com", "replace_body new\r\n", "hold looks bad"));
  EXPECT_EQ(result.progress, 1u);
  EXPECT_THAT(host.faults, IsEmpty());
}

class ForBob {
 public:
  static constexpr Info info{"filter-for-bob", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit ForBob(Host) {}
  Reply end_of_message(Stage &stage) {
    stage.add_header("X-For", "all");
    if (stage.version({}) || stage.version({"bob@example.com", "stranger@example.com"})) return skip();
    auto bobs = stage.version({"bob@example.com"});
    if (!bobs) return reject({5, 1, 1}, "there is no bob");
    if (bobs->number() != 1 || stage.version({"Bob@example.com"})) return skip();
    stage.add_recipient("carol@example.com");
    auto others = stage.version({"ALICE@example.com", "carol@example.com"});
    if (!others || !bobs->change_header("X-For", 1, "bob") || !bobs->replace_body("for bob\r\n")) return skip();
    others->delete_header("X-For", 1);
    others->insert_header(0, "X-First", "1");
    others->add_header("X-Last", "1");
    return accept();
  }
};

TEST(Filter, GivesRecipientsVersionsOfTheirOwn) {
  FakeHost host{filter<ForBob>()};
  FakeStage stage{.stage = MANSIO_STAGE_END_OF_MESSAGE,
                  .arguments = {"alice@example.com", "bob@example.com"},
                  .content = "Subject: a\r\n\r\nx\r\n"};
  const auto result = host.run(stage);
  EXPECT_EQ(result.last->status, MANSIO_OK);
  EXPECT_THAT(result.edits,
              ElementsAre("add_header X-For: all", "version 1 bob@example.com", "add_recipient carol@example.com",
                          "version 2 ALICE@example.com", "version 2 carol@example.com",
                          "of_version 1 change_header 1 X-For: bob", "of_version 1 replace_body for bob\r\n",
                          "of_version 2 delete_header 1 X-For", "of_version 2 insert_header 0 X-First: 1",
                          "of_version 2 add_header X-Last: 1"));
  stage.arguments = {"alice@example.com"};
  EXPECT_EQ(host.run(stage).last->text, "there is no bob");
}

TEST(Filter, DropsItsEditsWhenItSkips) {
  FakeHost host{filter<Everything>()};
  const auto result =
      host.run({.stage = MANSIO_STAGE_END_OF_MESSAGE, .content = "\r\n", .session_meta = {{"seen", "skip"}}});
  EXPECT_EQ(result.last->status, MANSIO_SKIP);
  EXPECT_THAT(result.edits, IsEmpty());
}

TEST(Filter, HearsThatAMessageComesToNothing) {
  FakeHost host{filter<Everything>()};
  host.abort("s.1", "Q");
  EXPECT_THAT(host.log, HasSubstr("aborted s.1 Q"));
}

TEST(Policy, EditsNothingButMayHoldAndRedirect) {
  FakeHost host{Glue<Everything, PolicyKind>::entry()};
  EXPECT_THAT(host.run({.stage = MANSIO_STAGE_RCPT, .arguments = {"trap@example.com"}}).edits,
              ElementsAre("redirect review@example.com"));
  const auto result = host.run({.stage = MANSIO_STAGE_END_OF_MESSAGE, .content = "\r\n"});
  EXPECT_THAT(result.edits, ElementsAre("hold looks bad"));
}

class Traffic {
 public:
  static constexpr Info info{"policy-traffic", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit Traffic(Host) {}
  Reply route(Stage &stage) {
    if (stage.argument(0) == "later@example.com") return defer({4, 7, 1}, "later").retry(60'000'000'000);
    if (stage.message_value("x.list")) return stage.route("bulk") && stage.set_source_pool("warm") ? accept() : skip();
    return stage.redirect("a@example.com") ? reject({5, 0, 0}, "redirected at ROUTE") : accept();
  }
  Reply bounce(Stage &stage) {
    return stage.macro("kind") == "delay" && stage.discard("nobody reads these") ? accept() : skip();
  }
};

TEST(Policy, HasASayInWhatTheQueueDoes) {
  FakeHost host{Glue<Traffic, PolicyKind>::entry()};
  EXPECT_TRUE(host.wants(MANSIO_STAGE_ROUTE));
  EXPECT_TRUE(host.wants(MANSIO_STAGE_BOUNCE));
  EXPECT_FALSE(host.wants(MANSIO_STAGE_RETRY));
  const auto way =
      host.run({.stage = MANSIO_STAGE_ROUTE, .arguments = {"b@example.com"}, .message_meta = {{"x.list", "news"}}});
  EXPECT_THAT(way.edits, ElementsAre("route bulk:", "source_pool warm"));
  EXPECT_EQ(host.run({.stage = MANSIO_STAGE_ROUTE, .arguments = {"b@example.com"}}).last->status, MANSIO_OK);
  const auto later = host.run({.stage = MANSIO_STAGE_ROUTE, .arguments = {"later@example.com"}});
  EXPECT_EQ(later.last->status, MANSIO_DEFER);
  EXPECT_EQ(later.last->retry_ns, 60'000'000'000);
  EXPECT_THAT(host.run({.stage = MANSIO_STAGE_BOUNCE, .macros = {{"kind", "delay"}}}).edits,
              ElementsAre("discard nobody reads these"));
}

TEST(Filter, SaysOfWhichBuildItIs) {
  const auto *plugin = filter<Everything>();
  EXPECT_EQ(plugin->draft_build, MANSIO_DRAFT_BUILD);
  EXPECT_STREQ(plugin->kinds[0], "mansio.filter/1~draft");
}

}  // namespace
}  // namespace mansio::plugin
