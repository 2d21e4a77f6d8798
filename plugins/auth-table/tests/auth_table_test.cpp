#include <crypt.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "mansio/testing/fake_host.hpp"
#include "plugins/auth-table/password.hpp"
#include "plugins/common/credentials.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using mansio::auth_table::check_password;
using mansio::auth_table::Match;
using mansio::sasl::is_name;
using mansio::testing::FakeAuthStep;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string hashed(const std::string &password, const std::string &salt = "$6$rounds=1000$saltsalt$") {
  const auto data = std::make_unique<crypt_data>();
  const char *const made = ::crypt_r(password.c_str(), salt.c_str(), data.get());
  return made ? made : "";
}

class AuthTable : public ::testing::Test {
 protected:
  AuthTable() : host_(mansio_plugin_entry_1(), {{"table", "passwords"}}) {
    host_.tables[{"passwords", "alice"}] = {MANSIO_OK, {hashed("secret")}, ""};
  }
  static FakeAuthStep plain(const std::string &user, const std::string &password, const std::string &identity = "") {
    FakeAuthStep step;
    step.response = identity + std::string(1, '\0') + user + std::string(1, '\0') + password;
    return step;
  }
  static FakeAuthStep login(std::uint64_t exchange, std::uint32_t number, std::optional<std::string> response) {
    FakeAuthStep step;
    step.mechanism = "LOGIN";
    step.exchange = exchange;
    step.step = number;
    step.response = std::move(response);
    return step;
  }
  FakeHost host_;
};

TEST(Password, IsComparedWithItsHash) {
  const auto hash = hashed("secret");
  EXPECT_EQ(check_password(hash, "secret"), Match::Yes);
  EXPECT_EQ(check_password("{SHA512-CRYPT}" + hash, "secret"), Match::Yes);
  EXPECT_EQ(check_password("{CRYPT}" + hashed("secret", "$5$rounds=1000$salt$"), "secret"), Match::Yes);
  EXPECT_EQ(check_password(hash, "Secret"), Match::No);
  EXPECT_EQ(check_password(hash, ""), Match::No);
  EXPECT_EQ(check_password(hash, std::string("secret\0", 7)), Match::No);
  EXPECT_EQ(check_password(hash, std::string(1000, 'x')), Match::No);
}

TEST(Password, WhatIsNoHashLetsNobodyIn) {
  for (const auto *stored : {"", "secret", "{PLAIN}secret", "$", "$unknown$x"}) {
    EXPECT_EQ(check_password(stored, "secret"), Match::Unusable) << stored;
    EXPECT_NE(check_password(stored, stored), Match::Yes) << stored;
  }
  EXPECT_EQ(check_password("$6$saltsalt$", "secret"), Match::No);  // with nothing behind the salt
}

TEST(Password, OfALockedUserLetsNobodyIn) {
  for (const auto &stored : {std::string{"!"}, std::string{"*"}, std::string{"*0"}, "!" + hashed("secret"),
                             "{CRYPT}!" + hashed("secret")}) {
    EXPECT_EQ(check_password(stored, "secret"), Match::Locked) << stored;
    EXPECT_EQ(check_password(stored, stored), Match::Locked) << stored;
  }
}

TEST(Name, IsTextWithoutControlCharacters) {
  for (const auto *good : {"alice", "alice@example.com", "a b", "ü", "€", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_name(good)) << good;
  EXPECT_TRUE(is_name(std::string(255, 'a')));
  EXPECT_FALSE(is_name(std::string(256, 'a')));
  EXPECT_FALSE(is_name(std::string("a\0b", 3)));
  for (const auto *bad : {"", "a\nb", "a\tb", "\x7f", "\x80", "\xc0\xaf", "\xc3", "\xc3(", "\xe0\x80\xaf",
                          "\xed\xa0\x80", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xff"})
    EXPECT_FALSE(is_name(bad)) << bad;
}

TEST_F(AuthTable, KnowsTheUsersOfItsTableByPlain) {
  EXPECT_EQ(host_.mechanisms(false), "PLAIN LOGIN");
  const auto let_in = host_.authenticate(plain("alice", "secret"));
  EXPECT_EQ(let_in.status, MANSIO_OK);
  EXPECT_THAT(let_in.values, ElementsAre("alice"));
  EXPECT_EQ(host_.authenticate(plain("alice", "secret", "alice")).status, MANSIO_OK);
  EXPECT_EQ(host_.authenticate(plain("alice", "wrong")).status, MANSIO_FAIL);
  EXPECT_EQ(host_.authenticate(plain("bob", "secret")).status, MANSIO_FAIL);
  EXPECT_EQ(host_.authenticate(plain("alice", "secret", "bob")).status, MANSIO_FAIL);
  EXPECT_EQ(host_.authenticate(FakeAuthStep{}).status, MANSIO_SKIP);
  EXPECT_THAT(host_.faults, IsEmpty());
}

TEST_F(AuthTable, AsksForNameAndPasswordByLogin) {
  EXPECT_THAT(host_.authenticate(login(1, 0, std::nullopt)).values, ElementsAre("Username:"));
  EXPECT_THAT(host_.authenticate(login(1, 1, "alice")).values, ElementsAre("Password:"));
  EXPECT_EQ(host_.authenticate(login(1, 2, "secret")).status, MANSIO_OK);
  // With the name at once; and an exchange that is given up leaves nothing to the next.
  EXPECT_THAT(host_.authenticate(login(2, 0, "alice")).values, ElementsAre("Password:"));
  host_.forget_exchange(2);
  EXPECT_THAT(host_.authenticate(login(2, 0, "alice")).values, ElementsAre("Password:"));
  EXPECT_EQ(host_.authenticate(login(2, 1, "wrong")).status, MANSIO_FAIL);
}

TEST_F(AuthTable, AsksNoTableForWhatIsNoName) {
  host_.tables[{"passwords", "\xff"}] = host_.tables[{"passwords", "a\nb"}] = {MANSIO_OK, {hashed("secret")}, ""};
  for (const auto *name : {"\xff", "a\nb"}) EXPECT_EQ(host_.authenticate(plain(name, "secret")).status, MANSIO_FAIL);
}

TEST_F(AuthTable, CannotSayWhatItsTableCannot) {
  host_.tables[{"passwords", "carol"}] = {MANSIO_DEFER, {}, "the server is down"};
  const auto later = host_.authenticate(plain("carol", "secret"));
  EXPECT_EQ(later.status, MANSIO_DEFER);
  EXPECT_THAT(later.text, HasSubstr("the server is down"));
  host_.tables[{"passwords", "dave"}] = {MANSIO_OK, {"{PLAIN}secret"}, ""};
  EXPECT_EQ(host_.authenticate(plain("dave", "secret")).status, MANSIO_DEFER);
  host_.tables[{"passwords", "locked"}] = {MANSIO_OK, {"!" + hashed("secret")}, ""};
  EXPECT_EQ(host_.authenticate(plain("locked", "secret")).status, MANSIO_FAIL);
  host_.tables[{"passwords", "erin"}] = {MANSIO_OK, {hashed("old"), hashed("new")}, ""};
  EXPECT_EQ(host_.authenticate(plain("erin", "new")).status, MANSIO_OK);
}

TEST_F(AuthTable, WhoWaitsForAThreadTooLongIsToComeAgain) {
  FakeHost host{mansio_plugin_entry_1(), {{"table", "passwords"}, {"workers", "1"}}};
  host.tables[{"passwords", "alice"}] = {MANSIO_OK, {hashed("secret", "$6$rounds=100000$saltsalt$")}, ""};
  const auto first = host.begin_step(plain("alice", "secret")), second = host.begin_step(plain("alice", "secret"));
  host.run_until([turns = 0]() mutable { return turns++ > 0; });  // the table has answered
  host.cancel(second);
  EXPECT_EQ(host.finish(second).status, MANSIO_DEFER);
  EXPECT_EQ(host.finish(first).status, MANSIO_OK);
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST_F(AuthTable, RefusesOptionsThatItCannotUse) {
  const auto problems = [](const FakeHost::Options &options) {
    return FakeHost::check(mansio_plugin_entry_1(), options);
  };
  EXPECT_EQ(problems({{"table", "t"}}), "");
  EXPECT_THAT(problems({{"table", ""}}), HasSubstr("table is \"\", expected the name of a [lookup.NAME]"));
  EXPECT_THAT(problems({{"table", "t"}, {"workers", "0"}}),
              HasSubstr("workers is 0, expected an integer from 1 to 64"));
}

TEST_F(AuthTable, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
