// A plugin with an Asio loop of its own, on a thread of its own, that asks the host for everything; on the fake host.
#include "mansio/asio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#ifdef BOOST_ASIO_SEPARATE_COMPILATION
#include <boost/asio/impl/src.hpp>
#endif

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeGranted;
using mansio::testing::FakeHost;
using mansio::testing::FakePermits;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace asio = boost::asio;

class OnItsOwn {
 public:
  static constexpr Info info{"lookup-own", "1.0"};
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
  static constexpr mansio_option options[] = {{}};
  explicit OnItsOwn(Host host)
      : submitter_(host), permits_(host), asio_(host, loop_.get_executor()), thread_([this] { loop_.run(); }) {}
  ~OnItsOwn() {
    work_.reset();
    loop_.stop();
    thread_.join();
  }
  void lookup(LookupRequest request, Token token) {
    if (request.key == "callback")
      return asio_.async_lookup("people", "alice", [this, to = std::make_shared<Token>(std::move(token))](Reply reply) {
        reply.value(here() ? "on its thread" : "on another thread");
        to->complete(reply);
      });
    answer_on(loop_, std::move(token), find(std::move(request)));
  }

 private:
  bool here() const { return std::this_thread::get_id() == thread_.get_id(); }
  asio::awaitable<Reply> find(LookupRequest request) {
    Reply reply{MANSIO_OK};
    if (request.key == "dns") {
      const auto answer = co_await asio_.async_query("example.com", MANSIO_DNS_MX, asio::use_awaitable);
      for (const auto &record : answer.records) reply.value(record.data);
    } else if (request.key == "mail") {
      Submission mail;
      mail.recipients = {"b@example.com"};
      mail.content = "Subject: x\n\nx\n";
      const auto said = co_await asio_.async_submit(submitter_, std::move(mail), asio::use_awaitable);
      if (!said.taken()) co_return defer(said.text);
      reply.value(said.text);
    } else if (request.key == "permits") {
      Limit limit{"tenant_rate_limit", "acme"};
      const auto given = co_await asio_.async_take(permits_, std::move(limit), 3, asio::use_awaitable);
      if (given.granted == 0) co_return defer("not now").retry(given.retry_ns);
      reply.value(std::to_string(given.granted));
    } else if (request.key == "later") {
      asio::steady_timer timer{loop_, std::chrono::milliseconds{1}};
      co_await timer.async_wait(asio::use_awaitable);
      reply.value("later");
    } else {
      throw std::runtime_error{"oops"};
    }
    reply.value(here() ? "on its thread" : "on another thread");
    co_return reply;
  }

  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  Submitter submitter_;
  Permits permits_;
  AsioHost asio_;
  std::thread thread_;
};

const mansio_plugin *own() { return Glue<OnItsOwn, LookupKind>::entry(); }

TEST(Asio, AnswersComeBackToTheLoopThatAsked) {
  FakeHost host{own()};
  host.dns[{"example.com", MANSIO_DNS_MX}] = {MANSIO_OK, {{"mx1.example.com", 10}}, ""};
  EXPECT_THAT(host.lookup("dns").values, ElementsAre("mx1.example.com", "on its thread"));
  EXPECT_THAT(host.lookup("later").values, ElementsAre("later", "on its thread"));
}

TEST(Asio, ACallbackDoesAsWell) {
  FakeHost host{own()};
  host.tables[{"people", "alice"}] = {MANSIO_OK, {"bob"}, ""};
  EXPECT_THAT(host.lookup("callback").values, ElementsAre("bob", "on its thread"));
}

TEST(Asio, MailIsSubmittedAndPermitsAreTaken) {
  FakeHost host{own()};
  EXPECT_THAT(host.lookup("mail").values, ElementsAre("0123456789ABC", "on its thread"));
  ASSERT_EQ(host.submitted.size(), 1u);
  EXPECT_EQ(host.submitted[0].content, "Subject: x\r\n\r\nx\r\n");
  EXPECT_THAT(host.lookup("permits").values, ElementsAre("3", "on its thread"));
  host.permits_answer = [](const FakePermits &) { return FakeGranted{0, 7'000'000}; };
  const auto none = host.lookup("permits");
  EXPECT_EQ(none.status, MANSIO_DEFER);
  EXPECT_EQ(none.retry_ns, 7'000'000);
}

TEST(Asio, WhatACoroutineThrowsIsItsAnswer) {
  FakeHost host{own()};
  const auto reply = host.lookup("throw");
  EXPECT_EQ(reply.status, MANSIO_INTERNAL);
  EXPECT_THAT(reply.text, HasSubstr("oops"));
}

TEST(Asio, ManyAtOnceAreToldApart) {
  FakeHost host{own()};
  host.dns[{"example.com", MANSIO_DNS_MX}] = {MANSIO_OK, {{"mx1.example.com", 10}}, ""};
  std::vector<std::uint64_t> dns, mail;
  for (int i = 0; i < 100; ++i) {
    dns.push_back(host.look_up("dns"));
    mail.push_back(host.look_up("mail"));
  }
  for (const auto op : dns) EXPECT_EQ(host.finish(op).values.at(0), "mx1.example.com");
  for (const auto op : mail) EXPECT_EQ(host.finish(op).values.at(0), "0123456789ABC");
  EXPECT_EQ(host.submitted.size(), 100u);
}

TEST(Asio, WhatTheHostHasNotAnsweredIsDroppedWithThePlugin) {
  FakeHost host{own()};
  for (int i = 0; i < 20; ++i) host.look_up(i % 2 ? "dns" : "callback");
  host.stop();
  host.run_until([] { return false; }, std::chrono::milliseconds{1});  // the host calls nobody
}

}  // namespace
}  // namespace mansio::plugin
