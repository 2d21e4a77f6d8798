// What event plugins are told of messages, when, and what becomes of events that one of them does not take.
#include <gmock/gmock.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using wire::DeliveryStatus;
using wire::EventKind;

constexpr auto kDropped = "mansio_events_dropped_total{event_sink=\"accounting\"}";
constexpr auto kLost = "mansio_events_lost_total{event_sink=\"accounting\"}";
constexpr auto kTold = "mansio_events_told_total{event_sink=\"accounting\"}";

class EventTest : public Bench {
 protected:
  EventTest() {
    auto &event = settings_.events.emplace_back();
    event.name = "accounting";
    event.plugin = "event-x";
  }
  FakePeer plugin(std::uint64_t wanted = wire::kAllEvents, std::int32_t pid = 400, std::uint32_t generation = 1) {
    auto host = attach(wire::RoleKind::Host, "host.event.accounting", pid, generation);
    say(host, wire::EventsWanted{wanted});
    return host;
  }
  static std::vector<wire::Event> taken(FakePeer &host) {
    std::vector<wire::Event> out;
    for (const auto &batch : host.link->take<wire::Events>())
      for (const auto &bytes : batch.events) out.push_back(*decode<wire::Event>(bytes));
    return out;
  }
  // All there is, answered for.
  std::vector<wire::Event> told(FakePeer &host) {
    std::vector<wire::Event> out;
    for (;;) {
      run();
      auto more = taken(host);
      if (more.empty()) return out;
      say(host, wire::EventsTaken{static_cast<std::uint32_t>(more.size())});
      std::move(more.begin(), more.end(), std::back_inserter(out));
    }
  }
  static std::vector<EventKind> kinds(const std::vector<wire::Event> &events) {
    std::vector<EventKind> out;
    for (const auto &event : events) out.push_back(event.kind);
    return out;
  }
  static std::string detail(const wire::Event &event, const std::string &name) {
    for (const auto &[key, value] : event.details)
      if (key == name) return value;
    return "";
  }
  static std::size_t times(const std::string &text, const std::string &what) {
    std::size_t n = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
    return n;
  }
};

TEST_F(EventTest, TellsTheLifeOfAMessageInItsOrder) {
  begin();
  auto host = plugin();
  const auto id = mail_to({"b@example.com"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Sent);
  const auto events = told(host);
  ASSERT_THAT(kinds(events), ElementsAre(EventKind::Inserted, EventKind::Routed, EventKind::Delivering,
                                         EventKind::Delivered, EventKind::Removed));
  for (const auto &event : events) {
    EXPECT_EQ(event.id, id);
    EXPECT_EQ(event.time, clock_.wall());
  }
  EXPECT_EQ(events[0].recipient, "");
  EXPECT_EQ(detail(events[0], "from"), "sender@example.org");
  EXPECT_EQ(detail(events[0], "size"), "1000");
  EXPECT_EQ(detail(events[0], "nrcpt"), "1");
  EXPECT_EQ(detail(events[0], "client_address"), "192.0.2.1");
  EXPECT_EQ(events[1].recipient, "b@example.com");
  EXPECT_EQ(detail(events[1], "transport"), "smtp");
  EXPECT_EQ(detail(events[2], "process"), "egress.smtp");
  EXPECT_EQ(detail(events[2], "attempt"), "1");
  EXPECT_EQ(events[3].recipient, "b@example.com");
  EXPECT_EQ(detail(events[3], "status"), "sent");
  EXPECT_EQ(detail(events[3], "dsn"), "2.0.0");
  EXPECT_EQ(detail(events[3], "relay"), "mx.example.com[192.0.2.25]:25");
  EXPECT_EQ(detail(events[4], "delay"), "0");
  EXPECT_EQ(stat(kTold), 5);
}

TEST_F(EventTest, TellsOfEachRecipientHowItEnded) {
  begin();
  auto host = plugin(wire::bit_of(EventKind::Deferred) | wire::bit_of(EventKind::Bounced));
  mail_to({"a@example.com", "b@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  auto outcomes = result(l[0], DeliveryStatus::Deferred);
  outcomes.outcomes[1] = outcome(1, DeliveryStatus::Bounced, {5, 1, 1}, "550 no such user");
  say(egress_, outcomes);
  const auto events = told(host);
  ASSERT_THAT(kinds(events), ElementsAre(EventKind::Deferred, EventKind::Bounced));
  EXPECT_EQ(events[0].recipient, "a@example.com");
  EXPECT_EQ(detail(events[0], "status"), "deferred");
  EXPECT_EQ(events[1].recipient, "b@example.com");
  EXPECT_EQ(detail(events[1], "dsn"), "5.1.1");
  EXPECT_EQ(detail(events[1], "text"), "550 no such user");
}

TEST_F(EventTest, WhatIsGivenUpForItsAgeHasBounced) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  auto host = plugin(wire::bit_of(EventKind::Deferred) | wire::bit_of(EventKind::Bounced));
  mail_to({"a@example.com"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  const auto events = told(host);
  ASSERT_THAT(kinds(events), ElementsAre(EventKind::Deferred, EventKind::Bounced));
  EXPECT_EQ(detail(events[1], "status"), "expired");
}

TEST_F(EventTest, AnOutcomeIsToldWhenItIsOnStableStorageAndNotBefore) {
  begin();
  auto host = plugin(wire::bit_of(EventKind::Delivered) | wire::bit_of(EventKind::Removed));
  mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  say(egress_, result(l[0], DeliveryStatus::Sent));
  core_->turn();
  core_->synced();  // of what was there before
  EXPECT_THAT(taken(host), IsEmpty());
  store_->sync();
  core_->synced();
  EXPECT_THAT(kinds(taken(host)), ElementsAre(EventKind::Delivered, EventKind::Removed));
}

TEST_F(EventTest, WhatNobodyWantsIsNotKept) {
  begin();
  auto host = plugin(wire::bit_of(EventKind::Bounced));
  mail_to({"a@example.com"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Sent);
  EXPECT_THAT(told(host), IsEmpty());
  EXPECT_EQ(stat("mansio_events_waiting{event_sink=\"accounting\"}"), 0);
}

TEST_F(EventTest, WhatHappenedBeforeAPluginWasThereWaitsAndWhatItDoesNotWantGoes) {
  begin();
  mail_to({"a@example.com"});
  auto host = plugin(wire::bit_of(EventKind::Inserted) | wire::bit_of(EventKind::Routed));
  EXPECT_THAT(kinds(told(host)), ElementsAre(EventKind::Inserted, EventKind::Routed));
}

TEST_F(EventTest, APluginThatTakesNothingHoldsUpNoMailAndMissesWhatDoesNotFit) {
  settings_.events[0].buffer_size = 16 * 1024;
  settings_.events[0].budget.in_flight_limit = 1;
  begin();
  auto host = plugin();
  for (int i = 0; i < 50; ++i) {
    mail_to({"a@example.com"});
    for (const auto &l : leases()) report(l, DeliveryStatus::Sent);
  }
  EXPECT_EQ(core_->index().size(), 0u);  // all delivered
  const auto dropped = stat(kDropped);
  EXPECT_GT(dropped, 100);
  EXPECT_EQ(times(sink_.text, "\"event\":\"events are dropped"), 1u);
  EXPECT_EQ(times(sink_.text, "\"event\":\"events are told again"), 0u);
  const auto events = told(host);
  EXPECT_EQ(static_cast<double>(events.size()) + dropped, 250);
  EXPECT_EQ(times(sink_.text, "\"event\":\"events are told again"), 1u);
  EXPECT_THAT(sink_.text, HasSubstr("\"dropped\":" + std::to_string(static_cast<int>(dropped))));
  mail_to({"b@example.com"});
  EXPECT_EQ(told(host).size(), 3u);  // as ever
}

TEST_F(EventTest, AtMostTheLimitIsOnItsWayToAPlugin) {
  settings_.events[0].budget.in_flight_limit = 2;
  begin();
  auto host = plugin();
  mail_to({"a@example.com"});  // inserted, routed, delivering
  run();
  EXPECT_EQ(taken(host).size(), 2u);
  EXPECT_THAT(taken(host), IsEmpty());
  say(host, wire::EventsTaken{1});
  EXPECT_EQ(taken(host).size(), 1u);
}

TEST_F(EventTest, WhatAChannelDoesNotTakeIsTriedAgainAtTheNextTickAndNotBefore) {
  begin();
  auto host = plugin(wire::bit_of(EventKind::Inserted));
  host.link->full = true;
  mail_to({"a@example.com"});
  host.link->full = false;
  mail_to({"b@example.com"});
  EXPECT_THAT(taken(host), IsEmpty());
  advance(2 * kSecond);
  EXPECT_EQ(taken(host).size(), 2u);
  EXPECT_EQ(stat(kDropped), 0);
}

TEST_F(EventTest, WhatADeadProcessHadIsLostAndItsSuccessorHearsOfTheRest) {
  settings_.events[0].budget.in_flight_limit = 1;
  begin();
  auto host = plugin();
  mail_to({"a@example.com"});
  EXPECT_EQ(taken(host).size(), 1u);
  die(host);
  EXPECT_EQ(stat(kLost), 1);
  EXPECT_THAT(sink_.text, HasSubstr("events were lost"));
  EXPECT_EQ(leases().size(), 1u);
  auto successor = plugin(wire::kAllEvents, 401);
  EXPECT_THAT(kinds(told(successor)), ElementsAre(EventKind::Routed, EventKind::Delivering));
}

TEST_F(EventTest, AProcessOfANewGenerationTakesOverAndTheOldOneGoesWhenItHasAnswered) {
  begin();
  auto old = plugin();
  mail_to({"a@example.com"});
  EXPECT_EQ(taken(old).size(), 3u);
  auto next = plugin(wire::kAllEvents, 401, 2);
  EXPECT_FALSE(old.link->closed);
  mail_to({"b@example.com"});
  EXPECT_THAT(taken(old), IsEmpty());
  EXPECT_EQ(told(next).size(), 3u);
  say(old, wire::EventsTaken{3});
  EXPECT_TRUE(old.link->closed);
  EXPECT_EQ(stat(kLost), 0);
}

TEST_F(EventTest, APluginThatIsConfiguredNoMoreIsLetGo) {
  begin();
  auto host = plugin();
  const auto without = [&] {
    auto settings = settings_;
    settings.events.clear();
    return settings;
  }();
  core_->reload(without);
  core_->draining(host.peer);
  EXPECT_TRUE(host.link->closed);
  mail_to({"a@example.com"});
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_THAT(taken(host), IsEmpty());
  core_->reload(settings_);
}

TEST_F(EventTest, AProcessThatDoesNotAnswerForAMinuteIsEnded) {
  begin();
  auto host = plugin();
  mail_to({"a@example.com"});
  advance(59 * kSecond);
  EXPECT_THAT(hung_, IsEmpty());
  advance(2 * kSecond);
  ASSERT_EQ(hung_.size(), 1u);
  EXPECT_EQ(hung_[0].name, "host.event.accounting");
}

TEST_F(EventTest, AtTheEndAllThatIsLeftGoesOut) {
  settings_.events[0].budget.in_flight_limit = 1;
  begin();
  auto host = plugin();
  mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  say(egress_, result(l[0], DeliveryStatus::Sent));
  ASSERT_TRUE(core_->stop().ok());
  EXPECT_THAT(kinds(taken(host)), ElementsAre(EventKind::Inserted, EventKind::Routed, EventKind::Delivering,
                                              EventKind::Delivered, EventKind::Removed));
}

TEST_F(EventTest, LinesOfTheLogAreToldAtOnceToThoseThatWantThem) {
  begin();
  std::vector<bool> wanted;
  core_->on_log_wanted([&](bool yes) { wanted.push_back(yes); });
  core_->tell_log({{"too early"}, 0});
  auto host = plugin(wire::bit_of(EventKind::Log));
  core_->tell_log({{"one", "two"}, 0});
  const auto events = taken(host);
  ASSERT_THAT(kinds(events), ElementsAre(EventKind::Log, EventKind::Log));
  EXPECT_EQ(detail(events[0], "line"), "one");
  EXPECT_EQ(detail(events[1], "line"), "two");
  EXPECT_EQ(events[0].time, clock_.wall());
  EXPECT_FALSE(events[0].id);
  mail_to({"a@example.com"});  // of which it does not want to hear
  EXPECT_THAT(told(host), IsEmpty());
  say(host, wire::EventsWanted{wire::bit_of(EventKind::Bounced)});
  core_->tell_log({{"too late"}, 0});
  EXPECT_THAT(told(host), IsEmpty());
  EXPECT_THAT(wanted, ElementsAre(false, true, false));
}

TEST_F(EventTest, LinesBeforeAPluginHasSaidThatItWantsThemAreNotKept) {
  begin();
  core_->tell_log({{"line"}, 0});
  auto host = plugin();
  EXPECT_THAT(told(host), IsEmpty());
}

TEST_F(EventTest, AFloodOfTheLogIsDroppedAndCountedAndCostsNoEventOfAMessage) {
  settings_.events[0].buffer_size = 64 * 1024;
  settings_.events[0].budget.in_flight_limit = 1;
  begin();
  auto host = plugin();
  const wire::LogLines flood{std::vector<std::string>(100, std::string(1000, 'x')), 7};
  for (int i = 0; i < 10; ++i) core_->tell_log(flood);
  constexpr auto kLinesDropped = "mansio_log_lines_dropped_total{event_sink=\"accounting\"}";
  const auto dropped = stat(kLinesDropped);
  EXPECT_GT(dropped, 900);
  EXPECT_EQ(times(sink_.text, "\"event\":\"lines of the log are not told"), 1u);
  mail_to({"a@example.com"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Sent);
  EXPECT_EQ(stat(kDropped), 0);
  const auto events = kinds(told(host));
  const auto lines = std::count(events.begin(), events.end(), EventKind::Log);
  EXPECT_EQ(static_cast<double>(lines) + dropped, 1000 + 10 * 7);
  EXPECT_EQ(events.size() - static_cast<std::size_t>(lines), 5u);
  EXPECT_EQ(times(sink_.text, "\"event\":\"lines of the log are told again"), 1u);
}

TEST_F(EventTest, WhatAStrangerSaysIsIgnored) {
  begin();
  auto stranger = attach(wire::RoleKind::Host, "host.event.other", 402);
  EXPECT_TRUE(stranger.link->closed);
  say(stranger, wire::EventsTaken{7});
  auto host = plugin();
  say(host, wire::EventsTaken{7});
  say(host, wire::WriterHello{});
  mail_to({"a@example.com"});
  EXPECT_EQ(told(host).size(), 3u);
}

}  // namespace
}  // namespace mansio::queue
