// Permits of the queue's limits: the C++ wrapper and the fake host together.
#include "mansio/permits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeGranted;
using mansio::testing::FakeHost;
using mansio::testing::FakePermits;

// A lookup that finds how many of three permits of the key's campaign it was granted.
class Takes {
 public:
  static constexpr Info info{"lookup-takes", "1.0"};
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
  static constexpr mansio_option options[] = {{}};
  explicit Takes(Host host) : permits_(host) {}
  void lookup(LookupRequest request, Token token) {
    if (request.key != "function") return answer(std::move(token), take(std::move(request)));
    permits_.take(
        {"tenant_rate_limit", "acme"}, 1,
        [to = std::make_shared<Token>(std::move(token))](const Granted &given) { to->complete(reply(given)); });
  }
  void cancel(mansio_op) { cancel_.request(); }

 private:
  static Reply reply(const Granted &given) {
    if (given.granted > 0) return found(std::to_string(given.granted));
    return defer("not now").retry(given.retry_ns);
  }
  Task<Reply> take(LookupRequest request) {
    Limit limit{"campaign_rate_limit", request.key};
    const auto given = co_await TakePermits{permits_, std::move(limit), 3, &cancel_};
    co_return reply(given);
  }

  Permits permits_;
  Cancel cancel_;
};

const mansio_plugin *takes() { return Glue<Takes, LookupKind>::entry(); }

TEST(Permits, AreTakenOfTheLimitThatIsNamed) {
  FakeHost host{takes()};
  EXPECT_EQ(host.lookup("spring").values.at(0), "3");
  ASSERT_EQ(host.permits_asked.size(), 1u);
  EXPECT_EQ(host.permits_asked[0].limit, "campaign_rate_limit");
  EXPECT_EQ(host.permits_asked[0].key, "spring");
  EXPECT_EQ(host.lookup("function").values.at(0), "1");
  EXPECT_EQ(host.permits_asked[1].limit, "tenant_rate_limit");
}

TEST(Permits, AreAsManyAsThereAreOrNoneForAWhile) {
  FakeHost host{takes()};
  host.permits_answer = [](const FakePermits &asked) {
    return asked.key == "some" ? FakeGranted{2, 0} : FakeGranted{0, 5'000'000};
  };
  EXPECT_EQ(host.lookup("some").values.at(0), "2");
  const auto none = host.lookup("none");
  EXPECT_EQ(none.status, MANSIO_DEFER);
  EXPECT_EQ(none.retry_ns, 5'000'000);
}

TEST(Permits, AWaitThatIsCancelledGetsNone) {
  FakeHost host{takes()};
  const auto op = host.look_up("spring");
  host.cancel(op);
  EXPECT_EQ(host.finish(op).status, MANSIO_DEFER);
  host.run_until([] { return false; }, std::chrono::milliseconds{1});  // its answer comes, and finds nobody
}

}  // namespace
}  // namespace mansio::plugin
