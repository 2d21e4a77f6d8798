// Which clients count as those that bring more than the others.
#include "kernel/queue/inflow.hpp"

#include <gmock/gmock.h>

namespace mansio::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Inflow, TheClientThatBringsMoreThanTheAverageIsHeavy) {
  Inflow inflow;
  Nanos now = 0;
  for (int i = 0; i < 10'000; ++i) {
    now += kMillisecond;
    inflow.took("greedy", now);
    if (i % 1000 == 0)
      for (const auto *client : {"a", "b", "c"}) inflow.took(client, now);
  }
  EXPECT_THAT(inflow.heavy(now, 100), ElementsAre("greedy"));
}

TEST(Inflow, OneClientAloneIsHeavyAndSoAreAllThatBringAlike) {
  Inflow inflow;
  EXPECT_THAT(inflow.heavy(0, 100), IsEmpty());
  inflow.took("a", 0);
  EXPECT_THAT(inflow.heavy(0, 100), ElementsAre("a"));
  for (int i = 0; i < 100; ++i)
    for (const auto *client : {"c", "b", "d"}) inflow.took(client, i);
  EXPECT_THAT(inflow.heavy(100, 100), ElementsAre("b", "c", "d"));
}

TEST(Inflow, OnlyTheHeaviestAreNamedWhenThereAreTooMany) {
  Inflow inflow;
  for (int i = 0; i < 10; ++i) {
    inflow.took("a", 0);
    if (i < 9) inflow.took("b", 0);
    if (i < 8) inflow.took("c", 0);
  }
  inflow.took("d", 0);
  EXPECT_THAT(inflow.heavy(0, 2), ElementsAre("a", "b"));
}

TEST(Inflow, WhatWasLongAgoIsForgotten) {
  Inflow inflow;
  for (int i = 0; i < 1000; ++i) inflow.took("a", 0);
  inflow.took("b", 200 * kSecond);
  EXPECT_THAT(inflow.heavy(200 * kSecond, 100), ElementsAre("b"));
  for (int i = 0; i < 100'000; ++i) inflow.took(std::to_string(i), 300 * kSecond + i * kMillisecond);
  EXPECT_LT(inflow.clients(), 30'000u);
}

}  // namespace
}  // namespace mansio::queue
