// Stores, through the queue core: what they are told and how often, what is done with what they have, and how mail
// comes back from one.
#include <gmock/gmock.h>

#include "kernel/mail/stored_copy.hpp"
#include "kernel/wire/store_messages.hpp"
#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using wire::StoreStatus;

constexpr std::uint64_t kLostSpool = 0x7000000000000001;  // another spool

class Stores : public Bench {
 protected:
  Stores() {
    config::Store store;
    store.name = "second";
    store.plugin = "store-odd";
    store.time_limit = 10 * kSecond;
    settings_.stores.push_back(store);
  }
  FakePeer host(std::int32_t pid = 500, std::uint32_t generation = 1, const std::string &name = "second") {
    return attach(wire::RoleKind::Host, "host.store." + name, pid, generation);
  }
  // A queue with its cast and a store.
  FakePeer begin_with_store() {
    begin();
    learn_name();
    return host();
  }
  void learn_name() {
    for (const auto &said : ingress_.link->take<wire::SpoolName>()) name_ = said.spool;
    ASSERT_NE(name_, 0u);
  }
  StoreKey ours(MessageId id) const { return {name_, id}; }
  std::vector<wire::StoreOutcome> told(FakePeer &h) {
    run();
    return h.link->take<wire::StoreOutcome>();
  }
  std::vector<wire::StoreScan> scans(FakePeer &h) {
    run();
    return h.link->take<wire::StoreScan>();
  }
  void answer(const FakePeer &h, std::uint64_t number, StoreStatus status = StoreStatus::Ok) {
    say(h, wire::StoreResult{number, status, "the disk is full"});
    run();
  }
  void page(const FakePeer &h, std::uint64_t number, std::vector<StoreKey> keys, const std::string &cursor = "") {
    say(h, wire::StorePage{number, StoreStatus::Ok, {}, cursor, std::move(keys), 0});
    run();
  }
  // The one page that there is.
  void has(FakePeer &h, std::vector<StoreKey> keys) {
    const auto asked = scans(h);
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(asked.front().cursor, "");
    page(h, asked.front().number, std::move(keys));
  }
  void deliver(wire::DeliveryStatus status = wire::DeliveryStatus::Sent) {
    for (const auto &lease : leases()) report(lease, status);
  }
  std::vector<wire::RestoreRequest> asked_back() {
    run();
    return router_.link->take<wire::RestoreRequest>();
  }
  void restored(const StoreKey &key, wire::RestoreStatus status, MessageId id = {}, const std::string &why = "") {
    say(router_, wire::Restored{key, status, id, why});
    run();
  }
  // The message that came back, as the router commits it.
  MessageId comes_back(const StoreKey &key) {
    auto e = envelope({"a@example.com"});
    e.restored = key;
    return mail(e);
  }

  std::uint64_t name_ = 0;
};

TEST_F(Stores, WritersLearnWhatTheSpoolIsCalledOnceItIsStable) {
  start();
  auto ingress = attach(wire::RoleKind::Ingress, "ingress.0", 100);
  EXPECT_THAT(ingress.link->take<wire::SpoolName>(), IsEmpty()) << "nothing is synced yet";
  cast();
  learn_name();
  const auto first = name_;
  const auto to_router = router_.link->take<wire::SpoolName>();
  ASSERT_EQ(to_router.size(), 1u);
  EXPECT_EQ(to_router.front().spool, first);
  EXPECT_THAT(egress_.link->take<wire::SpoolName>(), IsEmpty());
  start();
  auto again = attach(wire::RoleKind::Ingress, "ingress.0", 100);
  const auto said = again.link->take<wire::SpoolName>();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said.front().spool, first) << "a restart changes it not";
}

TEST_F(Stores, WithoutAnyNothingIsNamedOrJournaled) {
  settings_.stores.clear();
  begin();
  mail_to({"a@example.com"});
  deliver();
  EXPECT_THAT(ingress_.link->take<wire::SpoolName>(), IsEmpty());
  Replay replay;
  for (const auto &bytes : disk_.journal) replay.apply(bytes);
  EXPECT_EQ(replay.spool(), 0u);
}

TEST_F(Stores, HearOfTheEndOfAMessageOnceItIsStable) {
  auto h = begin_with_store();
  const auto id = mail_to({"a@example.com"});
  EXPECT_THAT(told(h), IsEmpty());
  const auto lease = leases().at(0);
  say(egress_, result(lease, wire::DeliveryStatus::Sent));
  core_->turn();
  EXPECT_THAT(h.link->take<wire::StoreOutcome>(), IsEmpty()) << "a crash would bring it back";
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, ours(id));
  EXPECT_TRUE(said[0].last);
  EXPECT_EQ(stat("mansio_store_outcomes_waiting{store=\"second\"}"), 0);
  answer(h, said[0].number);
  advance(100 * kSecond);
  EXPECT_THAT(told(h), IsEmpty());
  EXPECT_EQ(stat("mansio_store_outcomes_total{store=\"second\"}"), 1);
}

TEST_F(Stores, AreToldAgainAfterACrashUnlessTheyHadSaidThatTheyKnow) {
  auto h = begin_with_store();
  const auto first = mail_to({"a@example.com"});
  const auto second = mail_to({"b@example.com"});
  deliver();
  for (const auto &said : told(h))
    if (said.key == ours(first)) answer(h, said.number);
  advance(2 * kSecond);  // which is journaled now and then
  begin();
  auto other = host(501);
  const auto said = told(other);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, ours(second));
  EXPECT_TRUE(said[0].last);
}

TEST_F(Stores, WhatTheyAreOwedStandsInACheckpoint) {
  auto h = begin_with_store();
  const auto id = mail_to({"a@example.com"});
  deliver();
  store_->want_checkpoint = true;
  advance(2 * kSecond);
  EXPECT_EQ(store_->checkpoints, 1);
  begin();
  learn_name();
  auto other = host(501);
  const auto said = told(other);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, ours(id)) << "under the same name as well";
}

TEST_F(Stores, OneThatFailsIsToldAgainAfterAWhileThatGrows) {
  auto h = begin_with_store();
  has(h, {});  // a page that is never answered is a failure, too
  mail_to({"a@example.com"});
  deliver();
  auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  Nanos wait = kSecond;
  for (int i = 0; i < 4; ++i, wait *= 2) {
    answer(h, said[0].number, StoreStatus::Failed);
    advance(wait - kMillisecond);
    EXPECT_THAT(told(h), IsEmpty());
    advance(2 * kMillisecond);
    said = told(h);
    ASSERT_EQ(said.size(), 1u);
  }
  EXPECT_THAT(sink_.text, HasSubstr("a store fails"));
  EXPECT_THAT(sink_.text, HasSubstr("the disk is full"));
  answer(h, said[0].number);
  EXPECT_THAT(sink_.text, HasSubstr("a store takes outcomes again"));
  EXPECT_EQ(stat("mansio_store_failures_total{store=\"second\"}"), 4);
}

TEST_F(Stores, OneThatDoesNotAnswerInTimeHasFailedAndItsWordCountsNoMore) {
  auto h = begin_with_store();
  const auto id = mail_to({"a@example.com"});
  deliver();
  const auto first = told(h);
  ASSERT_EQ(first.size(), 1u);
  advance(11 * kSecond);
  EXPECT_THAT(sink_.text, HasSubstr("no answer in time"));
  answer(h, first[0].number);
  advance(2 * kSecond);
  const auto again = told(h);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].key, ours(id));
}

TEST_F(Stores, AnswersOfAProcessThatEndsAreGivenByTheNext) {
  auto h = begin_with_store();
  const auto id = mail_to({"a@example.com"});
  deliver();
  EXPECT_EQ(told(h).size(), 1u);
  core_->closed(h.id);
  auto next = host(501);
  const auto again = told(next);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].key, ours(id));
}

TEST_F(Stores, OfAnOldAndANewGenerationTheNewIsToldAndTheOldLetGo) {
  auto old = begin_with_store();
  const auto asked = scans(old);  // at each start
  ASSERT_EQ(asked.size(), 1u);
  mail_to({"a@example.com"});
  deliver();
  const auto first = told(old);
  ASSERT_EQ(first.size(), 1u);
  auto next = host(501, 2);
  core_->draining(old.peer);
  mail_to({"b@example.com"});
  deliver();
  EXPECT_THAT(told(old), IsEmpty());
  EXPECT_EQ(told(next).size(), 1u);
  EXPECT_FALSE(old.link->closed);
  answer(old, first[0].number);
  EXPECT_FALSE(old.link->closed) << "it owes a page as well";
  page(old, asked[0].number, {});
  EXPECT_TRUE(old.link->closed);
}

TEST_F(Stores, EachIsToldAndOnlyAllTogetherKnow) {
  auto store = settings_.stores.front();
  store.name = "third";
  settings_.stores.push_back(store);
  auto h = begin_with_store();
  auto third = host(510, 1, "third");
  mail_to({"a@example.com"});
  deliver();
  const auto one = told(h), two = told(third);
  ASSERT_EQ(one.size(), 1u);
  ASSERT_EQ(two.size(), 1u);
  answer(h, one[0].number);
  advance(2 * kSecond);
  begin();
  auto again = host(511, 1, "third");
  EXPECT_EQ(told(again).size(), 1u) << "it never said that it knows";
}

TEST_F(Stores, HearWhichRecipientsAreDoneWhenSomeAreNot) {
  auto h = begin_with_store();
  const auto id = mail_to({"a@one.example", "b@two.example", "c@three.example"});
  for (const auto &lease : leases())
    report(lease, lease.recipients[0].address == "b@two.example" ? wire::DeliveryStatus::Deferred
                                                                 : wire::DeliveryStatus::Sent);
  EXPECT_THAT(told(h), IsEmpty()) << "not one by one";
  advance(2 * kSecond);
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, ours(id));
  EXPECT_FALSE(said[0].last);
  EXPECT_EQ(said[0].sequence, 2u);
  EXPECT_EQ(decode_done(said[0].record, 3), (std::vector<bool>{true, false, true}));
  answer(h, said[0].number);
  advance(10 * kSecond);
  EXPECT_THAT(told(h), IsEmpty());
  // A restart says it once more: it cannot know what the store has heard.
  begin();
  auto other = host(501);
  advance(2 * kSecond);
  const auto again = told(other);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].record, said[0].record);
}

TEST_F(Stores, HearOfTheEndOnlyAfterTheyAnsweredForAPart) {
  auto h = begin_with_store();
  mail_to({"a@one.example", "b@two.example"});
  const auto both = leases();
  ASSERT_EQ(both.size(), 2u);
  report(both[0], wire::DeliveryStatus::Sent);
  advance(2 * kSecond);
  const auto part = told(h);
  ASSERT_EQ(part.size(), 1u);
  report(both[1], wire::DeliveryStatus::Sent);
  advance(2 * kSecond);
  EXPECT_THAT(told(h), IsEmpty()) << "one might overtake the other";
  answer(h, part[0].number, StoreStatus::Failed);
  advance(2 * kSecond);
  const auto end = told(h);
  ASSERT_EQ(end.size(), 1u);
  EXPECT_TRUE(end[0].last);
}

TEST_F(Stores, AFailedRecipientIsDoneWhenItsNotificationIsWritten) {
  auto h = begin_with_store();
  mail_to({"a@one.example", "b@two.example"});
  for (const auto &lease : leases())
    report(lease, lease.recipients[0].address == "a@one.example" ? wire::DeliveryStatus::Bounced
                                                                 : wire::DeliveryStatus::Deferred);
  const auto dsn = notifications();
  ASSERT_EQ(dsn.size(), 1u);
  advance(2 * kSecond);
  EXPECT_THAT(told(h), IsEmpty()) << "nobody has told its sender yet";
  say(router_, wire::DsnWritten{dsn[0].parent, MessageId{77}, false, ""});
  advance(2 * kSecond);
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(decode_done(said[0].record, 2), (std::vector<bool>{true, false}));
}

TEST_F(Stores, WhatAnOperatorDeletesIsGoneThereToo) {
  auto h = begin_with_store();
  const auto id = mail_to({"a@example.com"});
  deliver(wire::DeliveryStatus::Deferred);
  EXPECT_EQ(ask("delete", {}, {to_string(id)}).affected, 1u);
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(said[0].last);
}

TEST_F(Stores, ANotificationIsMailAsAnyOther) {
  auto h = begin_with_store();
  auto e = envelope({"sender@example.org"}, "");
  e.dsn_parent = {MessageId::make(0, kEpoch, 999), 1};
  const auto id = mail(e);
  deliver();
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, ours(id));
}

TEST_F(Stores, OneThatAReloadBringsBackHearsOfTheSpoolByItsName) {
  begin();
  learn_name();
  const auto with = settings_;
  settings_.stores.clear();
  begin();
  settings_ = with;
  core_->reload(settings_);
  auto h = host();
  const auto id = mail_to({"a@one.example", "b@two.example"});
  for (const auto &lease : leases())
    report(lease, lease.recipients[0].address == "b@two.example" ? wire::DeliveryStatus::Deferred
                                                                 : wire::DeliveryStatus::Sent);
  run();
  advance(2 * kSecond);
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, ours(id));
  EXPECT_FALSE(said[0].last);
}

// ---- what they have ------------------------------------------------------------------------------------------------

TEST_F(Stores, AreLookedThroughOnceAStartPageByPage) {
  auto h = begin_with_store();
  auto asked = scans(h);
  ASSERT_EQ(asked.size(), 1u);
  page(h, asked[0].number, {ours(MessageId::make(0, 5, 1)), {kLostSpool, MessageId{3}}}, "next");
  asked = scans(h);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].cursor, "next");
  page(h, asked[0].number, {{kLostSpool, MessageId{4}}});
  advance(100 * kSecond);
  EXPECT_THAT(scans(h), IsEmpty());
  const auto lines = ask("stores", {}).lines;
  EXPECT_THAT(lines, HasSubstr("\"looked_through\":true"));
  EXPECT_THAT(lines, HasSubstr("\"" + spool_name(kLostSpool) + "\":2"));
  EXPECT_THAT(lines, HasSubstr("\"" + spool_name(name_) + "\":1"));
}

TEST_F(Stores, APageThatDoesNotComeIsAskedForAgain) {
  auto h = begin_with_store();
  auto asked = scans(h);
  ASSERT_EQ(asked.size(), 1u);
  page(h, asked[0].number, {}, "next");
  ASSERT_EQ(scans(h).size(), 1u);
  core_->closed(h.id);
  auto next = host(501);
  asked = scans(next);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].cursor, "next");
  say(next, wire::StorePage{asked[0].number, StoreStatus::Failed, "no such file", "", {}, 0});
  advance(2 * kSecond);
  asked = scans(next);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].cursor, "next");
}

TEST_F(Stores, WhatNeverCameIntoTheSpoolIsForgottenAfterAWhile) {
  auto h = begin_with_store();
  const auto here = mail_to({"a@example.com"});
  deliver(wire::DeliveryStatus::Deferred);
  const auto lost = MessageId::make(0, 50, 1);      // of a writer of an earlier life
  const auto coming = MessageId::make(0, 5000, 1);  // of one that has its segment from us
  has(h, {ours(here), ours(lost), ours(coming), {kLostSpool, lost}});
  advance(65 * kSecond);
  EXPECT_THAT(told(h), IsEmpty()) << "a writer may be at it";
  advance(10 * kSecond);
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, ours(lost));
  EXPECT_TRUE(said[0].last);
}

TEST_F(Stores, WhatADamagedSpoolHasNotStaysThere) {
  disk_.damaged = true;
  auto h = begin_with_store();
  has(h, {ours(MessageId::make(0, 50, 1)), ours(MessageId::make(0, 50, 2))});
  advance(100 * kSecond);
  EXPECT_THAT(told(h), IsEmpty());
  EXPECT_THAT(sink_.text, HasSubstr("a store has mail that is not in the spool"));
  EXPECT_THAT(ask("stores", {}).lines, HasSubstr("\"missing\":2"));
}

TEST_F(Stores, WhatAWriterGaveUpIsForgottenUnlessTheSpoolHasItAfterAll) {
  auto h = begin_with_store();
  has(h, {});
  const auto none = MessageId::make(0, kEpoch, 900);
  const auto some = mail_to({"a@example.com"});
  deliver(wire::DeliveryStatus::Deferred);
  say(ingress_, wire::Abandoned{none});
  say(ingress_, wire::Abandoned{some});
  advance(65 * kSecond);
  EXPECT_THAT(told(h), IsEmpty()) << "a commit may still be on its way there";
  advance(10 * kSecond);
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, ours(none));
}

// ---- mail that comes back ------------------------------------------------------------------------------------------

TEST_F(Stores, BringBackTheMailOfAnotherSpool) {
  auto h = begin_with_store();
  const StoreKey one{kLostSpool, MessageId{1}}, two{kLostSpool, MessageId{2}}, other{kLostSpool + 1, MessageId{3}};
  has(h, {one, two, other});
  EXPECT_THAT(asked_back(), IsEmpty());
  const auto begun = ask("restore", {{"store", "second"}, {"from", spool_name(kLostSpool)}});
  EXPECT_EQ(begun.error, "");
  has(h, {one, two, other, ours(MessageId{4})});
  const auto asked = asked_back();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].key, one);
  EXPECT_EQ(asked[0].store, "second");
  EXPECT_FALSE(asked[0].hold);
  EXPECT_EQ(asked[1].key, two);
  const auto id = comes_back(one);
  const auto lease = leases();
  ASSERT_EQ(lease.size(), 1u);
  EXPECT_TRUE(lease[0].possible_duplicate);
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, one) << "it has another name there now";
  EXPECT_TRUE(said[0].last);
  answer(h, said[0].number);
  restored(one, wire::RestoreStatus::Done, id);
  EXPECT_THAT(told(h), IsEmpty()) << "it knows";
  restored(two, wire::RestoreStatus::Damaged, {}, "its body is damaged");
  EXPECT_THAT(sink_.text, HasSubstr("mail restored from a store"));
  const auto lines = ask("stores", {}).lines;
  EXPECT_THAT(lines, HasSubstr("\"restored\":1"));
  EXPECT_THAT(lines, HasSubstr("\"damaged\":1"));
  EXPECT_THAT(lines, HasSubstr("\"running\":false"));
  advance(100 * kSecond);
  for (const auto &last : told(h)) EXPECT_NE(last.key, two) << "what is damaged stays";
}

TEST_F(Stores, ARestoreIsOfOneStoreAndOneSpoolOrAll) {
  auto h = begin_with_store();
  EXPECT_THAT(ask("restore", {{"store", "none"}, {"from", "all"}}).error, HasSubstr("there is no [store.none]"));
  EXPECT_THAT(ask("restore", {{"store", "second"}}).error, HasSubstr("not a spool's name"));
  EXPECT_THAT(ask("restore", {{"store", "second"}, {"from", "all"}, {"x", "y"}}).error, HasSubstr("x=y"));
  EXPECT_EQ(ask("restore", {{"store", "second"}, {"from", "all"}, {"hold", "yes"}}).error, "");
  EXPECT_THAT(ask("restore", {{"store", "second"}, {"from", "all"}}).error, HasSubstr("already"));
  h.link->take<wire::StoreScan>();
  const auto number = [&] {
    run();
    return stat("mansio_store_pages_total{store=\"second\"}");
  };
  EXPECT_EQ(number(), 0);
}

TEST_F(Stores, ARestoreOfAllLeavesOurOwnMailAlone) {
  auto h = begin_with_store();
  has(h, {});
  const auto here = mail_to({"a@example.com"});
  deliver(wire::DeliveryStatus::Deferred);
  EXPECT_EQ(ask("restore", {{"store", "second"}, {"from", "all"}, {"hold", "yes"}}).error, "");
  has(h, {ours(here), {kLostSpool, MessageId{1}}, {kLostSpool + 1, MessageId{2}}});
  const auto asked = asked_back();
  ASSERT_EQ(asked.size(), 2u);
  for (const auto &request : asked) {
    EXPECT_NE(request.key.spool, name_);
    EXPECT_TRUE(request.hold);
  }
}

TEST_F(Stores, WhatADamagedSpoolHasLostCanBeBroughtBack) {
  disk_.damaged = true;
  auto h = begin_with_store();
  const auto here = mail_to({"a@example.com"});
  deliver(wire::DeliveryStatus::Deferred);
  const auto lost = MessageId::make(0, 50, 1);
  has(h, {ours(here), ours(lost)});
  EXPECT_EQ(ask("restore", {{"store", "second"}, {"from", spool_name(name_)}}).error, "");
  has(h, {ours(here), ours(lost)});
  const auto asked = asked_back();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].key, ours(lost));
}

TEST_F(Stores, WhatIsSetAsideCanBeBroughtBackFromItsCopy) {
  auto h = begin_with_store();
  has(h, {});
  const auto whole = mail_to({"a@example.com"}), bad = mail_to({"b@example.net"});
  deliver(wire::DeliveryStatus::Deferred);
  store_->rotten.insert(bad);
  advance(400 * kSecond);
  ASSERT_EQ(stat("mansio_queue_messages{state=\"corrupt\"}"), 1);
  EXPECT_EQ(ask("restore", {{"store", "second"}, {"from", spool_name(name_)}}).error, "");
  has(h, {ours(whole), ours(bad)});
  const auto asked = asked_back();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].key, ours(bad));
}

TEST_F(Stores, WhatDidNotComeBackIsAskedForAgainAlsoOfAnotherRouter) {
  auto h = begin_with_store();
  has(h, {});
  const StoreKey one{kLostSpool, MessageId{1}}, two{kLostSpool, MessageId{2}};
  ASSERT_EQ(ask("restore", {{"store", "second"}, {"from", "all"}}).error, "");
  has(h, {one, two});
  ASSERT_EQ(asked_back().size(), 2u);
  restored(one, wire::RestoreStatus::Later, {}, "the store's process is not there");
  EXPECT_THAT(asked_back(), IsEmpty());
  advance(2 * kSecond);
  ASSERT_EQ(asked_back().size(), 1u);
  die(router_);
  router_ = attach(wire::RoleKind::Router, "router", 301);
  say(router_, wire::WriterHello{});
  advance(2 * kSecond);
  EXPECT_EQ(asked_back().size(), 2u);
  restored(one, wire::RestoreStatus::Done);  // all its recipients were done
  restored(two, wire::RestoreStatus::Gone);
  EXPECT_THAT(sink_.text, HasSubstr("mail restored from a store"));
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, one);
}

// It may be at what an earlier queue process asked it for, and the new one would not know.
TEST_F(Stores, NothingIsAskedBackWhileAnotherRouterIsOnItsWayOut) {
  auto h = begin_with_store();
  has(h, {});
  const auto old = router_;
  router_ = attach(wire::RoleKind::Router, "router", 301, 2);
  say(router_, wire::WriterHello{});
  core_->draining(old.peer);
  ASSERT_EQ(ask("restore", {{"store", "second"}, {"from", "all"}}).error, "");
  has(h, {{kLostSpool, MessageId{1}}});
  EXPECT_THAT(asked_back(), IsEmpty());
  EXPECT_THAT(old.link->take<wire::RestoreRequest>(), IsEmpty());
  die(old, false);
  advance(2 * kSecond);
  EXPECT_EQ(asked_back().size(), 1u);
}

TEST_F(Stores, ARestoreGoesOnAfterARestart) {
  auto h = begin_with_store();
  has(h, {});
  const StoreKey one{kLostSpool, MessageId{1}}, two{kLostSpool, MessageId{2}};
  ASSERT_EQ(ask("restore", {{"store", "second"}, {"from", spool_name(kLostSpool)}, {"hold", "yes"}}).error, "");
  has(h, {one, two});
  comes_back(one);
  ASSERT_EQ(told(h).size(), 1u);
  begin();
  auto again = host(501);
  const auto said = told(again);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, one) << "and that it came back is known";
  has(again, {one, two});
  const auto asked = asked_back();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].key, two);
  EXPECT_TRUE(asked[0].hold);
  restored(two, wire::RestoreStatus::Gone);
  start();
  cast();
  auto third = host(502);
  has(third, {two});
  EXPECT_THAT(asked_back(), IsEmpty()) << "it is over";
}

// All died after the store had the message under its new name, and before the spool had it.
TEST_F(Stores, WhatARestoreLeftInAStoreAloneComesBackFromItsOldCopyAndIsForgotten) {
  auto h = begin_with_store();
  has(h, {});
  const StoreKey old{kLostSpool, MessageId{1}};
  const auto half = MessageId::make(0, 50, 1);
  ASSERT_EQ(ask("restore", {{"store", "second"}, {"from", spool_name(kLostSpool)}}).error, "");
  has(h, {old});
  ASSERT_EQ(asked_back().size(), 1u);
  begin();
  auto again = host(501);
  has(again, {old, ours(half)});
  const auto asked = asked_back();
  ASSERT_EQ(asked.size(), 1u) << "what it is under our own name is not asked for";
  EXPECT_EQ(asked[0].key, old);
  restored(old, wire::RestoreStatus::Done, comes_back(old));
  auto said = told(again);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, old);
  answer(again, said[0].number);
  deliver(wire::DeliveryStatus::Deferred);
  advance(65 * kSecond);
  EXPECT_THAT(told(again), IsEmpty()) << "a writer may be at it";
  advance(10 * kSecond);
  said = told(again);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].key, ours(half));
  EXPECT_TRUE(said[0].last);
}

TEST_F(Stores, ADiskWithoutRoomIsNotFilledFurther) {
  auto h = begin_with_store();
  has(h, {});
  store_->full = true;
  ASSERT_EQ(ask("restore", {{"store", "second"}, {"from", "all"}}).error, "");
  has(h, {{kLostSpool, MessageId{1}}});
  EXPECT_THAT(asked_back(), IsEmpty());
  store_->full = false;
  advance(2 * kSecond);
  EXPECT_EQ(asked_back().size(), 1u);
}

TEST_F(Stores, ANewSpoolTakesOverTheMailOfTheOneOtherIfItIsToldTo) {
  settings_.stores.front().restore_empty_spool = true;
  auto h = begin_with_store();
  has(h, {{kLostSpool, MessageId{1}}});
  has(h, {{kLostSpool, MessageId{1}}});
  ASSERT_EQ(asked_back().size(), 1u);
  restored({kLostSpool, MessageId{1}}, wire::RestoreStatus::Gone);
  begin();  // it is not new any more
  auto again = host(501);
  has(again, {{kLostSpool, MessageId{2}}});
  EXPECT_THAT(scans(again), IsEmpty());
  EXPECT_THAT(asked_back(), IsEmpty());
}

TEST_F(Stores, ANewSpoolDoesNotChooseAmongSeveral) {
  settings_.stores.front().restore_empty_spool = true;
  auto h = begin_with_store();
  has(h, {{kLostSpool, MessageId{1}}, {kLostSpool + 1, MessageId{1}}});
  EXPECT_THAT(asked_back(), IsEmpty());
  EXPECT_THAT(sink_.text, HasSubstr("the store has mail of several spools"));
  EXPECT_THAT(ask("stores", {}).lines, HasSubstr("\"running\":false"));
}

TEST_F(Stores, ASpoolWithMailTakesOverNothing) {
  settings_.stores.clear();
  begin();
  mail_to({"a@example.com"});
  deliver(wire::DeliveryStatus::Deferred);
  config::Store store;
  store.name = "second";
  store.restore_empty_spool = true;
  settings_.stores.push_back(store);
  begin();
  auto h = host();
  has(h, {{kLostSpool, MessageId{1}}});
  EXPECT_THAT(scans(h), IsEmpty());
  EXPECT_THAT(asked_back(), IsEmpty());
}

// ---- ends ----------------------------------------------------------------------------------------------------------

TEST_F(Stores, AnOrderlyEndWaitsForWhatTheyAreYetToHear) {
  auto h = begin_with_store();
  has(h, {});
  mail_to({"a@example.com"});
  const auto lease = leases();
  ASSERT_EQ(lease.size(), 1u);
  core_->drain();
  EXPECT_FALSE(core_->drained());
  report(lease[0], wire::DeliveryStatus::Sent);
  EXPECT_FALSE(core_->drained());
  const auto said = told(h);
  ASSERT_EQ(said.size(), 1u);
  answer(h, said[0].number);
  EXPECT_TRUE(core_->drained());
}

TEST_F(Stores, AnOrderlyEndDoesNotWaitForOneThatSaysNothing) {
  auto h = begin_with_store();
  has(h, {});
  mail_to({"a@example.com"});
  deliver();
  core_->drain();
  EXPECT_FALSE(core_->drained());
  advance(3 * kSecond);
  EXPECT_TRUE(core_->drained());
}

TEST_F(Stores, OneThatIsConfiguredNoMoreIsOwedNothing) {
  auto h = begin_with_store();
  mail_to({"a@example.com"});
  deliver();
  EXPECT_EQ(told(h).size(), 1u);
  auto without = settings_;
  without.stores.clear();
  core_->reload(without);
  EXPECT_TRUE(core_->drained());
  mail_to({"b@example.com"});
  deliver();
  EXPECT_THAT(told(h), IsEmpty());
  EXPECT_EQ(ask("stores", {}).lines, "");
  core_->reload(settings_);
  run();
  EXPECT_THAT(sink_.text, Not(HasSubstr("a store fails")));
}

TEST_F(Stores, AProcessOnItsWayOutIsLetGoWithItsStore) {
  auto h = begin_with_store();
  mail_to({"a@example.com"});
  deliver();
  ASSERT_EQ(told(h).size(), 1u);
  core_->draining(h.peer);
  EXPECT_FALSE(h.link->closed) << "it owes an answer";
  auto without = settings_;
  without.stores.clear();
  core_->reload(without);
  EXPECT_TRUE(h.link->closed);
  core_->reload(settings_);
}

}  // namespace
}  // namespace mansio::queue
