// Random lives of a scheduler beside the model of what its limits let go (life.hpp). Whatever they are, nothing goes
// that may not, and nothing waits that may, be it for a plugin that is not asked; concurrency and health are as the
// rules of feedback say; nothing is leased twice or lost. And whoever has mail has his turn: a bound on how many others
// go before him.
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

// Where everybody always has more mail than goes, each of a tenant's classes, lists and single mail, to each
// destination, is served again within so many decisions of the transport as its parts of all make.
TEST(Starvation, EachHasItsTurnWithinABound) {
  constexpr std::uint32_t kWeights[] = {3, 1}, kCost = 2, kDestinations = 2;
  constexpr int kPriorities[] = {5, 0, -3};
  auto s = Scheduler::create({.jitter = 0}, 1);
  s->tenants({{"a", kWeights[0]}, {"b", kWeights[1]}});
  const auto t = s->transport({.name = "t",
                               .sessions = 1,
                               .slots = {.cost = kCost, .loan = 0, .discount = 0},
                               .destination = {.window = {.initial = 1000, .limit = 0}}});
  s->transport_available(t, 1);
  struct Line {
    Group group;
    std::uint32_t weight = 0;
    std::uint64_t last = 0, longest = 0;  // decisions
  };
  std::vector<Line> lines;
  std::map<GroupId, std::size_t> line_of;
  GroupId next = 0;
  Nanos now = 1000 * kSecond;
  const auto add = [&](std::size_t line) {
    auto group = lines[line].group;
    group.id = next++;
    line_of[group.id] = line;
    s->add(group, now);
  };
  for (std::uint32_t k = 0; k < 2; ++k)
    for (const auto priority : kPriorities)
      for (const bool list : {false, true})
        for (std::uint32_t d = 0; d < kDestinations; ++d) {
          Line line;
          line.weight = kWeights[k];
          line.group.transport = t;
          line.group.destination = s->destination(t, "d" + std::to_string(d));
          line.group.flow = s->flow({.tenant = k == 0 ? "a" : "b", .priority = priority});
          line.group.list = list;
          lines.push_back(line);
        }
  for (std::size_t i = 0; i < lines.size(); ++i)
    for (int n = 0; n < 3; ++n) add(i);
  constexpr std::uint64_t kDecided = 50'000, kTurnsOfClasses = 16 + 4 + 1;
  for (std::uint64_t decided = 1; decided <= kDecided; ++decided) {
    const auto decision = s->next(now);
    ASSERT_TRUE(decision);
    auto &line = lines[line_of.at(decision->group)];
    line.longest = std::max(line.longest, decided - line.last);
    line.last = decided;
    now += kMillisecond;
    s->finished(decision->group, Result::Delivered, std::nullopt, now);
    add(line_of.at(decision->group));
    line_of.erase(decision->group);
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto &line = lines[i];
    const auto longest = std::max(line.longest, kDecided - line.last);
    // Its tenant's part, its class's, its kind's, its destination's; and one round more, for where it began.
    const std::uint64_t bound =
        2 * (kWeights[0] + kWeights[1]) * kTurnsOfClasses * (kCost + 1) * kDestinations / line.weight;
    EXPECT_LE(longest, bound) << "line " << i;
    EXPECT_GT(line.last, 0u) << "line " << i;
  }
}

}  // namespace
}  // namespace mansio::scheduler
