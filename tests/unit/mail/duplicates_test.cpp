// Recipients that are named twice.
#include "kernel/mail/duplicates.hpp"

#include <gtest/gtest.h>

namespace mansio {
namespace {

Recipient to(std::string address, std::uint8_t notify = 0, std::string orcpt = {}) {
  Recipient r;
  r.address = std::move(address);
  r.notify = notify;
  r.orcpt = std::move(orcpt);
  return r;
}

std::string addresses(const std::vector<Recipient> &recipients) {
  std::string out;
  for (const auto &r : recipients) out += r.address + ' ';
  return out;
}

TEST(Duplicates, TheFirstStaysInItsPlace) {
  std::vector<Recipient> few{to("b@x"), to("a@x"), to("b@x"), to("c@x"), to("a@x")};
  merge_duplicates(few);
  EXPECT_EQ(addresses(few), "b@x a@x c@x ");
}

TEST(Duplicates, ManyAreComparedToo) {
  std::vector<Recipient> many;
  std::string expected;
  for (int i = 0; i < 100; ++i) many.push_back(to(std::to_string(i % 40) + "@x"));
  for (int i = 0; i < 40; ++i) expected += std::to_string(i) + "@x ";
  merge_duplicates(many);
  EXPECT_EQ(addresses(many), expected);
}

TEST(Duplicates, CaseOfTheLocalPartTellsMailboxesApart) {
  std::vector<Recipient> two{to("A@x"), to("a@x")};
  merge_duplicates(two);
  EXPECT_EQ(two.size(), 2u);
}

TEST(Duplicates, NotificationsThatAnyAskedForAreMade) {
  std::vector<Recipient> r{to("a@x", kNotifyNever), to("a@x", kNotifySuccess, "rfc822;z@x"), to("a@x")};
  merge_duplicates(r);
  ASSERT_EQ(r.size(), 1u);
  EXPECT_EQ(r[0].notify, kNotifySuccess | kNotifyFailure | kNotifyDelay);
  EXPECT_EQ(r[0].orcpt, "rfc822;z@x");
}

TEST(Duplicates, ACopyTakesNobodysNotificationsAway) {
  std::vector<Recipient> r{to("a@x"), to("a@x", kNotifyNever)};
  merge_duplicates(r);
  EXPECT_EQ(r[0].notify, 0);
}

}  // namespace
}  // namespace mansio
