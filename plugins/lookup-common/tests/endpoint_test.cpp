#include "plugins/lookup-common/endpoint.hpp"

#include <gtest/gtest.h>

#include "mansio/config.hpp"

namespace mansio::lookup {
namespace {

TEST(Endpoint, KnowsTheWaysToNameAServer) {
  EXPECT_EQ(parse_endpoint("hosts", "unix:/run/a.sock", 1).path, "/run/a.sock");
  EXPECT_EQ(parse_endpoint("hosts", "/run/a.sock", 1).path, "/run/a.sock");
  EXPECT_EQ(parse_endpoint("hosts", "db.example.com", 3306).name(), "db.example.com:3306");
  EXPECT_EQ(parse_endpoint("hosts", "inet:db.example.com:33", 3306).name(), "db.example.com:33");
  EXPECT_EQ(parse_endpoint("hosts", "[2001:db8::1]:33", 3306).name(), "[2001:db8::1]:33");
  EXPECT_EQ(parse_endpoint("hosts", "[2001:db8::1]", 3306).name(), "[2001:db8::1]:3306");
}

TEST(Endpoint, RefusesWhatNamesNone) {
  for (const auto *text : {"", "unix:a.sock", "host:", "host:0", "host:65536", "host:x", ":1", "[::1", "[::1]1", "a b"})
    EXPECT_THROW(parse_endpoint("hosts", text, 1), plugin::BadConfig) << text;
  EXPECT_THROW(parse_endpoint("hosts", "host", 0), plugin::BadConfig);
  EXPECT_THROW(parse_endpoint("hosts", "unix:/" + std::string(107, 'a'), 1), plugin::BadConfig);
  EXPECT_THROW(parse_endpoints("hosts", {}, 1), plugin::BadConfig);
}

}  // namespace
}  // namespace mansio::lookup
