#include "plugins/lookup-common/expansion.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mansio/config.hpp"

namespace mansio::lookup {
namespace {

using ::testing::HasSubstr;

std::optional<std::string> expand(std::string_view text, std::string_view key, std::string_view value) {
  return Template{"query", text}.expand(key, value);
}
std::optional<std::string> query(std::string_view text, std::string_view key) { return expand(text, key, key); }

TEST(Expansion, PutsInTheKeyAndItsParts) {
  EXPECT_EQ(query("<%s>", "user@mail.example.com"), "<user@mail.example.com>");
  EXPECT_EQ(query("%u at %d", "user@mail.example.com"), "user at mail.example.com");
  EXPECT_EQ(query("%S|%U|%D", "user@mail.example.com"), "user@mail.example.com|user|mail.example.com");
  EXPECT_EQ(query("%1,%2,%3", "user@mail.example.com"), "com,example,mail");
  EXPECT_EQ(query("100%% of %s", "a"), "100% of a");
}

TEST(Expansion, DividesAtTheLastAt) { EXPECT_EQ(query("%u|%d", "\"a@b\"@example.com"), "\"a@b\"|example.com"); }

TEST(Expansion, TakesAKeyWithoutDomainAsItsOwnLocalPart) {
  EXPECT_EQ(query("%u", "user"), "user");
  EXPECT_EQ(query("%s", "user"), "user");
}

TEST(Expansion, IsSuppressedByWhatIsNotThere) {
  EXPECT_EQ(query("%d", "user"), std::nullopt);
  EXPECT_EQ(query("%d", "user@"), std::nullopt);
  EXPECT_EQ(query("%u", "@example.com"), std::nullopt);
  EXPECT_EQ(query("%s", ""), std::nullopt);
  EXPECT_EQ(query("%4", "user@mail.example.com"), std::nullopt);
  EXPECT_EQ(query("%1", "example.com"), std::nullopt);
  EXPECT_EQ(query("%1", "user@example."), std::nullopt);
}

TEST(Expansion, TellsTheValueFromTheKey) {
  EXPECT_EQ(expand("%s|%u|%d|%S|%U|%D|%1", "a@key.test", "b@value.example"),
            "b@value.example|b|value.example|a@key.test|a|key.test|test");
  EXPECT_EQ(expand("%d", "a@key.test", "unqualified"), std::nullopt);
  EXPECT_EQ(expand("%u", "a@key.test", "@value.example"), std::nullopt);
}

TEST(Expansion, KnowsBeforehandWhetherAKeyWillDo) {
  const Template both{"result_format", "%s:%D:%2"};
  EXPECT_TRUE(both.covers("a@example.com"));
  EXPECT_FALSE(both.covers("a@com"));
  EXPECT_FALSE(both.covers("a"));
  EXPECT_TRUE(Template("result_format", "%s%u%d").covers("a"));
}

TEST(Expansion, EscapesEachPartAndNothingElse) {
  const auto stars = [](std::string &to, std::string_view part) { to += std::string(part.size(), '*'); };
  EXPECT_EQ(Template("query", "(mail=%s)(%1)").expand("ab@cd.ef", "ab@cd.ef", stars), "(mail=********)(**)");
}

TEST(Expansion, RefusesWhatThereIsNotAndSaysWhatThereIs) {
  for (const auto *text : {"%x", "%0", "a%", "% s"}) {
    try {
      const Template t{"query", text};
      FAIL() << text;
    } catch (const plugin::BadConfig &bad) {
      EXPECT_EQ(bad.option, "query");
      EXPECT_THAT(bad.text, HasSubstr("expected %s, %u"));
    }
  }
}

}  // namespace
}  // namespace mansio::lookup
