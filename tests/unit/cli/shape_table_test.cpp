#include "kernel/cli/shape_table.hpp"

#include <gtest/gtest.h>

#include "kernel/cli/repaint.hpp"

namespace mansio::cli {
namespace {

// Tables as Postfix's qshape prints them for the same numbers.
TEST(ShapeTable, ShowsTotalsFirstThenDomainsWithMostMailFirst) {
  ShapeTable table{{.buckets = 4}};
  table.add(R"({"domain":"small.example","total":1,"ages":[1,0,0,0]})");
  table.add(R"({"domain":"large.example","total":1203,"ages":[1000,200,0,3]})");
  EXPECT_EQ(table.text(),
            "                                                               T    5  10 20 20+\n"
            "                                                      TOTAL 1204 1001 200  0   3\n"
            "                                              large.example 1203 1000 200  0   3\n"
            "                                              small.example    1    1   0  0   0\n");
}

TEST(ShapeTable, ColumnsAreAsWideAsHeadOrTotalNeeds) {
  ShapeTable table{{.minutes = 1, .linear = true}};
  table.add(R"({"domain":"a.example","total":12,"ages":[12,0,0,0,0,0,0,0,0,0]})");
  EXPECT_EQ(table.text(),
            "                                                 T  1  2  3  4  5  6  7  8  9 9+\n"
            "                                          TOTAL 12 12  0  0  0  0  0  0  0  0  0\n"
            "                                      a.example 12 12  0  0  0  0  0  0  0  0  0\n");
}

TEST(ShapeTable, AMinuteHasParts) {
  ShapeTable table{{.buckets = 4, .minutes = 0.5}};
  EXPECT_EQ(table.text().substr(0, 81), std::string(66, ' ') + "T 0.5  1  2 2+\n");
}

TEST(ShapeTable, OneBucketHasNoEnd) {
  ShapeTable table{{.buckets = 1}};
  EXPECT_EQ(table.text(), std::string(76, ' ') + "T 0+\n" + std::string(69, ' ') + "TOTAL  0  0\n");
}

TEST(ShapeTable, LongNamesLoseTheirBeginning) {
  ShapeTable table{{.buckets = 20, .parents = true, .min_subdomains = 1}};
  table.add(R"({"domain":"one.department.of.example.com","ages":[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]})");
  const auto text = table.text();
  EXPECT_NE(text.find("\n+nt.of.example.com  1  1  0"), std::string::npos) << text;
  EXPECT_NE(text.find("\n.+t.of.example.com  1  1  0"), std::string::npos) << text;
  EXPECT_NE(text.find("\n   .of.example.com  1  1  0"), std::string::npos) << text;
}

TEST(ShapeTable, ParentsCountWhatIsBelowThemAndAreShownFromSomeSubdomainsOn) {
  ShapeTable table{{.buckets = 1, .parents = true, .min_subdomains = 2}};
  table.add(R"({"domain":"a.x.example.com","ages":[1]})");
  table.add(R"({"domain":"b.x.example.com","ages":[2]})");
  table.add(R"({"domain":"example.com","ages":[4]})");
  table.add(R"({"domain":"only.example.net","ages":[8]})");
  const auto json = table.json();
  EXPECT_NE(json.find(R"({"domain":".x.example.com","total":3,"ages":[3]})"), std::string::npos) << json;
  EXPECT_EQ(json.find(R"(".example.com")"), std::string::npos) << "only .x.example.com is directly below it";
  EXPECT_EQ(json.find(R"(".example.net")"), std::string::npos);
  EXPECT_EQ(json.find(R"(".com")"), std::string::npos);
}

TEST(ShapeTable, DestinationsOfTwoTransportsAreTwo) {
  ShapeTable table{{.buckets = 1}};
  table.add(R"({"transport":"smtp","destination":"example.com","ages":[1]})");
  table.add(R"({"transport":"slow","destination":"example.com","ages":[2]})");
  EXPECT_EQ(table.json(),
            "{\"transport\":\"slow\",\"destination\":\"example.com (slow)\",\"total\":2,\"ages\":[2]}\n"
            "{\"transport\":\"smtp\",\"destination\":\"example.com\",\"total\":1,\"ages\":[1]}\n");
}

TEST(ShapeTable, TheTopIsCountedWithTheTotal) {
  ShapeTable table{{.buckets = 1, .top = 2}};
  for (const auto *name : {"a", "b", "c"}) table.add(R"({"domain":")" + std::string{name} + R"(.example","ages":[1]})");
  const auto text = table.text();
  EXPECT_NE(text.find("a.example"), std::string::npos);
  EXPECT_EQ(text.find("b.example"), std::string::npos);
}

TEST(ShapeTable, LeavesOutWhatIsNoRow) {
  ShapeTable table{{.buckets = 2}};
  table.add("not json");
  table.add(R"({"domain":"x.example","ages":[1,2,3]})");
  table.add(R"({"ages":[1,2]})");
  EXPECT_EQ(table.json(), "");
}

TEST(Repaint, NothingOfThePictureBeforeIsLeft) { EXPECT_EQ(painted("a\nb\n"), "\033[Ha\033[K\nb\033[K\n\033[J"); }

}  // namespace
}  // namespace mansio::cli
