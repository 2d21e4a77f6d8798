#include "kernel/io/memfd.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace mansio::io {
namespace {

std::string all_of(int fd) {
  struct stat st {};
  ::fstat(fd, &st);
  std::string bytes(static_cast<std::size_t>(st.st_size), '\0');
  EXPECT_EQ(::pread(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

Memfd filled(MemfdStock &stock, std::string_view bytes) {
  auto memfd = stock.take();
  EXPECT_TRUE(memfd.ok() && memfd->write(bytes).ok());
  return std::move(*memfd);
}

TEST(Memfd, SealedCannotBeChangedByAnybody) {
  auto memfd = Memfd::create("test");
  ASSERT_TRUE(memfd.ok() && memfd->write("one").ok() && memfd->write(" two").ok());
  const auto other = memfd->sealed();
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(all_of(other->get()), "one two");
  EXPECT_LT(::pwrite(other->get(), "x", 1, 0), 0);
  EXPECT_LT(::ftruncate(memfd->get(), 1), 0);
  EXPECT_FALSE(memfd->write("x").ok());
  EXPECT_TRUE(memfd->sealed().ok()) << "as often as somebody needs one";
}

TEST(MemfdStock, OneThatOnlyThisProcessHasSeenIsUsedAgain) {
  const auto stock = std::make_shared<MemfdStock>();
  const auto first = filled(*stock, "a message").get();  // gone at the end of the line
  const auto second = filled(*stock, "mail");
  EXPECT_EQ(second.get(), first);
  EXPECT_EQ(second.size(), 4U);
  EXPECT_EQ(all_of(second.get()).substr(0, second.size()), "mail");
  EXPECT_NE(filled(*stock, "x").get(), second.get()) << "it is in use";
}

TEST(MemfdStock, WhatOthersGetHoldsNothingOfTheMessageBefore) {
  const auto stock = std::make_shared<MemfdStock>();
  filled(*stock, "a longer one with a secret");
  const auto memfd = filled(*stock, "mail");
  const auto other = memfd.sealed();
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(all_of(other->get()), "mail");
}

TEST(MemfdStock, OneThatOthersHaveIsNotUsedAgain) {
  const auto stock = std::make_shared<MemfdStock>();
  UniqueFd other;
  {
    const auto memfd = filled(*stock, "mail");
    auto sealed = memfd.sealed();
    ASSERT_TRUE(sealed.ok());
    other = std::move(*sealed);
  }
  filled(*stock, "next");
  EXPECT_EQ(all_of(other.get()), "mail");
}

TEST(MemfdStock, OneReplacedByAnotherGoesBackToo) {
  const auto stock = std::make_shared<MemfdStock>();
  auto memfd = filled(*stock, "one");
  const auto first = memfd.get();
  memfd = filled(*stock, "two");
  EXPECT_NE(memfd.get(), first);
  EXPECT_EQ(filled(*stock, "three").get(), first);
}

TEST(MemfdStock, KeepsNoMemoryOfALargeMessage) {
  const auto stock = std::make_shared<MemfdStock>();
  filled(*stock, std::string(1'000'000, 'x'));
  const auto next = filled(*stock, "mail");
  EXPECT_EQ(all_of(next.get()), "mail") << "a new one, with nothing behind its bytes";
}

}  // namespace
}  // namespace mansio::io
