// The C++ wrapper and the fake host together: the styles in which a lookup may be written, and what becomes of an
// answer that is forgotten, thrown or late.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "mansio/loop.hpp"
#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kMillisecond = 1'000'000;

// As most lookups are written.
class Plain {
 public:
  static constexpr Info info{"lookup-plain", "1.0"};
  static constexpr mansio_option options[] = {{"suffix", MANSIO_OPT_TEXT, 0, "!", "what is added"}, {}};
  explicit Plain(Host host)
      : host_(host), suffix_(host.option("suffix")), asked_(host.counter("asked", "keys asked for")) {
    if (suffix_ == "bad") throw BadConfig{"suffix", "is \"bad\", expected another"};
  }
  Reply lookup(std::string_view table, std::string_view key) {
    host_.add(asked_);
    if (key == "gone") return not_found();
    if (key == "down") return defer("server gone").retry(kMillisecond);
    if (key == "throw") throw std::runtime_error{"oops"};
    if (key == "both") return found_all({"a", "b"}).ttl(-1);
    return found(std::string{table} + "/" + std::string{key} + suffix_);
  }

 private:
  Host host_;
  std::string suffix_;
  std::uint32_t asked_;
};

template <class P>
const mansio_plugin *entry() {
  return Glue<P, LookupKind>::entry();
}

TEST(Lookup, AnswersWithOneOfThreeOutcomes) {
  FakeHost host{entry<Plain>(), {{"suffix", "?"}}};
  EXPECT_EQ(host.lookup("k", "t").status, MANSIO_OK);
  EXPECT_THAT(host.lookup("k", "t").values, ElementsAre("t/k?"));
  EXPECT_EQ(host.lookup("gone").status, MANSIO_NOT_FOUND);
  EXPECT_EQ(host.lookup("down").status, MANSIO_DEFER);
  EXPECT_EQ(host.lookup("down").text, "server gone");
  EXPECT_EQ(host.lookup("down").retry_ns, kMillisecond);
  EXPECT_THAT(host.lookup("both").values, ElementsAre("a", "b"));
  EXPECT_EQ(host.lookup("both").ttl_ns, -1);
  EXPECT_EQ(host.metric("asked"), 8);
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST(Lookup, ThatThrowsIsAnInternalError) {
  FakeHost host{entry<Plain>()};
  EXPECT_EQ(host.lookup("throw").status, MANSIO_INTERNAL);
  EXPECT_THAT(host.log, HasSubstr("oops"));
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST(Lookup, ThatRefusesItsOptionsSaysWhy) {
  EXPECT_THAT(
      [] {
        FakeHost host(entry<Plain>(), {{"suffix", "bad"}});
      },
      ::testing::ThrowsMessage<std::runtime_error>(HasSubstr("suffix is \"bad\", expected another")));
}

// The host's threads call it; two calls meet, so they do run side by side.
class Blocking {
 public:
  static constexpr Info info{"lookup-blocking", "1.0", 0, MANSIO_BLOCKING, 2};
  static constexpr mansio_option options[] = {{}};
  explicit Blocking(Host) {}
  Reply lookup(std::string_view, std::string_view key) {
    both_.arrive_and_wait();
    return found(std::string{key});
  }

 private:
  std::latch both_{2};
};

TEST(Lookup, ThatBlocksRunsOnSeveralThreads) {
  FakeHost host{entry<Blocking>()};
  const auto a = host.look_up("a"), b = host.look_up("b");
  EXPECT_THAT(host.finish(a).values, ElementsAre("a"));
  EXPECT_THAT(host.finish(b).values, ElementsAre("b"));
}

// A thread of its own, and a token that it may forget.
class Own {
 public:
  static constexpr Info info{"lookup-own", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit Own(Host) {}
  ~Own() {
    for (auto &t : threads_) t.join();
  }
  void lookup(LookupRequest request, Token token) {
    if (request.key == "throw") throw std::runtime_error{"before the thread"};
    threads_.emplace_back([request, token = std::move(token)]() mutable {
      if (request.key != "forget") token.complete(found(request.key));
    });
  }

 private:
  std::vector<std::thread> threads_;
};

TEST(Token, CompletesFromAnyThread) {
  FakeHost host{entry<Own>()};
  EXPECT_THAT(host.lookup("k").values, ElementsAre("k"));
}

TEST(Token, ThatIsForgottenCompletesWithAnInternalError) {
  FakeHost host{entry<Own>()};
  EXPECT_EQ(host.lookup("forget").status, MANSIO_INTERNAL);
  EXPECT_THAT(host.lookup("forget").text, HasSubstr("forgot"));
  EXPECT_EQ(host.lookup("throw").status, MANSIO_INTERNAL);
  EXPECT_THAT(host.log, HasSubstr("before the thread"));
  EXPECT_THAT(host.faults, IsEmpty());
}

// Coroutines on the loop: it asks another table and waits; cancel() ends the waiting.
class Chained {
 public:
  static constexpr Info info{"lookup-chained", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit Chained(Host host) : host_(host) {}
  void lookup(LookupRequest request, Token token) { answer(std::move(token), find(std::move(request))); }
  void cancel(mansio_op) { cancel_.request(); }

 private:
  Task<Reply> find(LookupRequest request) {
    if (request.key == "wait") {
      const auto wake = co_await Sleep{host_, 3600'000 * kMillisecond, &cancel_};
      co_return wake == Wake::Cancelled ? Reply{MANSIO_CANCELLED} : not_found();
    }
    if (request.key == "throw") throw std::runtime_error{"in a coroutine"};
    auto reply = co_await TableLookup{host_, "other", request.key, &cancel_};
    co_return reply;
  }
  Host host_;
  Cancel cancel_;
};

TEST(Coroutine, AsksAnotherTable) {
  FakeHost host{entry<Chained>()};
  host.tables[{"other", "k"}] = {MANSIO_OK, {"v", "w"}};
  host.tables[{"other", "down"}] = {MANSIO_DEFER, {}, "no server"};
  EXPECT_THAT(host.lookup("k").values, ElementsAre("v", "w"));
  EXPECT_EQ(host.lookup("nothing").status, MANSIO_NOT_FOUND);
  EXPECT_EQ(host.lookup("down").text, "no server");
  EXPECT_EQ(host.lookup("throw").text, "in a coroutine");
}

TEST(Coroutine, EndsWhenTheLookupIsCancelled) {
  FakeHost host{entry<Chained>()};
  const auto op = host.look_up("wait");
  EXPECT_FALSE(host.completed(op));
  host.cancel(op);
  EXPECT_EQ(host.finish(op).status, MANSIO_CANCELLED);
}

TEST(Plugin, DescribesItself) {
  const auto *plugin = entry<Blocking>();
  EXPECT_EQ(plugin->size, sizeof(mansio_plugin));
  EXPECT_EQ(plugin->threading, static_cast<std::uint32_t>(MANSIO_BLOCKING));
  EXPECT_EQ(plugin->max_concurrency, 2u);
  EXPECT_EQ(plugin->draft_build, 0u);
  EXPECT_STREQ(plugin->kinds[0], "mansio.lookup/1");
  EXPECT_EQ(plugin->kinds[1], nullptr);
  FakeHost host{plugin};
  EXPECT_THROW(host.deliver({}), std::logic_error);
}

// Forgets the size of its reply.
class Sizeless {
 public:
  static constexpr Info info{"lookup-sizeless", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit Sizeless(Host host) : host_(host) {}
  void lookup(LookupRequest, Token token) {
    mansio_reply reply{};
    reply.status = MANSIO_NOT_FOUND;
    host_.complete(token.op(), reply);
    kept_.push_back(std::move(token));
  }

 private:
  Host host_;
  std::vector<Token> kept_;
};

TEST(Lookup, AReplyWithoutItsSizeSaysNothing) {
  FakeHost host{entry<Sizeless>()};
  EXPECT_EQ(host.lookup("key").status, MANSIO_INTERNAL);
  EXPECT_THAT(host.faults, ElementsAre("answered with a reply that is shorter than any was"));
}

// Waits for an hour, then asks a table, and answers with the time of the host's clock.
class Late {
 public:
  static constexpr Info info{"lookup-late", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit Late(Host host) : host_(host) {}
  void lookup(LookupRequest, Token token) {
    waiting_.push_back(std::move(token));
    host_.timer<&Late::ask>(std::int64_t{3600} * 1000 * kMillisecond, this);
  }

 private:
  void ask() { host_.lookup<&Late::answer>("other", "key", this); }
  void answer(const Reply &) {
    waiting_.front().complete(found(std::to_string(host_.now())));
    waiting_.pop_front();
  }
  Host host_;
  std::deque<Token> waiting_;
};

TEST(Lookup, WaitsNoRealTimeUnderAVirtualClock) {
  FakeHost host{entry<Late>(), {}, {{"virtual_clock", "1000"}}};
  EXPECT_EQ(host.now(), 1000);
  EXPECT_THAT(host.lookup("k").values, ElementsAre("3600000001000"));
  host.advance(std::chrono::seconds{1});
  EXPECT_EQ(host.now(), 3601000001000);
  // What falls due on the way is run at its time, and so is what follows from it.
  const auto a = host.look_up("a");
  host.advance(std::chrono::minutes{1});
  const auto b = host.look_up("b");
  host.advance(std::chrono::hours{2});
  ASSERT_TRUE(host.completed(a) && host.completed(b));
  EXPECT_THAT(host.result(a).last->values, ElementsAre("7201000001000"));
  EXPECT_THAT(host.result(b).last->values, ElementsAre("7261000001000"));
  EXPECT_EQ(host.now(), 10861000001000);
  EXPECT_THAT(host.faults, IsEmpty());
  EXPECT_THROW((FakeHost{entry<Late>(), {}, {{"virtual_clock", "noon"}}}), std::invalid_argument);
}

}  // namespace
}  // namespace mansio::plugin
