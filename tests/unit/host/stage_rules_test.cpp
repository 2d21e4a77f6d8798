// What is believed of the answer of a process of its own: versions of a message are made one after the other, and
// nothing edits one that was not.
#include "kernel/host/stage_rules.hpp"

#include <gtest/gtest.h>

#include "mansio/draft/filter.h"

namespace mansio::host {
namespace {

bool believed(std::vector<Edit> edits, bool filter = true, std::uint32_t stage = MANSIO_STAGE_END_OF_MESSAGE) {
  wire::StageResult result;
  result.outcome = wire::StageOutcome::Ok;
  result.edits = std::move(edits);
  return valid(result, filter, stage);
}
Edit version(std::uint32_t number, std::string recipient = "a@b.example") {
  return {EditKind::Version, number, "", std::move(recipient)};
}
Edit header(std::uint32_t version) { return {EditKind::AddHeader, 0, "X", "1", version}; }

TEST(StageRules, BelieveVersionsThatAreMadeInTheirOrder) {
  EXPECT_TRUE(believed({header(0), version(1), version(1, "Postmaster"), header(1), version(2), header(1), header(2)}));
  EXPECT_TRUE(believed({version(1), {EditKind::ReplaceBody, 0, "", "x", 1}}));
  EXPECT_FALSE(believed({version(0)}));
  EXPECT_FALSE(believed({version(2)}));
  EXPECT_FALSE(believed({version(1), version(3)}));
  EXPECT_FALSE(believed({version(1), version(2), version(1)}));
  EXPECT_FALSE(believed({version(1, "no address")}));
  EXPECT_FALSE(believed({version(1)}, false));
  EXPECT_FALSE(believed({version(1)}, true, MANSIO_STAGE_BODY));
}

TEST(StageRules, BelieveNoEditOfAVersionThatIsNot) {
  EXPECT_FALSE(believed({header(1)}));
  EXPECT_FALSE(believed({header(1), version(1)}));
  EXPECT_FALSE(believed({version(1), header(2)}));
  EXPECT_FALSE(believed({version(1), {EditKind::Hold, 0, "", "why", 1}}));
  EXPECT_FALSE(believed({version(1), {EditKind::SetSender, 0, "", "a@b.example", 1}}));
}

TEST(StageRules, BoundTheNumberOfVersions) {
  std::vector<Edit> edits;
  for (std::uint32_t i = 1; i <= kMostVersions; ++i) edits.push_back(version(i));
  EXPECT_TRUE(believed(edits));
  edits.push_back(version(kMostVersions + 1));
  EXPECT_FALSE(believed(edits));
}

}  // namespace
}  // namespace mansio::host
