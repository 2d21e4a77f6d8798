// A text is kept once while somebody refers to it, and never taken for another.
#include "kernel/queue/reasons.hpp"

#include <gtest/gtest.h>

namespace mansio::queue {
namespace {

Reason said(const std::string &text) { return {451, {4, 4, 1}, text, "mx.example", "none"}; }

TEST(Reasons, KeepATextOnceAndForgetItWithItsLastReference) {
  Reasons reasons;
  const auto busy = reasons.take(said("busy"));
  EXPECT_EQ(reasons.take(said("busy")), busy);
  const auto full = reasons.take(said("full"));
  EXPECT_NE(full, busy);
  EXPECT_EQ(reasons.size(), 2u);
  reasons.journaled_as(busy) = 7;

  reasons.drop(busy);
  EXPECT_EQ(reasons.get(busy), said("busy"));
  reasons.drop(busy);
  EXPECT_EQ(reasons.size(), 1u);
  EXPECT_EQ(reasons.get(full), said("full"));

  const auto slow = reasons.take(said("slow"));
  EXPECT_EQ(slow, busy);  // its place is used again
  EXPECT_EQ(reasons.journaled_as(slow), 0u);
  EXPECT_EQ(reasons.get(slow), said("slow"));
  EXPECT_EQ(reasons.get(0), Reason{});
  reasons.drop(0);
  EXPECT_EQ(reasons.size(), 2u);
}

TEST(Reasons, LetMailThatIsNotTriedShareTheTextOfTheFailureItWaitsFor) {
  Reasons reasons;
  const auto failed = reasons.take(said("no answer"));
  const auto kept = reasons.take(suspended_reason({4, 4, 1}, "no answer"));
  EXPECT_NE(kept, failed);
  EXPECT_EQ(reasons.size(), 1u);
  EXPECT_EQ(reasons.get(kept), (Reason{0, {4, 4, 1}, "delivery temporarily suspended: no answer", "", "none"}));
  EXPECT_EQ(reasons.get(failed), said("no answer"));
  reasons.journaled_as(failed) = 7;  // the journal has a text for each
  EXPECT_EQ(reasons.journaled_as(kept), 0u);
  reasons.journaled_as(kept) = 8;
  EXPECT_EQ(reasons.journaled_as(failed), 7u);

  EXPECT_EQ(reasons.share(kept), kept);
  reasons.drop(failed);
  reasons.drop(kept);
  EXPECT_EQ(reasons.get(kept), suspended_reason({4, 4, 1}, "no answer"));  // it outlives the failure
  EXPECT_EQ(reasons.take(said("no answer")), failed);
  reasons.drop(failed);
  reasons.drop(kept);
  EXPECT_EQ(reasons.size(), 0u);
}

TEST(Reasons, KeepWhatOnlyLooksLikeAFailureThatIsThere) {
  Reasons reasons;
  reasons.take(said("no answer"));
  for (const auto &reason : {suspended_reason({4, 4, 2}, "no answer"), suspended_reason({4, 4, 1}, "no answers"),
                             suspended_reason({4, 4, 1}, ""), said("delivery temporarily suspended: no answer")}) {
    const auto before = reasons.size();
    const auto id = reasons.take(reason);
    EXPECT_EQ(reasons.size(), before + 1) << reason.text;
    EXPECT_EQ(reasons.get(id), reason);
  }
}

TEST(Reasons, FindEachOfMany) {
  Reasons reasons;
  std::vector<ReasonId> ids;
  for (int i = 0; i < 20'000; ++i) ids.push_back(reasons.take(said(std::to_string(i))));
  for (int i = 0; i < 20'000; i += 2) reasons.drop(ids[static_cast<std::size_t>(i)]);
  EXPECT_EQ(reasons.size(), 10'000u);
  for (int i = 1; i < 20'000; i += 2) {
    const auto id = ids[static_cast<std::size_t>(i)];
    ASSERT_EQ(reasons.take(said(std::to_string(i))), id);
    ASSERT_EQ(reasons.get(id), said(std::to_string(i)));
  }
}

TEST(Reasons, TellTextsApartThatShareAHash) {
  Reasons reasons{[](std::string_view) { return std::uint64_t{1}; }};
  const auto busy = reasons.take(said("busy"));
  const auto full = reasons.take(said("full"));
  ASSERT_NE(full, busy);
  EXPECT_EQ(reasons.get(full), said("full"));
  reasons.drop(full);
  EXPECT_EQ(reasons.take(said("busy")), busy);
  const auto again = reasons.take(said("full"));
  reasons.drop(busy);
  reasons.drop(busy);
  EXPECT_EQ(reasons.get(again), said("full"));
  EXPECT_EQ(reasons.size(), 1u);
  reasons.drop(again);
  EXPECT_EQ(reasons.size(), 0u);
}

}  // namespace
}  // namespace mansio::queue
