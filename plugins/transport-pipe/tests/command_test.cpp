#include "plugins/transport-pipe/command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mansio/config.hpp"

namespace {

using namespace mansio::pipe;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Values message() {
  Values v;
  at(v, Macro::Sender) = "a@example.org";
  at(v, Macro::QueueId) = "ABC";
  at(v, Macro::Size) = "1234";
  at(v, Macro::Nexthop) = "uucp host";
  return v;
}
Values recipient(const std::string &user) {
  auto v = message();
  at(v, Macro::Recipient) = user + "@example.com";
  at(v, Macro::User) = user;
  return v;
}
std::vector<std::string> expand(std::string_view argv) {
  const std::vector recipients{recipient("bob"), recipient("amy")};
  return Command{argv}.expand(message(), recipients);
}
std::string refusal(std::string_view argv) {
  try {
    Command{argv};
  } catch (const mansio::plugin::BadConfig &bad) {
    return bad.option + ' ' + bad.text;
  }
  return "";
}

TEST(Command, ArgumentsWithRecipientMacrosAreRepeated) {
  EXPECT_THAT(expand("/bin/x -f ${sender} -- ${recipient}"),
              ElementsAre("/bin/x", "-f", "a@example.org", "--", "bob@example.com", "amy@example.com"));
  EXPECT_THAT(expand("/bin/x user=${user}/${recipient} $size"),
              ElementsAre("/bin/x", "user=bob/bob@example.com", "user=amy/amy@example.com", "1234"));
}

TEST(Command, MacrosHaveThreeFormsAndADollarIsWrittenTwice) {
  EXPECT_THAT(expand("/bin/x $queue_id $(queue_id) ${queue_id}x a$$b"),
              ElementsAre("/bin/x", "ABC", "ABC", "ABCx", "a$b"));
}

TEST(Command, BracesMakeOneArgumentAndNothingElseIsSpecial) {
  EXPECT_THAT(expand("/bin/x  { two words }\t{}  'a b' * ; {a {b} ${nexthop}}"),
              ElementsAre("/bin/x", "two words", "", "'a", "b'", "*", ";", "a {b} uucp host"));
}

TEST(Command, IsRefusedWithWhatWasExpected) {
  EXPECT_THAT(refusal(""), HasSubstr("argv is empty, expected a program"));
  EXPECT_THAT(refusal("maildrop -d x"), HasSubstr("argv begins with \"maildrop\", expected the absolute path"));
  EXPECT_THAT(refusal("/bin/$user"), HasSubstr("expected the absolute path"));
  EXPECT_THAT(refusal("/bin/x ${sasl_user}"), HasSubstr("expected one of client_address, client_helo,"));
  EXPECT_THAT(refusal("/bin/x ${user"), HasSubstr("has a macro without its '}'"));
  EXPECT_THAT(refusal("/bin/x 5$"), HasSubstr("has a '$' before no name"));
  EXPECT_THAT(refusal("/bin/x { a"), HasSubstr("has a '{' without its '}'"));
  EXPECT_THAT(refusal("/bin/x {a}b"), HasSubstr("goes on right after a '}'"));
}

TEST(Command, RefusesWhatWouldBecomeAnOption) {
  const Command command{"/bin/x -f${sender} ${user} <${recipient}>"};
  EXPECT_EQ(command.refuses_recipient(recipient("bob")), "");
  EXPECT_THAT(command.refuses_recipient(recipient("-oX")), HasSubstr("look like an option"));
  auto values = message();
  at(values, Macro::Sender) = "-x@example.org";
  EXPECT_EQ(command.refuses_message(values), "");
  EXPECT_THAT(Command{"/bin/x ${sender}"}.refuses_message(values), HasSubstr("look like an option"));
}

TEST(Command, RefusesWhatNoArgumentCanHold) {
  EXPECT_THAT(Command{"/bin/x a${user}"}.refuses_recipient(recipient(std::string{"b\0b", 3})), HasSubstr("NUL"));
}

}  // namespace
