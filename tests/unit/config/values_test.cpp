// Single values: durations, sizes and text as they are read and printed, suggestions for misspelt names, options of
// plugins.
#include "kernel/config/values.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "kernel/config/parse.hpp"
#include "kernel/config/weighted.hpp"

namespace mansio::config {
namespace {

TEST(Values, DurationsHaveUnits) {
  EXPECT_EQ(parse_duration("300"), 300 * kSecond);
  EXPECT_EQ(parse_duration("300s"), 300 * kSecond);
  EXPECT_EQ(parse_duration("5m"), 300 * kSecond);
  EXPECT_EQ(parse_duration("1h"), 3600 * kSecond);
  EXPECT_EQ(parse_duration("2d"), 2 * 86400 * kSecond);
  EXPECT_EQ(parse_duration("50ms"), 50 * kMillisecond);
  EXPECT_EQ(parse_duration("5 m"), 300 * kSecond);
  for (const auto *bad : {"", "m", "5 parsecs", "-1s", "1.5h", "1h30m", "99999999999w", "5M", " 5"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Values, SizesArePowersOf1024) {
  EXPECT_EQ(parse_size("10240000"), 10240000u);
  EXPECT_EQ(parse_size("10M"), 10u << 20);
  EXPECT_EQ(parse_size("64MiB"), 64u << 20);
  EXPECT_EQ(parse_size("1G"), 1u << 30);
  for (const auto *bad : {"", "M", "10MB", "-1", "99999999T", "1.5M"}) EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(Values, EveryDurationAndSizePrintsToATextThatReadsBack) {
  std::mt19937_64 random{7};
  for (int i = 0; i < 2000; ++i) {
    const auto n = static_cast<std::int64_t>(random() >> (1 + random() % 63));
    EXPECT_EQ(parse_duration(print_duration(n)), n);
    EXPECT_EQ(parse_size(print_size(static_cast<std::uint64_t>(n))), static_cast<std::uint64_t>(n));
  }
  EXPECT_EQ(print_duration(5 * 86400 * kSecond), "5d");
  EXPECT_EQ(print_duration(90 * kSecond), "90s");
  EXPECT_EQ(print_size(64ull << 20), "64M");
}

TEST(Values, AWeightedNameEndsWithItsWeight) {
  EXPECT_EQ(parse_weighted("new = 3")->name, "new");
  EXPECT_EQ(parse_weighted("new = 3")->weight, 3u);
  EXPECT_EQ(parse_weighted("a=b=2")->name, "a=b");
  EXPECT_EQ(parse_weighted("new")->weight, 1u);
  EXPECT_FALSE(parse_weighted("a=b"));
}

TEST(Values, SuggestsOnlyWhatIsNear) {
  constexpr std::array<std::string_view, 3> kNames{"timeout", "banner", "mynetworks"};
  EXPECT_EQ(suggestion("timout", kNames), "timeout");
  EXPECT_EQ(suggestion("my_networks", kNames), "mynetworks");
  EXPECT_EQ(suggestion("colour", kNames), "");
  EXPECT_EQ(suggestion(std::string(100000, 'x'), kNames), "");
}

TEST(Values, RefusesWhatIsNotUtf8) {
  EXPECT_TRUE(is_utf8("Grüße €𝄞"));
  for (const auto *bad : {"\x80", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xFF"})
    EXPECT_FALSE(is_utf8(bad));
}

Result<std::string> canonical(PluginOption::Type type, std::string_view value, bool secret = false) {
  return canonical_option({.name = "x", .type = type, .secret = secret, .fallback = {}, .help = {}}, value);
}

TEST(PluginOptions, BecomeCanonicalText) {
  using Type = PluginOption::Type;
  EXPECT_EQ(*canonical(Type::Duration, "5m"), "300000000000");
  EXPECT_EQ(*canonical(Type::Duration, "20"), "20000000000");
  EXPECT_EQ(*canonical(Type::Size, "1K"), "1024");
  EXPECT_EQ(*canonical(Type::Integer, "-7"), "-7");
  EXPECT_EQ(*canonical(Type::Boolean, "true"), "true");
  EXPECT_EQ(*canonical(Type::List, " a, b ,c"), "a,b,c");
  EXPECT_EQ(*canonical(Type::List, ""), "");
  EXPECT_EQ(*canonical(Type::Path, "/var/mail/{domain}"), "/var/mail/{domain}");
  EXPECT_EQ(*canonical(Type::Text, "Any \"text\""), "Any \"text\"");
}

TEST(PluginOptions, SayWhatWasExpected) {
  using Type = PluginOption::Type;
  EXPECT_EQ(canonical(Type::Integer, "ten").error().text, "is \"ten\", expected an integer");
  EXPECT_EQ(canonical(Type::Boolean, "yes").error().text, "is \"yes\", expected true or false");
  EXPECT_FALSE(canonical(Type::Path, "mail/x"));
  EXPECT_FALSE(canonical(Type::List, "a,,b"));
  EXPECT_FALSE(canonical(Type::Duration, "5 apples"));
  EXPECT_FALSE(canonical(Type::Text, std::string_view{"a\0b", 3}));
}

TEST(PluginOptions, SecretsAreNotShown) {
  EXPECT_EQ(canonical(PluginOption::Type::Integer, "hunter2", true).error().text.find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace mansio::config
