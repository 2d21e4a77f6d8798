// Random lives of a scheduler beside the model of what its limits let go (life.hpp). Whatever they are, nothing goes
// that may not, and nothing waits that may, be it for a plugin that is not asked; concurrency and health are as the
// rules of feedback say; nothing is leased twice or lost.
#include "tests/unit/scheduler/life.hpp"

#include <gmock/gmock.h>

namespace mansio::scheduler {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

class AnyLife : public ::testing::TestWithParam<unsigned> {};

TEST_P(AnyLife, LetsGoWhatMayGoAndNothingElse) {
  Life life{GetParam()};
  EXPECT_THAT(life.run(), IsEmpty());
  EXPECT_GT(life.delivered(), 100u);
}
INSTANTIATE_TEST_SUITE_P(Seeds, AnyLife, ::testing::Range(1u, 101u));

class FaultyLife : public ::testing::TestWithParam<Fault> {};

TEST_P(FaultyLife, IsNoticed) {
  std::vector<std::string> found;
  for (unsigned seed = 1; seed <= 10 && found.empty(); ++seed) found = Life{seed, GetParam()}.run();
  EXPECT_THAT(found, Not(IsEmpty()));
}
INSTANTIATE_TEST_SUITE_P(Each, FaultyLife,
                         ::testing::Values(Fault::StopsEarly, Fault::LosesALane, Fault::SkipsATenant,
                                           Fault::OneSessionMore, Fault::ForgetsAWindow, Fault::IsTooSlow,
                                           Fault::SharesNoSite, Fault::OnePoolMore, Fault::OnePermitMore,
                                           Fault::OnePlaceMore));

}  // namespace
}  // namespace mansio::scheduler
