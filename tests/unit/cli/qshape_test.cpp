#include "kernel/cli/qshape.hpp"

#include <gtest/gtest.h>

namespace mansio::cli {
namespace {

TEST(ShapeTable, ShowsTotalsFirstThenDestinationsWithMostMailFirst) {
  ShapeTable table{3, 5, false};
  table.add(R"({"transport":"smtp","destination":"small.example","total":1,"ages":[1,0,0,0]})");
  table.add(R"({"transport":"smtp","destination":"large.example","total":1203,"ages":[1000,200,0,3]})");
  EXPECT_EQ(table.text(),
            "                 T    5  10  20 20+\n"
            "        TOTAL 1204 1001 200   0   3\n"
            "large.example 1203 1000 200   0   3\n"
            "small.example    1    1   0   0   0\n");
}

TEST(ShapeTable, CountsBucketsOfOneWidthIfAsked) {
  ShapeTable table{3, 10, true};
  EXPECT_EQ(table.text(),
            "        T  10  20  30 30+\n"
            "TOTAL   0   0   0   0   0\n");
}

TEST(ShapeTable, LeavesOutWhatIsNoRow) {
  ShapeTable table{1, 5, false};
  table.add("not json");
  table.add(R"({"destination":"x.example","ages":[1,2,3]})");
  EXPECT_EQ(table.text(),
            "        T   5  5+\n"
            "TOTAL   0   0   0\n");
}

}  // namespace
}  // namespace mansio::cli
