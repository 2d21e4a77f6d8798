// Event plugins in C++ on the fake host: which events they are told, and what they see of them.
#include "mansio/event.hpp"

#include <gmock/gmock.h>

#include <cstddef>
#include <stdexcept>

#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeHost;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TwoEvents {
 public:
  static constexpr Info info{"event-two", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit TwoEvents(Host host) : host_(host), removed_(host.counter("removed", "messages")) {}
  void bounced(const Event &event) {
    if (event.recipient() == "throw@example.com") throw std::runtime_error{"oops"};
    host_.info(std::string{event.name()} + ' ' + std::string{event.queue_id()} + ' ' + std::string{event.recipient()} +
               ' ' + std::string{event.field("dsn")} + '[' + std::string{event.field("none")} + "] " +
               std::to_string(event.fields().size()));
  }
  void removed(const Event &) { host_.add(removed_); }

 private:
  Host host_;
  std::uint32_t removed_;
};

class OneForMessages {
 public:
  static constexpr Info info{"event-messages", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit OneForMessages(Host host) : host_(host) {}
  void notify(const Event &event) { host_.info(event.name()); }

 private:
  Host host_;
};

class OfTheLog {
 public:
  static constexpr Info info{"event-log", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit OfTheLog(Host host) : host_(host) {}
  void log(const Event &event) { host_.info(event.field("line")); }

 private:
  Host host_;
};

class OneForAll {
 public:
  static constexpr Info info{"event-all", "1.0"};
  static constexpr mansio_option options[] = {{"routed", MANSIO_OPT_BOOLEAN, 0, "true", "whether it wants ROUTED"}, {}};
  explicit OneForAll(Host host) : host_(host) {}
  std::uint64_t events() const { return host_.flag("routed") ? ~std::uint64_t{0} : ~event_bit(MANSIO_EVENT_ROUTED); }
  void notify(const Event &event) { host_.info(event.name()); }

 private:
  Host host_;
};

template <class P>
const mansio_plugin *told_of() {
  return Glue<P, EventKind>::entry();
}

TEST(Events, AreThoseThatTheClassHasFunctionsFor) {
  FakeHost host{told_of<TwoEvents>()};
  EXPECT_TRUE(host.tell({.event = MANSIO_EVENT_BOUNCED,
                         .queue_id = "0000000J00000",
                         .recipient = "b@example.com",
                         .fields = {{"from", "a@example.org"}, {"dsn", "5.1.1"}}}));
  EXPECT_EQ(host.log, "bounced 0000000J00000 b@example.com 5.1.1[] 2\n");
  EXPECT_TRUE(host.tell({.event = MANSIO_EVENT_REMOVED}));
  EXPECT_EQ(host.metric("removed"), 1);
  for (const std::uint32_t event : {MANSIO_EVENT_INSERTED, MANSIO_EVENT_ROUTED, MANSIO_EVENT_DELIVERING,
                                    MANSIO_EVENT_DELIVERED, MANSIO_EVENT_DEFERRED, MANSIO_EVENT_LOG})
    EXPECT_FALSE(host.tell({.event = event})) << event;
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST(Events, OneFunctionForAllIsToldThoseThatItAsksFor) {
  FakeHost all{told_of<OneForAll>()};
  for (const std::uint32_t event : {MANSIO_EVENT_INSERTED, MANSIO_EVENT_ROUTED, MANSIO_EVENT_DELIVERING})
    EXPECT_TRUE(all.tell({.event = event}));
  EXPECT_EQ(all.log, "inserted\nrouted\ndelivering\n");
  FakeHost fewer{told_of<OneForAll>(), {{"routed", "false"}}};
  EXPECT_FALSE(fewer.tell({.event = MANSIO_EVENT_ROUTED}));
  EXPECT_TRUE(fewer.tell({.event = MANSIO_EVENT_REMOVED}));
}

// There are many of those, and they come of everything: a plugin has to ask for them.
TEST(Events, LinesOfTheLogAreToldToThoseThatAskForThem) {
  FakeHost messages{told_of<OneForMessages>()};
  EXPECT_TRUE(messages.tell({.event = MANSIO_EVENT_REMOVED}));
  EXPECT_FALSE(messages.tell({.event = MANSIO_EVENT_LOG}));
  FakeHost log{told_of<OfTheLog>()};
  EXPECT_FALSE(log.tell({.event = MANSIO_EVENT_REMOVED}));
  EXPECT_TRUE(log.tell({.event = MANSIO_EVENT_LOG, .fields = {{"line", "{}"}}}));
  EXPECT_EQ(log.log, "{}\n");
  FakeHost all{told_of<OneForAll>()};
  EXPECT_TRUE(all.tell({.event = MANSIO_EVENT_LOG}));
  EXPECT_EQ(all.log, "log\n");
}

TEST(Events, WhatAFunctionThrowsIsLogged) {
  FakeHost host{told_of<TwoEvents>()};
  host.tell({.event = MANSIO_EVENT_BOUNCED, .recipient = "throw@example.com"});
  EXPECT_THAT(host.log, HasSubstr("oops"));
}

TEST(Events, AnOlderHostsShorterRecordIsReadAsFarAsItGoes) {
  mansio_event event{};
  event.size = offsetof(mansio_event, fields);
  event.event = MANSIO_EVENT_DEFERRED;
  const mansio_pair stray{str("a"), str("b")};
  event.fields = &stray;
  event.n_fields = 1;
  EXPECT_EQ(Event{event}.name(), "deferred");
  EXPECT_TRUE(Event{event}.fields().empty());
  event.size = sizeof event;
  event.event = 40;
  EXPECT_EQ(Event{event}.name(), "");
  EXPECT_EQ(Event{event}.field("a"), "b");
}

}  // namespace
}  // namespace mansio::plugin
