// The host and event plugins: tests/fixtures/event-odd.c says what it was told.
#include "kernel/host/event.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "kernel/host/commands.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class EventInstanceTest : public HostTest {
 protected:
  Result<std::unique_ptr<EventInstance>> create(std::map<std::string, std::string> options,
                                                const std::string &fixture = "event-odd") {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/" + fixture + ".so");
    if (!plugin) return plugin.error();
    return EventInstance::create({loop_, clock_, log_, dns_}, **plugin, {"odd", std::move(options), {}, {}});
  }
  static wire::Event event(wire::EventKind kind) {
    return {
        kind, 1'700'000'000 * kSecond, MessageId::make(1, 1, 1), "b@example.net", {{"dsn", "2.0.0"}, {"text", "ok"}}};
  }
};

TEST_F(EventInstanceTest, ThePluginHearsOfWhatItWantsAndOfNothingElse) {
  const auto wanted = wire::bit_of(wire::EventKind::Delivered) | wire::bit_of(wire::EventKind::Removed);
  auto made = create({{"do", "say"}, {"events", std::to_string(wanted)}});
  ASSERT_TRUE(made.ok()) << made.error().text;
  auto &instance = **made;
  EXPECT_EQ(instance.wanted(), wanted);
  instance.notify(event(wire::EventKind::Delivered));
  instance.notify(event(wire::EventKind::Bounced));
  const auto id = to_string(MessageId::make(1, 1, 1));
  EXPECT_THAT(lines_.text, HasSubstr("told 3 " + id + " <b@example.net> dsn=2.0.0 text=ok"));
  EXPECT_THAT(lines_.text, Not(HasSubstr("told 5")));
  EXPECT_THAT(lines_.text, HasSubstr(R"("event_sink":"odd")"));
  double told = 0;
  instance.stats([&](const std::string &name, double value) {
    if (name == R"(mansio_plugin_operations_total{event_sink="odd",plugin="event-odd"})") told = value;
  });
  EXPECT_EQ(told, 1);
}

TEST_F(EventInstanceTest, AnEventThatTheHostDoesNotTellIsNotAskedOfIt) {
  auto made = create({{"do", "say"}, {"events", "511"}});
  ASSERT_TRUE(made.ok()) << made.error().text;
  EXPECT_EQ((*made)->wanted(), wire::kAllEvents);
}

TEST_F(EventInstanceTest, APluginThatWantsNothingThatIsToldIsRefused) {
  const auto made = create({{"do", "say"}, {"events", "256"}});
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().text, HasSubstr("wants to hear of no event"));
}

TEST_F(EventInstanceTest, OperatorsCallItAsItsTableIsCalled) {
  Commands desk;
  const auto plugin = load_plugin(MANSIO_FIXTURES "/event-odd.so");
  ASSERT_TRUE(plugin.ok()) << plugin.error().text;
  const auto made = EventInstance::create({loop_, clock_, log_, dns_, nullptr, nullptr, nullptr, &desk}, **plugin,
                                          {"odd", {{"do", "say"}, {"events", "127"}}, {}, {}});
  ASSERT_TRUE(made.ok()) << made.error().text;
  const auto status_of = [&](const std::string &instance) {
    auto status = wire::CalledStatus::Failed;
    desk.call({1, instance, "release", {}, kSecond}, [&](wire::PluginCalled &&said) { status = said.status; });
    return status;
  };
  EXPECT_EQ(status_of("event.odd"), wire::CalledStatus::NoCommand);
  EXPECT_EQ(status_of("event_sink.odd"), wire::CalledStatus::NotHere);
}

TEST_F(EventInstanceTest, APluginOfAnotherKindIsRefused) {
  EXPECT_THAT(create({{"name", "x"}}, "transport-odd").error().text, HasSubstr("is no event_sink"));
  EXPECT_THAT(create({}, "lookup-blocking").error().text, HasSubstr("threads that may block"));
}

}  // namespace
}  // namespace mansio::host
