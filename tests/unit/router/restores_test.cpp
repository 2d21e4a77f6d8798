// A message that a store gives back is made one message of, however often a queue asks for it.
#include "kernel/router/restores.hpp"

#include <gtest/gtest.h>

namespace mansio::router {
namespace {

constexpr StoreKey key_of(std::uint64_t n) { return {77, MessageId{n}}; }

TEST(RestoresTest, WhatIsUnderWayOrDoneIsNotBegunAgain) {
  Restores restores;
  EXPECT_TRUE(restores.begin(key_of(1)));
  EXPECT_FALSE(restores.begin(key_of(1)));
  EXPECT_FALSE(restores.became(key_of(1))) << "it is answered when it is over";
  restores.ended(key_of(1), MessageId{5});
  EXPECT_FALSE(restores.begin(key_of(1)));
  EXPECT_EQ(restores.became(key_of(1)), MessageId{5});
  EXPECT_TRUE(restores.begin(key_of(2)));
}

TEST(RestoresTest, WhatCameToNothingMayBeginAnew) {
  Restores restores;
  ASSERT_TRUE(restores.begin(key_of(1)));
  restores.ended(key_of(1), {});
  EXPECT_TRUE(restores.begin(key_of(1)));
}

TEST(RestoresTest, RemembersTheLastOnesAndAllThatAreUnderWay) {
  Restores restores{2};
  ASSERT_TRUE(restores.begin(key_of(9)));
  for (std::uint64_t n = 1; n <= 3; ++n) {
    ASSERT_TRUE(restores.begin(key_of(n)));
    restores.ended(key_of(n), MessageId{10 + n});
  }
  EXPECT_TRUE(restores.begin(key_of(1)));
  EXPECT_EQ(restores.became(key_of(2)), MessageId{12});
  EXPECT_FALSE(restores.begin(key_of(9)));
}

}  // namespace
}  // namespace mansio::router
