// What `mansio spool restore` makes of the queue's answer, and whose mail it takes when it is not told.
#include "kernel/cli/spool_restore.hpp"

#include <gtest/gtest.h>

namespace mansio::cli {
namespace {

constexpr auto kLines =
    R"({"store":"first","connected":true,"spool":"OURS","looked_through":false})"
    "\n"
    R"({"store":"second","connected":true,"spool":"OURS","looked_through":true,"spools":{"OURS":2,"OTHER":7},)"
    R"("restore":{"running":true,"restored":3,"done_already":1,"damaged":0,"waiting":4,"problem":"full\u001b[2J"}})"
    "\n";

TEST(SpoolRestoreTest, FindsTheStoreThatIsMeant) {
  const auto store = store_summary(kLines, "second");
  EXPECT_TRUE(store.found && store.connected && store.looked_through && store.running);
  EXPECT_EQ(store.spool, "OURS");
  EXPECT_EQ(store.spools.size(), 2u);
  EXPECT_EQ(store.restored, 3);
  EXPECT_EQ(store.done_already, 1);
  EXPECT_EQ(store.waiting, 4);
  const auto other = store_summary(kLines, "first");
  EXPECT_TRUE(other.found);
  EXPECT_FALSE(other.looked_through || other.running);
  EXPECT_FALSE(store_summary(kLines, "third").found);
  EXPECT_FALSE(store_summary("", "first").found);
}

TEST(SpoolRestoreTest, PrintsNoControlCharacterOfAProblem) {
  EXPECT_EQ(store_summary(kLines, "second").problem.find('\033'), std::string::npos);
}

TEST(SpoolRestoreTest, TakesTheMailOfTheOneOtherSpool) {
  StoreSummary store = store_summary(kLines, "second");
  const auto meant = spool_meant(store);
  ASSERT_TRUE(meant);
  EXPECT_EQ(*meant, "OTHER");
  store.spools = {{"OTHER", 7}};
  EXPECT_TRUE(spool_meant(store));
}

TEST(SpoolRestoreTest, DoesNotGuessAmongSeveralOrNone) {
  StoreSummary store;
  store.spool = "OURS";
  EXPECT_FALSE(spool_meant(store));
  store.spools = {{"OURS", 2}};
  EXPECT_FALSE(spool_meant(store));
  store.spools = {{"OURS", 2}, {"ONE", 7}, {"TWO", 1}};
  const auto meant = spool_meant(store);
  ASSERT_FALSE(meant);
  EXPECT_NE(meant.error().text.find("ONE, TWO"), std::string::npos);
}

}  // namespace
}  // namespace mansio::cli
