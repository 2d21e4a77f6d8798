#include "plugins/lookup-common/sql.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mansio/config.hpp"

namespace mansio::lookup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SqlQuery, MakesAParameterOfEachLiteralWithExpansions) {
  const SqlQuery query{"SELECT goto FROM alias WHERE address = '%s' AND domain='x.%d' AND kind = 'a'",
                       Placeholder::Question};
  EXPECT_EQ(query.text(), "SELECT goto FROM alias WHERE address = ? AND domain=? AND kind = 'a'");
  EXPECT_THAT(query.bind("o'brien@example.com").value(), ElementsAre("o'brien@example.com", "x.example.com"));
}

TEST(SqlQuery, NumbersParametersForPostgreSql) {
  const SqlQuery query{"SELECT 1 WHERE '%u' = '%d' OR '%u@%d' = ''", Placeholder::Dollar};
  EXPECT_EQ(query.text(), "SELECT 1 WHERE $1 = $2 OR $3 = ''");
  EXPECT_THAT(query.bind("a@b").value(), ElementsAre("a", "b", "a@b"));
}

TEST(SqlQuery, UndoesDoubledQuotesWithinAParameter) {
  const SqlQuery query{"SELECT '''%s'''", Placeholder::Question};
  EXPECT_EQ(query.text(), "SELECT ?");
  EXPECT_THAT(query.bind("k").value(), ElementsAre("'k'"));
}

TEST(SqlQuery, KeepsLiteralsWithoutExpansionsAndUndoesDoubledPerCentSigns) {
  const SqlQuery query{"SELECT 5 %% 3, 'it''s', E'\\n%%', \"a b\" WHERE x LIKE '%%.%d'", Placeholder::Question};
  EXPECT_EQ(query.text(), "SELECT 5 % 3, 'it''s', E'\\n%', \"a b\" WHERE x LIKE ?");
  EXPECT_THAT(query.bind("a@b.c").value(), ElementsAre("%.b.c"));
}

TEST(SqlQuery, IsNotMadeForAKeyThatLacksWhatItNames) {
  EXPECT_EQ(SqlQuery("SELECT '%d'", Placeholder::Question).bind("user"), std::nullopt);
}

TEST(SqlQuery, RefusesExpansionsThatCouldBecomeSql) {
  for (const auto *text :
       {"SELECT %s", "SELECT a FROM t_%d", "SELECT \"%s\"", "SELECT `%s`", "SELECT E'%s'", "SELECT _utf8'%s'",
        "SELECT '\\'%s'", "SELECT 'a", "SELECT \"a", "SELECT $$%s$$", "SELECT 1 -- '%s'", "SELECT /* ' */ '%s'",
        "SELECT 1; DELETE FROM t WHERE k = '%s'", "SELECT '%x'", "", "SELECT $1"}) {
    try {
      const SqlQuery query{text, Placeholder::Dollar};
      FAIL() << text;
    } catch (const plugin::BadConfig &bad) {
      EXPECT_EQ(bad.option, "query") << text;
    }
  }
  EXPECT_THROW(SqlQuery("SELECT ?", Placeholder::Question), plugin::BadConfig);
}

TEST(SqlQuery, SaysWhereExpansionsBelong) {
  try {
    const SqlQuery query{"SELECT %s", Placeholder::Question};
    FAIL();
  } catch (const plugin::BadConfig &bad) {
    EXPECT_THAT(bad.text, HasSubstr("outside of single quotes"));
  }
}

}  // namespace
}  // namespace mansio::lookup
