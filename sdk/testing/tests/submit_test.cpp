// Mail that plugins submit: the C++ wrapper and the fake host together.
#include "mansio/submit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeHost;
using mansio::testing::FakeSubmission;
using mansio::testing::FakeSubmitAnswer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A lookup that submits to the key, and finds the queue id.
class Copies {
 public:
  static constexpr Info info{"lookup-copies", "1.0"};
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
  static constexpr mansio_option options[] = {{}};
  explicit Copies(Host host) : submitter_(host) {}
  ~Copies() {
    for (auto &t : threads_) t.join();
  }
  void lookup(LookupRequest request, Token token) {
    if (request.key.starts_with("thread")) return from_thread(std::move(token));
    answer(std::move(token), tell(std::move(request)));
  }
  void cancel(mansio_op) { cancel_.request(); }

 private:
  static Submission mail(const std::string &to) {
    Submission mail;
    mail.sender = "plugin@example.com";
    mail.recipients = {to, "also@example.com"};
    mail.content = "Subject: x\n\rbody\r\nend";
    mail.flags = MANSIO_MSG_BODY_8BITMIME;
    mail.metadata = {{"campaign", "copies"}};
    return mail;
  }
  static Reply reply(const Submitted &said) {
    if (said.taken()) return found(said.text);
    if (said.status == MANSIO_FAIL) return not_found();
    return defer(said.status == MANSIO_CANCELLED ? "cancelled" : said.text);
  }
  Task<Reply> tell(LookupRequest request) {
    auto what = mail(request.key);
    const auto said = co_await Submit{submitter_, std::move(what), &cancel_};
    co_return reply(said);
  }
  void from_thread(Token token) {
    threads_.emplace_back([this, token = std::make_shared<Token>(std::move(token))] {
      submitter_.submit(mail("thread@example.com"), [token](const Submitted &said) { token->complete(reply(said)); });
    });
  }

  Submitter submitter_;
  Cancel cancel_;
  std::vector<std::thread> threads_;
};

const mansio_plugin *copies() { return Glue<Copies, LookupKind>::entry(); }

TEST(Submit, APluginOfAFrozenKindSaysWhichDraftItUses) { EXPECT_EQ(copies()->draft_build, MANSIO_DRAFT_BUILD); }

TEST(Submit, AllOfTheMessageIsTakenAndItsIdComesBack) {
  FakeHost host{copies()};
  EXPECT_THAT(host.lookup("b@example.com").values, ElementsAre("0123456789ABC"));
  ASSERT_EQ(host.submitted.size(), 1u);
  const auto &mail = host.submitted[0];
  EXPECT_EQ(mail.sender, "plugin@example.com");
  EXPECT_THAT(mail.recipients, ElementsAre("b@example.com", "also@example.com"));
  EXPECT_EQ(mail.content, "Subject: x\r\n body\r\nend\r\n");
  EXPECT_EQ(mail.flags, MANSIO_MSG_BODY_8BITMIME);
  EXPECT_EQ(mail.metadata.at("campaign"), "copies");
}

TEST(Submit, WhatIsNotTakenIsSaid) {
  FakeHost host{copies()};
  host.submit_answer = [](const FakeSubmission &mail) {
    return mail.recipients[0] == "later" ? FakeSubmitAnswer{MANSIO_DEFER, "full"} : FakeSubmitAnswer{MANSIO_FAIL, "no"};
  };
  const auto later = host.lookup("later");
  EXPECT_EQ(later.status, MANSIO_DEFER);
  EXPECT_EQ(later.text, "full");
  EXPECT_EQ(host.lookup("never").status, MANSIO_NOT_FOUND);
  EXPECT_THAT(host.submitted, IsEmpty());
}

TEST(Submit, AnyThreadMaySubmit) {
  FakeHost host{copies()};
  EXPECT_EQ(host.lookup("thread").status, MANSIO_OK);
  EXPECT_EQ(host.submitted.size(), 1u);
}

TEST(Submit, AWaitThatIsCancelledTakesNothingBack) {
  FakeHost host{copies()};
  const auto op = host.look_up("b@example.com");
  host.cancel(op);
  EXPECT_EQ(host.finish(op).text, "cancelled");
  EXPECT_EQ(host.submitted.size(), 1u);
  host.run_until([] { return false; }, std::chrono::milliseconds{1});  // its answer comes, and finds nobody
}

}  // namespace
}  // namespace mansio::plugin
