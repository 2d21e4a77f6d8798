// What a start needed to find its mail goes back to the system once all is found, and what deliveries needed when there
// are none for a while. jemalloc's function is the test's.
#include <atomic>

#include "tests/unit/spool/spool_rig.hpp"

namespace {
std::atomic<int> purges = 0;
}

extern "C" int mallctl(const char *name, void *, std::size_t *, void *, std::size_t);
extern "C" int mallctl(const char *, void *, std::size_t *, void *, std::size_t) {
  ++purges;
  return 0;
}

namespace mansio::spool {
namespace {

TEST(SpoolMemory, GoesBackOnceAllMailIsFound) {
  test::FaultFiles disk;
  {
    Rig rig{disk};
    rig.open_writer();
    ASSERT_TRUE(rig.wait(rig.send("x")).ok());
  }
  purges = 0;
  Rig rig{disk};
  ASSERT_FALSE(rig.error);
  EXPECT_EQ(rig.found.size(), 1u);
  EXPECT_TRUE(rig.run_until([] { return purges > 0; }));
}

TEST(SpoolMemory, GoesBackWhenNothingIsBeingDelivered) {
  purges = 0;
  test::FaultFiles disk;
  Rig rig{disk};
  ASSERT_FALSE(rig.error);
  ASSERT_TRUE(rig.run_until([] { return purges > 0; }));  // that of the start
  rig.store->mark_active(true);
  purges = 0;
  rig.store->mark_active(false);
  EXPECT_TRUE(rig.run_until([] { return purges > 2; }));  // both threads' caches, and what is free
}

}  // namespace
}  // namespace mansio::spool
