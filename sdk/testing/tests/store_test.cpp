// Stores in C++ on the fake host: what a plugin is given to keep, and what it gives back.
#include "mansio/store.hpp"

#include <gmock/gmock.h>

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// In memory, which no store may be; enough to see what is passed.
class Shelf {
 public:
  static constexpr Info info{"store-shelf", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit Shelf(Host host) : host_(host) {}

  Reply commit(const StoreCommit &message) {
    if (message.id == "throw") throw std::runtime_error{"oops"};
    auto content = message.content(host_);
    if (!content) return defer("cannot be read");
    messages_[message.id] = {std::move(*content), {}, 0};
    return kept();
  }
  Reply outcome(const StoreOutcome &outcome) {
    const auto at = messages_.find(outcome.id);
    if (at == messages_.end()) return kept();
    if (outcome.last) {
      messages_.erase(at);
    } else if (outcome.sequence > at->second.sequence) {
      at->second.sequence = outcome.sequence;
      at->second.record = outcome.record;
    }
    return kept();
  }
  Reply read(const StoreRead &request) {
    const auto at = messages_.find(request.id);
    if (at == messages_.end()) return not_found();
    const auto &content = at->second.content;
    return part(request.offset < content.size() ? content.substr(request.offset, request.length) : "",
                at->second.record);
  }
  Reply scan(const StoreScan &request) {
    std::vector<std::string> ids;
    auto at = messages_.upper_bound(request.cursor);
    while (at != messages_.end() && ids.size() < request.max) ids.push_back((at++)->first);
    return page(at == messages_.end() ? "" : ids.back(), ids);
  }

 private:
  struct Message {
    std::string content, record;
    std::uint64_t sequence = 0;
  };
  Host host_;
  std::map<std::string, Message> messages_;
};

// Answers each commit later, from a thread of its own.
class PatientStore {
 public:
  static constexpr Info info{"store-patient", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit PatientStore(Host host) : host_(host) {}
  ~PatientStore() {
    if (thread_.joinable()) thread_.join();
  }
  void commit(StoreCommit message, Token token) {
    thread_ = std::thread{[this, message = std::move(message), token = std::move(token)]() mutable {
      content_ = message.content(host_).value_or("");
      token.complete(kept());
    }};
  }
  void outcome(StoreOutcome outcome, Token token) { token.complete(outcome.last ? kept() : defer("not yet")); }
  void read(StoreRead, Token token) { token.complete(part(content_)); }
  void scan(StoreScan, Token) {}  // forgets to answer

 private:
  Host host_;
  std::thread thread_;
  std::string content_;
};

TEST(Store, IsGivenWhatToKeepAndGivesItBackInParts) {
  FakeHost host{Glue<Shelf, StoreKind>::entry()};
  const std::string large(200'000, 'x');
  EXPECT_EQ(host.commit("a-1", "envelope and body\r\n").status, MANSIO_OK);
  EXPECT_EQ(host.commit("a-2", large).status, MANSIO_OK);
  EXPECT_EQ(host.commit("a-3", "").status, MANSIO_OK);
  EXPECT_THAT(host.read({.id = "a-1"}).values, ElementsAre("envelope and body\r\n", ""));
  EXPECT_THAT(host.read({.id = "a-1", .offset = 9, .length = 3}).values, ElementsAre("and", ""));
  EXPECT_EQ(host.read({.id = "a-2"}).values.at(0), large);
  EXPECT_EQ(host.read({.id = "a-3"}).values.at(0), "");
  EXPECT_EQ(host.read({.id = "a-4"}).status, MANSIO_NOT_FOUND);
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST(Store, HearsOfOutcomesAndForgetsWithTheLast) {
  FakeHost host{Glue<Shelf, StoreKind>::entry()};
  ASSERT_EQ(host.commit("a-1", "x").status, MANSIO_OK);
  EXPECT_EQ(host.outcome({.id = "a-1", .sequence = 2, .record = "two"}).status, MANSIO_OK);
  EXPECT_EQ(host.outcome({.id = "a-1", .sequence = 1, .record = "one"}).status, MANSIO_OK);
  EXPECT_THAT(host.read({.id = "a-1"}).values, ElementsAre("x", "two"));
  EXPECT_EQ(host.outcome({.id = "a-1", .last = true}).status, MANSIO_OK);
  EXPECT_EQ(host.outcome({.id = "a-1", .last = true}).status, MANSIO_OK);
  EXPECT_EQ(host.read({.id = "a-1"}).status, MANSIO_NOT_FOUND);
}

TEST(Store, IsScannedAPageAtATime) {
  FakeHost host{Glue<Shelf, StoreKind>::entry()};
  EXPECT_THAT(host.scan().values, ElementsAre(""));
  for (const auto *id : {"a-1", "a-2", "a-3"}) ASSERT_EQ(host.commit(id, "x").status, MANSIO_OK);
  EXPECT_THAT(host.scan({.max = 2}).values, ElementsAre("a-2", "a-1", "a-2"));
  EXPECT_THAT(host.scan({.cursor = "a-2", .max = 2}).values, ElementsAre("", "a-3"));
}

TEST(Store, MayAnswerLaterFromAThreadOfItsOwn) {
  FakeHost host{Glue<PatientStore, StoreKind>::entry()};
  EXPECT_TRUE(host.keeps_mail());
  EXPECT_EQ(host.commit("a-1", "later").status, MANSIO_OK);
  EXPECT_EQ(host.read({.id = "a-1"}).values.at(0), "later");
  EXPECT_EQ(host.outcome({.id = "a-1"}).status, MANSIO_DEFER);
  EXPECT_EQ(host.scan().status, MANSIO_INTERNAL);
}

TEST(Store, WhatItThrowsIsAFailure) {
  FakeHost host{Glue<Shelf, StoreKind>::entry()};
  EXPECT_EQ(host.commit("throw", "x").status, MANSIO_INTERNAL);
  EXPECT_THAT(host.log, HasSubstr("oops"));
}

TEST(Store, IsADraftOfThisBuild) {
  const auto *plugin = Glue<Shelf, StoreKind>::entry();
  EXPECT_STREQ(plugin->kinds[0], "mansio.store/1~draft");
  EXPECT_EQ(plugin->draft_build, MANSIO_DRAFT_BUILD);
}

}  // namespace
}  // namespace mansio::plugin
