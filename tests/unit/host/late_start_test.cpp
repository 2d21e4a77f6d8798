#include "kernel/host/late_start.hpp"

#include <gmock/gmock.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using ::testing::HasSubstr;
using ::testing::IsNull;
using ::testing::NotNull;

struct Thing {};

class LateStartTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Thing>> make() {
    ++tries_;
    if (tries_ < good_) return Error{Status::Internal, "attempt " + std::to_string(tries_)};
    return std::make_unique<Thing>();
  }

  int tries_ = 0, good_ = 3;
  VirtualClock clock_;
  Lines lines_;
  Logger log_{lines_, clock_, "test"};
  LateStart<Thing> late_{clock_, log_, [this] { return make(); }, Error{Status::Internal, "the first"}};
};

TEST_F(LateStartTest, IsTriedAgainOnlyAfterAWhile) {
  EXPECT_EQ(late_.why(), "the first");
  EXPECT_THAT(late_.get(), IsNull());
  EXPECT_EQ(tries_, 0);
  clock_.advance(LateStart<Thing>::kAgain);
  EXPECT_THAT(late_.get(), IsNull());
  EXPECT_THAT(late_.get(), IsNull());
  EXPECT_EQ(tries_, 1);
  EXPECT_EQ(late_.why(), "attempt 1");
}

TEST_F(LateStartTest, StaysOnceItHasStarted) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(late_.there(), IsNull());
    clock_.advance(LateStart<Thing>::kAgain);
    late_.get();
  }
  EXPECT_THAT(late_.there(), NotNull());
  clock_.advance(10 * LateStart<Thing>::kAgain);
  EXPECT_EQ(late_.get(), late_.there());
  EXPECT_EQ(tries_, 3);
}

TEST_F(LateStartTest, TheLogSaysWhyEachTimeAndThatItStarted) {
  EXPECT_THAT(lines_.text, HasSubstr("the first"));
  for (int i = 0; i < 3; ++i) {
    clock_.advance(LateStart<Thing>::kAgain);
    late_.get();
  }
  EXPECT_THAT(lines_.text, HasSubstr("attempt 2"));
  EXPECT_THAT(lines_.text, HasSubstr("plugin started after all"));
}

// Through the kinds: a transport whose constructor throws defers what it is given, one that refuses its options is an
// error.
class StartTransport : public HostTest {
 protected:
  Result<std::unique_ptr<TransportInstance>> start(const std::string &name, std::map<std::string, std::string> given) {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/" + name + ".so");
    EXPECT_TRUE(plugin.ok()) << plugin.error().text;
    TransportInstance::Events events;
    events.complete = [this](std::uint64_t lease, const wire::RecipientOutcome &last, bool site_failure,
                             const std::string &) {
      EXPECT_EQ(lease, 7u);
      EXPECT_FALSE(site_failure);
      last_ = last;
    };
    return start_transport({loop_, clock_, log_, dns_}, **plugin, {"t", std::move(given), {}, {}}, std::move(events));
  }
  std::optional<wire::RecipientOutcome> last_;
};

TEST_F(StartTransport, DefersWhatOneIsGivenThatDidNotStart) {
  auto made = start("sin-throws-in-constructor", {});
  ASSERT_TRUE(made.ok()) << made.error().text;
  wire::Lease lease;
  lease.lease = 7;
  (*made)->start(lease, {});
  ASSERT_TRUE(last_);
  EXPECT_EQ(last_->status, wire::DeliveryStatus::Deferred);
  EXPECT_TRUE(last_->plugin_failed);
  EXPECT_THAT(last_->text, HasSubstr("did not start"));
  EXPECT_EQ((*made)->in_flight(), 0u);
}

TEST_F(StartTransport, RefusesOneWhoseOptionsAreToBlame) {
  const auto made = start("transport-odd", {{"name", "n"}, {"mode", "refuse"}});
  EXPECT_FALSE(made.ok());
}

}  // namespace
}  // namespace mansio::host
