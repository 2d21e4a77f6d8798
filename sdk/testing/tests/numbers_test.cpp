// Numbers through the C++ wrapper, on the fake host with its virtual clock.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "mansio/numbers.hpp"
#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeHost;

constexpr std::int64_t kMinute = 60'000'000'000;

// Answers each key with how often it was asked for within a minute, as long as there are tokens.
class Counted {
 public:
  static constexpr Info info{"lookup-counted", "1.0"};
  static constexpr mansio_option options[] = {{}};
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
  explicit Counted(Host host) : numbers_(host) {}
  Reply lookup(std::string_view, std::string_view key) {
    numbers_.add("all");
    if (const auto wait = numbers_.take("keys", kMinute / 4, 4, key); wait != 0) return defer(std::to_string(wait));
    const auto count = numbers_.add_to_window("asked", kMinute, key);
    if (count != numbers_.count_in_window("asked", kMinute, key)) return defer("counts differ");
    return found(std::to_string(static_cast<int>(count)) + ' ' + std::to_string(*numbers_.add("all", 0)) + ' ' +
                 std::to_string(numbers_.available("keys", kMinute / 4, 4, key)));
  }

 private:
  Numbers numbers_;
};

TEST(Numbers, CountByTheClockOfTheTest) {
  const auto *const plugin = Glue<Counted, LookupKind>::entry();
  EXPECT_EQ(plugin->draft_build, MANSIO_DRAFT_BUILD);
  FakeHost host{plugin, {}, {{"virtual_clock", "1700000040000000000"}}};
  const auto asked = [&](const std::string &key) {
    const auto reply = host.lookup(key);
    return reply.values.empty() ? reply.text : reply.values.front();
  };
  EXPECT_EQ(asked("a"), "1 1 3");
  EXPECT_EQ(asked("a"), "2 2 2");
  EXPECT_EQ(asked("b"), "1 3 3");
  EXPECT_EQ(asked("a"), "3 4 1");
  EXPECT_EQ(asked("a"), "4 5 0");
  EXPECT_EQ(asked("a"), "15000000000");
  host.advance(std::chrono::seconds{90});
  EXPECT_EQ(asked("a"), "3 7 3");  // half of those before, and this one
}

TEST(Numbers, AreThoseOfAllHostsThatAreGivenThem) {
  const auto all = std::make_shared<mansio::testing::FakeNumbers>();
  const auto *const plugin = Glue<Counted, LookupKind>::entry();
  FakeHost one{plugin, {}, {{"virtual_clock", "1700000040000000000"}}, all},
      two{plugin, {}, {{"virtual_clock", "1700000040000000000"}}, all},
      other{plugin, {}, {{"virtual_clock", "1700000040000000000"}}};
  EXPECT_EQ(one.lookup("a").values.front(), "1 1 3");
  EXPECT_EQ(two.lookup("a").values.front(), "2 2 2");
  EXPECT_EQ(other.lookup("a").values.front(), "1 1 3");
}

}  // namespace
}  // namespace mansio::plugin
