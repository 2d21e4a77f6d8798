// Who takes mail for a domain, as the router finds out for the queue.
#include "kernel/router/exchangers.hpp"

#include <gtest/gtest.h>

#include <map>

namespace mansio::router {
namespace {

// Answers when it is told to.
class ScriptedDns final : public io::Dns {
 public:
  void query(std::string_view name, io::DnsType type, std::function<void(const io::DnsResult &)> done) override {
    EXPECT_EQ(type, io::DnsType::Mx);
    EXPECT_TRUE(asked.emplace(name, std::move(done)).second) << name << " twice at once";
  }
  std::map<std::string, std::function<void(const io::DnsResult &)>> asked;
};

class ExchangersTest : public ::testing::Test {
 protected:
  ExchangersTest() {
    auto dns = std::make_unique<ScriptedDns>();
    dns_ = dns.get();
    exchangers_ =
        std::make_unique<Exchangers>(std::move(dns), [this](const wire::MxReply &reply) { said_.push_back(reply); });
  }
  void answer(const std::string &name, const io::DnsResult &result) {
    ASSERT_TRUE(dns_->asked.contains(name)) << name;
    const auto done = std::move(dns_->asked.extract(name).mapped());
    done(result);
  }
  ScriptedDns *dns_ = nullptr;
  std::unique_ptr<Exchangers> exchangers_;
  std::vector<wire::MxReply> said_;
};

TEST_F(ExchangersTest, AreASetWhateverTheirOrderAndPreference) {
  const std::string all = "a.example,b.example";
  EXPECT_EQ(exchangers_of({{"b.example", 10}, {"a.example", 20}}), all);
  EXPECT_EQ(exchangers_of({{"a.example", 10}, {"b.example", 10}, {"a.example", 30}}), all);
  EXPECT_EQ(exchangers_of({{"", 0}}), "");  // null MX
  EXPECT_EQ(exchangers_of({}), "");
}

TEST_F(ExchangersTest, AreAsManyAsANameMayHold) {
  std::vector<io::DnsRecord> many;
  for (int i = 100; i < 300; ++i) many.push_back({"mx" + std::to_string(i) + ".example", 1});
  const auto text = exchangers_of(many);
  EXPECT_LE(text.size(), 1000u);
  EXPECT_TRUE(text.starts_with("mx100.example,mx101.example,"));
  EXPECT_TRUE(text.ends_with(".example"));
}

TEST_F(ExchangersTest, AreSaidWithTheirTime) {
  exchangers_->ask("d.example");
  answer("d.example", io::DnsAnswer{{{"mx.example", 10}}, 77 * kSecond, "d.example"});
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_EQ(said_[0].domain, "d.example");
  EXPECT_EQ(said_[0].exchangers, "mx.example");
  EXPECT_EQ(said_[0].ttl, 77 * kSecond);
  EXPECT_EQ(exchangers_->in_hand(), 0u);
}

TEST_F(ExchangersTest, ADomainWithoutMxIsItsOwn) {
  exchangers_->ask("d.example");
  answer("d.example", Error{Status::NotFound, "no data"});
  exchangers_->ask("none.example");
  answer("none.example", Error{Status::Fail, "no host can have that name"});
  ASSERT_EQ(said_.size(), 2u);
  EXPECT_EQ(said_[0].exchangers, "d.example");
  EXPECT_EQ(said_[1].exchangers, "");
}

TEST_F(ExchangersTest, NothingIsSaidWhileDnsCannotSay) {
  exchangers_->ask("d.example");
  answer("d.example", Error{Status::Defer, "timeout"});
  EXPECT_TRUE(said_.empty());
  exchangers_->ask("d.example");
  EXPECT_TRUE(dns_->asked.contains("d.example"));
}

TEST_F(ExchangersTest, AQuestionThatIsUnderWayIsNotAskedAgain) {
  exchangers_->ask("d.example");
  exchangers_->ask("d.example");
  EXPECT_EQ(exchangers_->in_hand(), 1u);
}

TEST_F(ExchangersTest, DnsIsAskedInAsciiAndTheQueueAnsweredAsItAsked) {
  exchangers_->ask(
      "b\xC3\xBC"
      "cher.example");
  answer("xn--bcher-kva.example", io::DnsAnswer{{{"mx.example", 10}}, kSecond, ""});
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_EQ(said_[0].domain,
            "b\xC3\xBC"
            "cher.example");
  exchangers_->ask("no domain");
  EXPECT_EQ(dns_->asked.size(), 0u);
}

TEST_F(ExchangersTest, AnAnswerThatComesTooLateIsForNobody) {
  exchangers_->ask("d.example");
  const auto done = dns_->asked.at("d.example");
  exchangers_.reset();
  done(io::DnsAnswer{{{"mx.example", 10}}, kSecond, ""});
  EXPECT_TRUE(said_.empty());
}

}  // namespace
}  // namespace mansio::router
