// What a start needed to find its mail goes back to the system once all is found, and what else is not needed any more
// from time to time. jemalloc's function is the test's.
#include <atomic>
#include <string_view>

#include "tests/unit/spool/spool_rig.hpp"

namespace {
std::atomic<int> purges = 0, decays = 0;
}

extern "C" int mallctl(const char *name, void *, std::size_t *, void *, std::size_t);
extern "C" int mallctl(const char *name, void *, std::size_t *, void *, std::size_t) {
  if (std::string_view{name}.ends_with(".purge")) ++purges;
  if (std::string_view{name}.ends_with(".decay")) ++decays;
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

TEST(SpoolMemory, GoesBackWhileNobodyAsksForAny) {
  test::FaultFiles disk;
  Rig rig{disk};
  ASSERT_FALSE(rig.error);
  decays = 0;
  EXPECT_TRUE(rig.run_until([] { return decays > 1; }));
}

}  // namespace
}  // namespace mansio::spool
