// The host against a store that behaves badly (tests/fixtures/store-odd.c does as its option says), and its service for
// the processes that are attached.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <optional>

#include "kernel/host/remote_store.hpp"
#include "kernel/host/store_service.hpp"
#include "kernel/process/memfd.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::StoreStatus;

constexpr StoreKey key_of(std::uint64_t n) { return {0x7000000000000001, MessageId{n}}; }

std::shared_ptr<const StoreContent> content_of(const std::string &text) {
  auto content = std::make_shared<StoreContent>();
  content->fd = std::move(*process::sealed_memfd("message", text));
  content->length = text.size();
  return content;
}

class StoreInstanceTest : public HostTest {
 protected:
  std::unique_ptr<StoreInstance> create(const std::string &does = "", Limits limits = {}) {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/store-odd.so");
    EXPECT_TRUE(plugin.ok()) << plugin.error().text;
    auto made = StoreInstance::create({loop_, clock_, log_, dns_}, **plugin, {"odd", {{"do", does}}, {}, limits});
    EXPECT_TRUE(made.ok()) << made.error().text;
    return std::move(*made);
  }
  template <class F>
  Answer answer_to(F begin) {
    std::optional<Answer> out;
    begin([&](Answer &&a) { out = std::move(a); });
    EXPECT_TRUE(until([&] { return out.has_value(); }));
    return out.value_or(Answer{});
  }
  Answer commit(StoreInstance &store, const StoreKey &key, const std::string &text, Nanos within = 60 * kSecond) {
    auto content = content_of(text);
    MessageSource source;
    if (!text.empty()) source.slices.push_back({sizeof(mansio_slice), content->fd.get(), 0, text.size()});
    source.keep = content;
    return answer_to(
        [&](StoreInstance::Done done) { store.commit(key, std::move(source), text.size(), within, std::move(done)); });
  }
  Answer read(StoreInstance &store, const StoreKey &key) {
    return answer_to([&](StoreInstance::Done done) { store.read(key, 0, kStorePiece, 60 * kSecond, std::move(done)); });
  }
  Answer scan(StoreInstance &store, const std::string &cursor = "", std::uint32_t most = kStoreMostKeys) {
    return answer_to([&](StoreInstance::Done done) { store.scan(cursor, most, 60 * kSecond, std::move(done)); });
  }
};

TEST_F(StoreInstanceTest, PassesOnWhatIsToBeKeptAndWhatComesBack) {
  const auto store = create();
  EXPECT_EQ(commit(*store, key_of(1), "envelope and body").status, MANSIO_OK);
  EXPECT_EQ(commit(*store, key_of(2), "").status, MANSIO_OK);
  EXPECT_THAT(lines_.text, HasSubstr("kept " + to_string(key_of(1)) + " 17"));
  EXPECT_THAT(read(*store, key_of(1)).values, ElementsAre("envelope and body", ""));
  EXPECT_THAT(read(*store, key_of(2)).values, ElementsAre("", ""));
  EXPECT_EQ(read(*store, key_of(3)).status, MANSIO_NOT_FOUND);
  const auto told = answer_to([&](StoreInstance::Done done) {
    store->outcome({0, key_of(1), false, 5, "half", 60 * kSecond}, std::move(done));
  });
  EXPECT_EQ(told.status, MANSIO_OK);
  EXPECT_THAT(read(*store, key_of(1)).values, ElementsAre("envelope and body", "half"));
  EXPECT_THAT(scan(*store, "", 1).values, SizeIs(2));
  EXPECT_THAT(scan(*store).values, ElementsAre("", to_string(key_of(1)), to_string(key_of(2))));
  EXPECT_EQ(store->misbehaviours(), 0u);
}

TEST_F(StoreInstanceTest, WhatMakesNoSenseIsAFailure) {
  const auto store = create("forget");
  EXPECT_EQ(commit(*store, key_of(1), "x").status, MANSIO_OK);
  EXPECT_EQ(read(*store, key_of(1)).outcome.text, "the plugin gave what was not asked for");
  EXPECT_EQ(scan(*store).outcome.text, "the plugin gave what was not asked for");
  const auto endless = create("endless");
  EXPECT_EQ(scan(*endless).status, MANSIO_OK);
  EXPECT_THAT(scan(*endless, "again").outcome.text, HasSubstr("does not get on"));
}

TEST_F(StoreInstanceTest, ACommitEndsAtItsDeadlineAndIsNotKept) {
  const auto store = create("never");
  const auto answer = commit(*store, key_of(1), "x", 5 * kMillisecond);
  EXPECT_EQ(answer.status, MANSIO_INTERNAL);
  EXPECT_EQ(answer.outcome.text, "time limit exceeded");
  EXPECT_EQ(store->in_flight(), 0u);
}

TEST_F(StoreInstanceTest, RefusesMoreThanItMayHaveUnderWay) {
  const auto store = create("never", {1, 0, 100});
  auto content = content_of("x");
  store->commit(key_of(1), {{}, content}, 0, 60 * kSecond, [](Answer &&) {});
  EXPECT_EQ(commit(*store, key_of(2), "x").outcome.text, "the plugin has too much to do");
}

// A store behind its service, and a process that uses it, over a channel.
class StoreServiceTest : public StoreInstanceTest {
 protected:
  void serve(const std::string &does = "") {
    service_ = std::make_unique<StoreService>(create(does), nullptr);
    connect();
  }
  void connect() {
    auto pair = io::channel_pair();
    ASSERT_TRUE(pair.ok());
    far_ = io::Channel::create(loop_, std::move(pair->first));
    far_->start([this](io::Message &m) { EXPECT_TRUE(service_->receive(far_, m)); }, [](std::string_view) {});
    remote_.attach(io::Channel::create(loop_, std::move(pair->second)));
  }
  RemoteStore::Answered commit_far(const StoreKey &key, const std::string &text) {
    std::optional<RemoteStore::Answered> out;
    remote_.commit(key, content_of(text), [&](RemoteStore::Answered &&a) { out = std::move(a); });
    EXPECT_TRUE(until([&] { return out.has_value(); }));
    return out ? std::move(*out) : RemoteStore::Answered{};
  }
  RemoteStore::Answered fetch_far(const StoreKey &key) {
    std::optional<RemoteStore::Answered> out;
    remote_.fetch(key, [&](RemoteStore::Answered &&a) { out = std::move(a); });
    EXPECT_TRUE(until([&] { return out.has_value(); }));
    return out ? std::move(*out) : RemoteStore::Answered{};
  }
  void TearDown() override {
    if (far_) far_->close();
  }

  std::shared_ptr<io::Channel> far_;
  std::unique_ptr<StoreService> service_;
  RemoteStore remote_{loop_, clock_, "odd", 3, 20 * kSecond};
};

TEST_F(StoreServiceTest, BringsAMessageThereAndBackWhateverItsSize) {
  serve();
  for (const std::size_t size : {0u, 1u, 100'000u, 512u * 1024u, 1'300'000u}) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; i += 1000) text[i] = static_cast<char>('a' + i / 1000 % 26);
    const auto kept = commit_far(key_of(size + 1), text);
    ASSERT_EQ(kept.status, StoreStatus::Ok) << kept.text;
    const auto back = fetch_far(key_of(size + 1));
    ASSERT_EQ(back.status, StoreStatus::Ok) << back.text;
    ASSERT_EQ(back.content.length, size);
    EXPECT_EQ(*process::read_exactly(back.content.fd, size), text);
  }
  EXPECT_EQ(fetch_far(key_of(99)).status, StoreStatus::NotFound);
  EXPECT_TRUE(service_->idle());
}

TEST_F(StoreServiceTest, SaysWhyAMessageIsNotKept) {
  serve("fail");
  const auto answered = commit_far(key_of(1), "x");
  EXPECT_EQ(answered.status, StoreStatus::Failed);
  EXPECT_EQ(answered.text, "the shelf is full");
}

TEST_F(StoreServiceTest, WhatIsUnderWayWhenTheProcessEndsHasFailedAndWhatComesNextWaitsForTheOther) {
  serve("never");
  std::optional<RemoteStore::Answered> first, second;
  remote_.commit(key_of(1), content_of("x"), [&](RemoteStore::Answered &&a) { first = std::move(a); });
  ASSERT_TRUE(until([&] { return !service_->idle(); }));
  far_->close();
  ASSERT_TRUE(until([&] { return first.has_value(); }));
  EXPECT_EQ(first->text, "its process ended");
  EXPECT_FALSE(remote_.away()) << "it is waited for";
  remote_.commit(key_of(2), content_of("y"), [&](RemoteStore::Answered &&a) { second = std::move(a); });
  EXPECT_FALSE(second);
  serve();
  ASSERT_TRUE(until([&] { return second.has_value(); }));
  EXPECT_EQ(second->status, StoreStatus::Ok);
}

TEST_F(StoreServiceTest, NobodyWaitsLongForAProcessThatDoesNotCome) {
  std::optional<RemoteStore::Answered> answered;
  remote_.commit(key_of(1), content_of("x"), [&](RemoteStore::Answered &&a) { answered = std::move(a); });
  EXPECT_FALSE(remote_.away());
  ASSERT_TRUE(until([&] { return answered.has_value(); }));
  EXPECT_EQ(answered->text, "its process is not there");
  EXPECT_TRUE(remote_.away());
  answered.reset();
  remote_.commit(key_of(1), content_of("x"), [&](RemoteStore::Answered &&a) { answered = std::move(a); });
  ASSERT_TRUE(answered) << "at once, now";
  serve();
  EXPECT_FALSE(remote_.away());
  EXPECT_EQ(commit_far(key_of(1), "x").status, StoreStatus::Ok);
}

TEST_F(StoreServiceTest, MoreThanItMayHaveUnderWayIsRefused) {
  serve("never");
  for (std::uint64_t n = 1; n <= 3; ++n) remote_.commit(key_of(n), content_of("x"), [](RemoteStore::Answered &&) {});
  EXPECT_EQ(commit_far(key_of(4), "x").text, "it has too much to do");
}

// The queue's end of a channel.
TEST_F(StoreServiceTest, TellsTheQueueWhatThereIsAndWhatIsNoSpools) {
  serve("odd");
  ASSERT_EQ(commit_far(key_of(7), "x").status, StoreStatus::Ok);
  ASSERT_EQ(commit_far(key_of(8), "y").status, StoreStatus::Ok);
  auto pair = io::channel_pair();
  ASSERT_TRUE(pair.ok());
  const auto far = io::Channel::create(loop_, std::move(pair->first));
  far->start([&](io::Message &m) { EXPECT_TRUE(service_->receive(far, m)); }, [](std::string_view) {});
  const auto near = io::Channel::create(loop_, std::move(pair->second));
  std::deque<wire::StorePage> pages;
  std::deque<wire::StoreResult> results;
  near->start(
      [&](io::Message &m) {
        if (m.type == wire::StorePage::kType) pages.push_back(*decode<wire::StorePage>(m.payload));
        if (m.type == wire::StoreResult::kType) results.push_back(*decode<wire::StoreResult>(m.payload));
      },
      [](std::string_view) {});
  near->send(wire::StoreScan{1, "", 100, 20 * kSecond});
  ASSERT_TRUE(until([&] { return !pages.empty(); }));
  EXPECT_EQ(pages.front().number, 1u);
  EXPECT_THAT(pages.front().keys, ElementsAre(key_of(7), key_of(8)));
  EXPECT_EQ(pages.front().strangers, 1u);
  EXPECT_EQ(pages.front().cursor, "");
  near->send(wire::StoreOutcome{2, key_of(7), true, 1, "", 20 * kSecond});
  near->send(wire::StoreOutcome{3, key_of(9), true, 1, "", 20 * kSecond});
  ASSERT_TRUE(until([&] { return results.size() == 2; }));
  for (const auto &result : results) EXPECT_EQ(result.status, StoreStatus::Ok);
  EXPECT_EQ(fetch_far(key_of(7)).status, StoreStatus::NotFound);
  near->close();
  far->close();
}

TEST_F(StoreServiceTest, AMessageWithoutItsDescriptorIsNotKept) {
  serve();
  auto pair = io::channel_pair();
  ASSERT_TRUE(pair.ok());
  const auto far = io::Channel::create(loop_, std::move(pair->first));
  far->start([&](io::Message &m) { EXPECT_TRUE(service_->receive(far, m)); }, [](std::string_view) {});
  const auto near = io::Channel::create(loop_, std::move(pair->second));
  std::optional<wire::StoreResult> result;
  near->start([&](io::Message &m) { result = decode<wire::StoreResult>(m.payload); }, [](std::string_view) {});
  near->send(wire::StoreCommit{1, key_of(1), 5, 20 * kSecond});
  ASSERT_TRUE(until([&] { return result.has_value(); }));
  EXPECT_EQ(result->status, StoreStatus::Failed);
  EXPECT_EQ(result->text, "the message's descriptor was lost");
  EXPECT_EQ(fetch_far(key_of(1)).status, StoreStatus::NotFound);
  near->close();
  far->close();
}

}  // namespace
}  // namespace mansio::host
