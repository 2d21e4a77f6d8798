// Tables by name: combinations of them, the cache, and a table that is out of order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>

#include "kernel/host/tables.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using io::TableAnswer;
using Outcome = TableAnswer::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TableAnswer found(std::vector<std::string> values, Nanos ttl = 0) {
  TableAnswer a;
  a.outcome = Outcome::Found;
  a.values = std::move(values);
  a.ttl = ttl;
  return a;
}
TableAnswer missing() {
  TableAnswer a;
  a.outcome = Outcome::NotFound;
  return a;
}
TableAnswer later(std::string text, bool failed = false) {
  TableAnswer a;
  a.text = std::move(text);
  a.failed = failed;
  return a;
}

struct FakeData {
  std::map<std::string, TableAnswer> answers;
  int asked = 0;
};

class FakeLookup final : public LookupInstance {
 public:
  explicit FakeLookup(FakeData &data) : data_(data) {}
  void lookup(std::string_view key, Nanos, Done done) override {
    ++data_.asked;
    const auto i = data_.answers.find(std::string{key});
    done(i == data_.answers.end() ? missing() : i->second);
  }
  std::size_t in_flight() const override { return 0; }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const StatsSink &) const override {}

 private:
  FakeData &data_;
};

class TablesTest : public ::testing::Test {
 protected:
  config::Lookup &table(const std::string &name) {
    auto &lookup = settings_.lookups.emplace_back();
    lookup.name = name;
    lookup.plugin = "lookup-" + name;
    return lookup;
  }
  TableAnswer ask(const std::string &name, const std::string &key) {
    if (!set_)
      set_ = std::make_unique<TableSet>(
          settings_, clock_, log_, [this](const config::Lookup &lookup) -> Result<std::unique_ptr<LookupInstance>> {
            ++starts_;
            if (broken_ == lookup.name) return Error{Status::BadConfig, "no such file"};
            return std::unique_ptr<LookupInstance>{new FakeLookup{data_[lookup.name]}};
          });
    TableAnswer out = later("nobody answered");
    set_->query(name, key, [&](const TableAnswer &a) { out = a; });
    return out;
  }

  config::Settings settings_;
  VirtualClock clock_;
  Lines lines_;
  Logger log_{lines_, clock_, "test"};
  std::map<std::string, FakeData> data_;
  std::string broken_;
  int starts_ = 0;
  std::unique_ptr<TableSet> set_;
};

TEST_F(TablesTest, AnswerByName) {
  table("users");
  data_["users"].answers["alice"] = found({"1"});
  EXPECT_THAT(ask("users", "alice").values, ElementsAre("1"));
  EXPECT_EQ(ask("users", "bob").outcome, Outcome::NotFound);
  EXPECT_EQ(ask("nothing", "bob").outcome, Outcome::TryLater);
  EXPECT_EQ(ask("nothing", "bob").text, "there is no table nothing");
}

TEST_F(TablesTest, PipemapAsksEachForWhatTheOneBeforeFound) {
  table("a");
  table("b");
  auto &pipe = table("pipe");
  pipe.plugin.clear();
  pipe.pipemap = {"a", "b"};
  data_["a"].answers = {{"k", found({"v", "w"})}, {"dead", found({"end"})}, {"down", later("gone")}};
  data_["b"].answers = {{"v,w", found({"done"})}};
  EXPECT_THAT(ask("pipe", "k").values, ElementsAre("done"));
  EXPECT_EQ(ask("pipe", "dead").outcome, Outcome::NotFound);
  EXPECT_EQ(ask("pipe", "none").outcome, Outcome::NotFound);
  EXPECT_EQ(ask("pipe", "down").outcome, Outcome::TryLater);
  EXPECT_EQ(ask("pipe", "down").text, "table a: gone");
}

TEST_F(TablesTest, UnionmapPutsTogetherWhatAllFind) {
  table("a");
  table("b");
  auto &all = table("all");
  all.plugin.clear();
  all.unionmap = {"a", "b"};
  data_["a"].answers = {{"k", found({"1"})}, {"half", found({"1"})}, {"down", found({"1"})}};
  data_["b"].answers = {{"k", found({"2", "3"})}, {"down", later("gone")}};
  EXPECT_THAT(ask("all", "k").values, ElementsAre("1", "2", "3"));
  EXPECT_THAT(ask("all", "half").values, ElementsAre("1"));
  EXPECT_EQ(ask("all", "none").outcome, Outcome::NotFound);
  EXPECT_EQ(ask("all", "down").outcome, Outcome::TryLater);
}

TEST_F(TablesTest, ReuseAnswersForAsLongAsTheirTimeToLiveSays) {
  auto &users = table("users");
  users.cache_ttl = 10 * kSecond;
  users.cache_negative_ttl = kSecond;
  auto &data = data_["users"];
  data.answers = {
      {"k", found({"v"})}, {"never", found({"v"}, -1)}, {"long", found({"v"}, 60 * kSecond)}, {"down", later("gone")}};
  for (const auto *key : {"k", "never", "long", "down", "none"}) ask("users", key);
  data.asked = 0;
  for (const auto *key : {"k", "long", "none"}) ask("users", key);
  EXPECT_EQ(data.asked, 0);
  for (const auto *key : {"never", "down"}) ask("users", key);
  EXPECT_EQ(data.asked, 2) << "neither may be kept";
  clock_.advance(2 * kSecond);
  data.asked = 0;
  for (const auto *key : {"k", "long", "none"}) ask("users", key);
  EXPECT_EQ(data.asked, 1) << "what was not found is forgotten sooner";
  clock_.advance(20 * kSecond);
  data.asked = 0;
  for (const auto *key : {"k", "long"}) ask("users", key);
  EXPECT_EQ(data.asked, 1);
}

TEST_F(TablesTest, ThatCannotStartTryLaterAndStartAgainAfterAWhile) {
  table("users");
  broken_ = "users";
  EXPECT_EQ(ask("users", "k").outcome, Outcome::TryLater);
  EXPECT_THAT(ask("users", "k").text, HasSubstr("no such file"));
  EXPECT_EQ(starts_, 1);
  EXPECT_THAT(lines_.text, HasSubstr("table out of order"));
  broken_.clear();
  clock_.advance(11 * kSecond);
  EXPECT_EQ(ask("users", "k").outcome, Outcome::NotFound);
}

TEST_F(TablesTest, ThatCannotStartAreSkippedWhereThatIsConfigured) {
  table("users").budget.on_failure = config::OnFailure::Skip;
  broken_ = "users";
  EXPECT_EQ(ask("users", "alice").outcome, Outcome::NotFound);
  broken_.clear();
  data_["users"].answers["alice"] = found({"1"});
  clock_.advance(11 * kSecond);
  EXPECT_EQ(ask("users", "alice").outcome, Outcome::Found);
}

TEST_F(TablesTest, AreSkippedOnFailureOnlyWhereThatIsConfigured) {
  table("strict");
  table("lenient").budget.on_failure = config::OnFailure::Skip;
  for (const auto *name : {"strict", "lenient"})
    data_[name].answers = {{"broken", later("crashed", true)}, {"down", later("the server is down")}};
  EXPECT_EQ(ask("strict", "broken").outcome, Outcome::TryLater);
  EXPECT_EQ(ask("lenient", "broken").outcome, Outcome::NotFound);
  EXPECT_EQ(ask("lenient", "down").outcome, Outcome::TryLater) << "the plugin works, its server does not";
}

TEST(TableCache, StaysWithinItsLimitAndDropsWhatWasUsedLongestAgo) {
  TableCache cache{2000};
  for (int i = 0; i < 4; ++i) cache.put("t", std::to_string(i), found({"v"}), kSecond, 0);
  ASSERT_NE(cache.find("t", "0", 1), nullptr);
  for (int i = 4; i < 8; ++i) cache.put("t", std::to_string(i), found({"v"}), kSecond, 1);
  EXPECT_LE(cache.bytes(), 2000u);
  EXPECT_NE(cache.find("t", "7", 1), nullptr);
  EXPECT_EQ(cache.find("t", "1", 1), nullptr);
  cache.put("t", "big", found({std::string(5000, 'x')}), kSecond, 1);
  EXPECT_EQ(cache.find("t", "big", 1), nullptr);
  EXPECT_EQ(cache.find("u", "7", 1), nullptr) << "of another table";
  EXPECT_EQ(cache.find("t", "7", 2 * kSecond), nullptr) << "too old";
}

TEST(TableCache, KeepsWhatIsGoodForEver) {
  TableCache cache{2000};
  cache.put("t", "k", found({"v"}), std::numeric_limits<Nanos>::max(), kSecond);
  EXPECT_NE(cache.find("t", "k", 3600 * kSecond), nullptr);
}

}  // namespace
}  // namespace mansio::host
