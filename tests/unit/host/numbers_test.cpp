// mansio.host.numbers as a plugin has it: whose numbers they are, and what is refused.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/host/instance.hpp"
#include "kernel/process/shared.hpp"
#include "mansio/draft/services.h"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

// A plugin that is its host's name for it, and does nothing.
mansio_status take_host(const mansio_host *host, void **self) {
  *self = const_cast<mansio_host *>(host);
  return MANSIO_OK;
}
const void *any_table(void *self, const char *) { return self; }
constexpr const char *kNoKinds[] = {nullptr};
constexpr mansio_option kNoOptions[] = {{}};
constexpr mansio_plugin kIdle{sizeof(mansio_plugin),
                              0,
                              MANSIO_DRAFT_BUILD,
                              0,
                              MANSIO_LOOP,
                              0,
                              "idle",
                              "1",
                              kNoKinds,
                              kNoOptions,
                              take_host,
                              [](void *) {},
                              any_table,
                              nullptr};

class HostNumbersTest : public HostTest {
 protected:
  // One instance in one process.
  struct Counting {
    std::unique_ptr<Instance> instance;
    const mansio_host *host = nullptr;
    const mansio_host_numbers *numbers = nullptr;
  };
  Counting start(const char *label, const std::string &name, process::SharedMemory *memory, std::uint32_t slot = 0) {
    Counting c;
    const Surroundings around{loop_, clock_, log_, dns_, nullptr, nullptr, nullptr, nullptr, memory, slot};
    c.instance = std::make_unique<Instance>(around, kIdle, InstanceOptions{name, {}, {}}, label, Instance::Events{});
    EXPECT_TRUE(c.instance->begin("none").ok());
    c.host = static_cast<const mansio_host *>(c.instance->self());
    c.numbers = static_cast<const mansio_host_numbers *>(c.host->get(c.host, "mansio.host.numbers/1~draft"));
    EXPECT_TRUE(c.numbers);
    return c;
  }
  static mansio_str text(std::string_view s) { return {s.data(), s.size()}; }
  static std::int64_t add(const Counting &c, std::int64_t n) {
    std::int64_t value = 0;
    EXPECT_EQ(c.numbers->add(c.host, text("n"), n, &value), MANSIO_OK);
    return value;
  }
  static double add_to_window(const Counting &c, std::uint64_t n) {
    double count = 0;
    EXPECT_EQ(c.numbers->window_add(c.host, text("w"), 3600 * kSecond, text("k"), n, &count), MANSIO_OK);
    return count;
  }
};

TEST_F(HostNumbersTest, AreThoseOfTheInstanceInWhateverProcess) {
  auto memory = process::SharedMemory::create();
  ASSERT_TRUE(memory.ok());
  const auto here = start("policy", "grey", memory->get()), there = start("policy", "grey", memory->get(), 1);
  const auto other = start("filter", "grey", memory->get());
  EXPECT_EQ(add(here, 2), 2);
  EXPECT_EQ(add(there, 3), 5);
  EXPECT_EQ(here.numbers->read(here.host, text("n")), 5);
  EXPECT_EQ(other.numbers->read(other.host, text("n")), 0);
  EXPECT_GE(add_to_window(here, 2), 2);
  EXPECT_GT(add_to_window(there, 1), 2);
  EXPECT_GT(here.numbers->window_count(here.host, text("w"), 3600 * kSecond, text("k")), 2);
  std::int64_t wait = -1;
  EXPECT_EQ(here.numbers->take(here.host, text("r"), 3600 * kSecond, 2, text("k"), 2, &wait), MANSIO_OK);
  EXPECT_EQ(wait, 0);
  EXPECT_EQ(there.numbers->take(there.host, text("r"), 3600 * kSecond, 2, text("k"), 1, &wait), MANSIO_DEFER);
  EXPECT_GT(wait, 3000 * kSecond);
  EXPECT_EQ(there.numbers->available(there.host, text("r"), 3600 * kSecond, 2, text("k")), 0);
}

TEST_F(HostNumbersTest, AreThereAfterTheInstanceHasGone) {
  auto memory = process::SharedMemory::create();
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(add(start("policy", "grey", memory->get()), 2), 2);
  memory->get()->release_slot(0);
  EXPECT_EQ(add(start("policy", "grey", memory->get()), 2), 4);
}

TEST_F(HostNumbersTest, OfOneThatIsTriedByItselfAreItsOwn) {
  const auto one = start("policy", "grey", nullptr), two = start("policy", "grey", nullptr);
  EXPECT_EQ(add(one, 2), 2);
  EXPECT_EQ(add(one, 2), 4);
  EXPECT_EQ(add(two, 2), 2);
}

TEST_F(HostNumbersTest, RefuseWhatTheyCannotKeep) {
  const auto c = start("policy", "grey", nullptr);
  const std::string longest(128, 'n'), longer(129, 'n');
  std::int64_t value = 0;
  double count = 0;
  EXPECT_EQ(c.numbers->add(c.host, text(longest), 1, &value), MANSIO_OK);
  for (const auto &name : {std::string{}, longer}) {
    EXPECT_EQ(c.numbers->add(c.host, text(name), 1, &value), MANSIO_FAIL);
    EXPECT_EQ(c.numbers->read(c.host, text(name)), 0);
    EXPECT_EQ(c.numbers->window_add(c.host, text(name), kSecond, text("k"), 1, &count), MANSIO_FAIL);
    EXPECT_EQ(c.numbers->take(c.host, text(name), 1, 1, text("k"), 1, &value), MANSIO_FAIL);
  }
  for (const auto length : {std::int64_t{-1}, std::int64_t{0}, process::kLongestNumber + 1})
    EXPECT_EQ(c.numbers->window_add(c.host, text("w"), length, text("k"), 1, &count), MANSIO_FAIL);
  const auto take = [&](std::int64_t interval, std::int64_t burst, std::int64_t n) {
    return c.numbers->take(c.host, text("r"), interval, burst, text("k"), n, &value);
  };
  EXPECT_EQ(take(0, 1, 1), MANSIO_FAIL);
  EXPECT_EQ(take(1, 0, 0), MANSIO_FAIL);
  EXPECT_EQ(take(process::kLongestNumber, 2, 1), MANSIO_FAIL);
  EXPECT_EQ(take(kSecond, 2, 3), MANSIO_FAIL);
  EXPECT_EQ(take(kSecond, 2, -1), MANSIO_FAIL);
  EXPECT_EQ(take(process::kLongestNumber, 1, 1), MANSIO_OK);
  EXPECT_EQ(c.numbers->available(c.host, text("r"), 0, 1, text("k")), 0);
}

}  // namespace
}  // namespace mansio::host
