// The parts of Postfix's tools that need no running instance: who is called, which instance is meant, how postcat
// prints.
#include <gtest/gtest.h>

#include <cstdlib>

#include "kernel/cli/postfix/message_printer.hpp"
#include "kernel/cli/postfix/personality.hpp"

namespace mansio::cli::postfix {
namespace {

TEST(Personality, IsTheLastPartOfTheName) {
  EXPECT_EQ(personality("postqueue"), postqueue_main);
  EXPECT_EQ(personality("/usr/local/sbin/postsuper"), postsuper_main);
  EXPECT_EQ(personality("./mailq"), mailq_main);
  EXPECT_EQ(personality("mansio"), nullptr);
  EXPECT_EQ(personality("/opt/postqueue/mansio"), nullptr);
  EXPECT_EQ(personality(""), nullptr);
}

TEST(Personality, CNamesADirectoryOrAFile) {
  EXPECT_EQ(instance_of("").config, "/etc/mansio/mansio.toml");
  EXPECT_EQ(instance_of("/tmp").config, "/tmp/mansio.toml");
  EXPECT_EQ(instance_of("/nonexistent/dir").config, "/nonexistent/dir/mansio.toml");
  EXPECT_EQ(instance_of("/proc/self/exe").config, "/proc/self/exe");
}

Envelope some_envelope() {
  Envelope e;
  e.sender = "a@example.com";
  e.recipients.resize(3);
  e.recipients[0].address = e.recipients[1].address = "b@example.net";
  e.recipients[2].address = "c@example.net";
  e.recipients[2].original = "alias@example.net";
  e.body.size = 12;
  e.helo = "client";
  return e;
}

class Printed : public ::testing::Test {
 protected:
  std::string print(PrintForm form, std::initializer_list<std::string_view> content,
                    const std::multiset<std::string> *waits = nullptr) {
    std::string out;
    MessagePrinter p{form, "deferred/X", [&](std::string_view text) { out += text; }};
    p.envelope(some_envelope(), 4096, waits);
    p.begin_content(8192);
    for (const auto piece : content) p.content(piece);
    p.end();
    return out;
  }
};

TEST_F(Printed, AllOfAMessage) {
  const auto all = print({.envelope = true, .header = true, .body = true}, {"Subject: x\r\n\r\nhi\r\n"});
  EXPECT_TRUE(all.starts_with("*** ENVELOPE RECORDS deferred/X ***\n"
                              "message_size:              12               0               3               0 "))
      << all;
  EXPECT_NE(all.find("named_attribute: log_helo_name=client\n"), std::string::npos) << all;
  EXPECT_NE(all.find("sender: a@example.com\n"
                     "recipient: b@example.net\n"
                     "recipient: b@example.net\n"
                     "original_recipient: alias@example.net\n"
                     "recipient: c@example.net\n"
                     "*** MESSAGE CONTENTS deferred/X ***\n"
                     "Subject: x\n\nhi\n"
                     "*** HEADER EXTRACTED deferred/X ***\n"
                     "*** MESSAGE FILE END deferred/X ***\n"),
            std::string::npos)
      << all;
}

TEST_F(Printed, RecipientsThatAreDoneAreMarked) {
  const std::multiset<std::string> waits{"b@example.net"};
  const auto all = print({.envelope = true}, {}, &waits);
  EXPECT_NE(all.find("\nrecipient: b@example.net\ndone_recipient: b@example.net\n"), std::string::npos) << all;
  EXPECT_NE(all.find("\ndone_recipient: c@example.net\n"), std::string::npos) << all;
}

TEST_F(Printed, HeaderAndBodyMeetAtTheFirstLineThatIsNoHeader) {
  const std::string_view message = "From mbox\r\nA: 1\r\n\tmore\r\nB : 2\r\n\r\nC: body\r\n";
  EXPECT_EQ(print({.header = true}, {message}), "From mbox\nA: 1\n\tmore\nB : 2\n");
  EXPECT_EQ(print({.body = true}, {message}), "\nC: body\n");
  EXPECT_EQ(print({.header = true}, {"no header\r\nA: 1\r\n"}), "");
  EXPECT_EQ(print({.body = true}, {"no header\r\nA: 1\r\n"}), "no header\nA: 1\n");
  EXPECT_EQ(print({.body = true}, {"A b: 1\r\n"}), "A b: 1\n");
  EXPECT_EQ(print({.body = true}, {": 1\r\n"}), ": 1\n");
}

TEST_F(Printed, ContentMayComeInAnyPieces) {
  EXPECT_EQ(print({.header = true, .body = true}, {"A: ", "1\r", "\n", "\r\n", "x", "", "y\r\nlast"}),
            "A: 1\n\nxy\nlast\n");
}

// As Postfix 3.10 does, which leaves out the line before the first record.
TEST_F(Printed, WithTheNameInFrontOfEachRecord) {
  EXPECT_EQ(print({.header = true, .body = true, .names = true}, {"A: 1\r\n\r\nx\r\n"}),
            "deferred/X: A: 1\ndeferred/X: \ndeferred/X: x\n");
  const auto all = print({.envelope = true, .names = true, .types = true, .offsets = true}, {"A: 1\r\n"});
  EXPECT_TRUE(all.starts_with("*** ENVELOPE RECORDS deferred/X ***\ndeferred/X:      4096  67 message_size: ")) << all;
  EXPECT_NE(all.find("\ndeferred/X:      4096  83 sender: a@example.com\n"), std::string::npos) << all;
  EXPECT_TRUE(all.ends_with("  69 *** MESSAGE FILE END deferred/X ***\n")) << all;
}

TEST_F(Printed, WithTypesAndPlaces) {
  const auto all = print({.envelope = true, .header = true, .types = true, .offsets = true}, {"A: 1\r\nB: 2\r\n"});
  EXPECT_NE(all.find("\n     4096  83 sender: a@example.com\n"), std::string::npos) << all;
  EXPECT_NE(all.find("\n     8192  78 A: 1\n     8198  78 B: 2\n"), std::string::npos) << all;
}

}  // namespace
}  // namespace mansio::cli::postfix
