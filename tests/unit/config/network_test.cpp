// Networks of `mynetworks` and its like. Who may relay depends on them, so what is no network must not pass for one.
#include "kernel/config/network.hpp"

#include <gtest/gtest.h>

namespace mansio::config {
namespace {

TEST(Network, AcceptsWhatIsAnAddressAndNothingElse) {
  for (const auto *good : {"127.0.0.1", "0.0.0.0", "::1", "[::1]", "2001:db8::ff", "::ffff:192.0.2.1"}) {
    EXPECT_TRUE(parse_ip(good)) << good;
  }
  for (const auto *bad : {"", "127.1", "127.0.0.256", "[127.0.0.1]", "fe80::1%eth0", "[::1", "::1]", "1:2:3:4:5:6:7",
                          "localhost", "[]"}) {
    EXPECT_FALSE(parse_ip(bad)) << bad;
  }
  EXPECT_FALSE(parse_ip(std::string_view{"127.0.0.1\0x", 11}));
}

TEST(Network, MappedAddressesAreTheIpv4AddressesTheyMap) {
  EXPECT_EQ(parse_ip("::ffff:192.0.2.1"), parse_ip("192.0.2.1"));
}

TEST(Network, RefusesHostBitsAndImpossiblePrefixes) {
  for (const auto *good :
       {"192.0.2.0/24", "192.0.2.1", "10.0.0.0/8", "[2001:db8::]/32", "2001:db8::/32", "::/0", "0.0.0.0/0"}) {
    EXPECT_TRUE(parse_network(good)) << good;
  }
  for (const auto *bad : {"192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/+8", "192.0.2.0/024",
                          "::1/64", "::/129", "10/8"}) {
    EXPECT_FALSE(parse_network(bad)) << bad;
  }
}

TEST(Network, ContainsByPrefix) {
  const auto in = [](const char *network, const char *ip) { return parse_network(network)->contains(*parse_ip(ip)); };
  EXPECT_TRUE(in("192.0.2.0/25", "192.0.2.127"));
  EXPECT_FALSE(in("192.0.2.0/25", "192.0.2.128"));
  EXPECT_TRUE(in("192.0.2.0/25", "::ffff:192.0.2.1"));
  EXPECT_TRUE(in("[2001:db8::]/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(in("[2001:db8::]/33", "2001:db8:8000::1"));
  EXPECT_TRUE(in("0.0.0.0/0", "8.8.8.8"));
  EXPECT_FALSE(in("0.0.0.0/0", "2001:db8::1"));
}

TEST(Network, AnIpv6NetworkSaysNothingAboutIpv4Clients) {
  EXPECT_FALSE(parse_network("::/0")->contains(*parse_ip("192.0.2.1")));
  EXPECT_TRUE(parse_network("::/0")->contains(*parse_ip("2001:db8::1")));
}

TEST(Network, PrintsWhatItReads) {
  for (const auto *text : {"192.0.2.0/24", "[2001:db8::]/32", "[::1]/128", "0.0.0.0/0", "[::]/0", "127.0.0.0/8"}) {
    EXPECT_EQ(to_string(*parse_network(text)), text);
  }
}

TEST(Network, IsCutOutOfAnAddress) {
  const auto around = [](const char *address, unsigned bits) {
    return to_string(network_around(*parse_ip(address), bits));
  };
  EXPECT_EQ(around("192.0.2.77", 96 + 32), "192.0.2.77/32");
  EXPECT_EQ(around("192.0.2.77", 96 + 20), "192.0.0.0/20");
  EXPECT_EQ(around("192.0.2.77", 96), "0.0.0.0/0");
  EXPECT_EQ(around("2001:db8:1:2:3:4567:8:9", 84), "[2001:db8:1:2:3:4000::]/84");
  EXPECT_EQ(around("2001:db8::1", 0), "[::]/0");
  EXPECT_TRUE(is_ipv4(*parse_ip("192.0.2.77")));
  EXPECT_FALSE(is_ipv4(*parse_ip("2001:db8::1")));
}

TEST(Network, WhatIsNoAddressIsInNoNetwork) {
  const std::vector<Network> all{*parse_network("0.0.0.0/0"), *parse_network("::/0")};
  EXPECT_FALSE(contains(all, "unknown"));
  EXPECT_TRUE(contains(all, "10.1.2.3"));
}

}  // namespace
}  // namespace mansio::config
