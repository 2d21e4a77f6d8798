// Deliveries to real programs through the plugin's entry.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "mansio/testing/fake_host.hpp"
#include "plugins/testing/readme.hpp"

namespace {

namespace fs = std::filesystem;
using mansio::testing::FakeHost;
using mansio::testing::FakeMail;
using mansio::testing::FakeReply;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Commands are shell scripts in a directory of the test's; a test as root has them run as nobody.
class TransportPipeTest : public ::testing::Test {
 protected:
  TransportPipeTest() {
    std::string pattern = ::testing::TempDir() + "pipe.XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    fs::permissions(root_, fs::perms::all);
  }
  ~TransportPipeTest() override {
    host_.reset();
    fs::remove_all(root_);
  }

  std::string script(const std::string &name, const std::string &body) const {
    auto path = root_ + "/" + name;
    std::ofstream{path} << "#!/bin/sh\n" << body << "\n";
    fs::permissions(path, fs::perms(0755));
    return path;
  }
  FakeHost &host(const std::string &argv, FakeHost::Options options = {}) {
    options["argv"] = argv;
    options.try_emplace("directory", root_);
    if (::geteuid() == 0) options.try_emplace("user", "nobody");
    host_.emplace(mansio_plugin_entry_1(), options);
    return *host_;
  }
  static FakeMail mail(const std::vector<std::string> &recipients = {"bob@example.com"}) {
    FakeMail m{.sender = "a@example.org", .content = "Subject: x\r\n\r\nhello\r\n"};
    for (const auto &address : recipients) m.recipients.push_back({address, "", "", 0});
    return m;
  }
  FakeReply send(const std::string &argv, const FakeHost::Options &options = {}) {
    return host(argv, options).run(mail()).recipients.at(0);
  }
  std::string file(const std::string &name) const {
    std::ostringstream out;
    out << std::ifstream{root_ + "/" + name}.rdbuf();
    return out.str();
  }
  // Waits for a file that a command writes in one go.
  std::string file_soon(const std::string &name) {
    EXPECT_TRUE(host_->run_until([&] { return fs::exists(root_ + "/" + name); })) << name;
    return file(name);
  }

  // Or a zombie, which an orphan stays where nobody reaps.
  static bool gone(pid_t pid) {
    std::ifstream in{"/proc/" + std::to_string(pid) + "/stat"};
    std::string number, name, state;
    return !(in >> number >> name >> state) || state == "Z";
  }

  std::string root_;
  std::optional<FakeHost> host_;
};

TEST_F(TransportPipeTest, TheCommandReadsTheMessageAndItsStatusCounts) {
  const auto reply = send(script("keep", "cat > got; echo stored; echo really >&2"));
  EXPECT_EQ(reply.status, MANSIO_OK) << reply.text;
  EXPECT_EQ(reply.text, "delivered by command: stored\nreally\n");
  EXPECT_EQ(reply.relay, "test");
  EXPECT_EQ(file("got"), "Subject: x\n\nhello\n");

  const auto refused = send(script("refuse", "cat > /dev/null; echo who?; exit 67"));
  EXPECT_EQ(refused.status, MANSIO_FAIL);
  EXPECT_EQ(refused.enhanced, "5.1.1");
  EXPECT_THAT(refused.text, HasSubstr("who?"));
  EXPECT_EQ(send(script("later", "exit 75")).status, MANSIO_DEFER);
}

TEST_F(TransportPipeTest, ArgumentsNeverMeetAShell) {
  auto m = mail({"$(touch pwned);`id`@example.com", "\"x y\"@example.com"});
  m.sender = "*";
  host(script("show", "printf '%s|' \"$@\" > args") + " ${sender} ${recipient} ${size}").run(m);
  EXPECT_EQ(file("args"), "*|$(touch pwned);`id`@example.com|x y@example.com|21|");
  EXPECT_FALSE(fs::exists(root_ + "/pwned"));
}

TEST_F(TransportPipeTest, FlagsPutHeadersBeforeTheMessage) {
  auto m = mail();
  m.recipients.at(0).original = "Bob@Example.com";
  host(script("keep", "cat > got"), {{"flags", "DFORB"}}).run(m);
  const auto got = file("got");
  EXPECT_THAT(got, StartsWith("From a@example.org  "));
  EXPECT_EQ(got.substr(got.find('\n') + 1),
            "Return-Path: <a@example.org>\nX-Original-To: Bob@Example.com\nDelivered-To: bob@example.com\n"
            "Subject: x\n\nhello\n\n");
}

TEST_F(TransportPipeTest, TheCommandHearsOfTheClientAndOfTheOneThatAFilterHasToldOf) {
  const auto argv = script("show", "printf '%s|' \"$@\" > args") +
                    " a=${client_address} n=${client_hostname} h=${client_helo} p=${client_port} s=${client_protocol}";
  auto m = mail();
  m.client_address = "127.0.0.1";
  m.client_name = "localhost";
  m.client_helo = "filter.test";
  host(argv).run(m);  // a host that knows no more
  EXPECT_EQ(file("args"), "a=127.0.0.1|n=localhost|h=filter.test|p=|s=|");
  m.origin = {MANSIO_ORIGIN_REMOTE, 4711, "127.0.0.1", "localhost", "filter.test", "ESMTP", ""};
  host(argv).run(m);
  EXPECT_EQ(file("args"), "a=127.0.0.1|n=localhost|h=filter.test|p=4711|s=ESMTP|");
  m.origin = {MANSIO_ORIGIN_REMOTE, 4712, "192.0.2.9", "", "client.test", "SMTP", ""};
  host(argv).run(m);
  EXPECT_EQ(file("args"), "a=192.0.2.9|n=unknown|h=client.test|p=4712|s=SMTP|");
  m.client_address = "unix";
  m.client_name.clear();
  m.client_helo.clear();
  m.origin = {MANSIO_ORIGIN_LOCAL, 0, "", "", "", "QMQP", ""};
  host(argv).run(m);
  EXPECT_EQ(file("args"), "a=unix|n=|h=|p=|s=QMQP|");
}

TEST_F(TransportPipeTest, TheCommandHearsHowTheClientHasAuthenticated) {
  const auto argv = script("show", "printf '%s|' \"$@\" > args") + " ${sasl_method} ${sasl_username} ${sasl_sender}";
  auto m = mail();
  host(argv).run(m);
  EXPECT_EQ(file("args"), "|||");
  m.sasl = {"PLAIN", "alice", "a@example.org"};
  host(argv).run(m);
  EXPECT_EQ(file("args"), "PLAIN|alice|a@example.org|");
  m.sasl.username = "-oX";
  const auto reply = host(argv).run(m).recipients.at(0);
  EXPECT_EQ(reply.status, MANSIO_FAIL);
  EXPECT_EQ(reply.enhanced, "5.1.7");
}

TEST_F(TransportPipeTest, PartsOfAnAddressAreFoldedWhereAskedFor) {
  const auto argv = script("show", "printf '%s|' \"$@\" > args") +
                    " ${user} ${extension} ${mailbox} ${domain} ${recipient} ${original_recipient} ${nexthop}";
  auto m = mail({"Bob+Lists@Example.COM"});
  m.recipients.at(0).original = "BOB@Example.NET";
  m.nexthop = "Hop.Example";
  host(argv, {{"recipient_delimiter", "+"}}).run(m);
  EXPECT_EQ(file("args"), "Bob|Lists|Bob+Lists|Example.COM|Bob+Lists@Example.COM|BOB@Example.NET|Hop.Example|");
  host(argv, {{"recipient_delimiter", "+"}, {"flags", "u"}}).run(m);
  EXPECT_EQ(file("args"), "bob|lists|bob+lists|Example.COM|bob+lists@Example.COM|bob@Example.NET|Hop.Example|");
  host(argv, {{"recipient_delimiter", "+"}, {"flags", "h"}}).run(m);
  EXPECT_EQ(file("args"), "Bob|Lists|Bob+Lists|example.com|Bob+Lists@example.com|BOB@example.net|hop.example|");
}

TEST_F(TransportPipeTest, TheNextHopIsTheRecipientsDomainWhereTheRouteNamesNone) {
  host(script("show", "printf '%s|' \"$@\" > args") + " ${nexthop}").run(mail({"b@example.com", "c@example.com"}));
  EXPECT_EQ(file("args"), "example.com|");
}

TEST_F(TransportPipeTest, ADeliveryForANextHopIsRelayedUnlessItIsSaidToBeFinal) {
  const auto argv = script("keep", "cat > /dev/null");
  auto m = mail();
  EXPECT_EQ(host(argv).run(m).recipients.at(0).remote_mta, "");
  m.nexthop = "uucp.example.net";
  EXPECT_EQ(host(argv).run(m).recipients.at(0).remote_mta, "uucp.example.net");
  EXPECT_EQ(host(argv, {{"flags", "X"}}).run(m).recipients.at(0).remote_mta, "");
  m.nexthop = "not a host";
  EXPECT_EQ(host(argv).run(m).recipients.at(0).remote_mta, "");
  m.nexthop = "uucp.example.net";
  EXPECT_EQ(host(script("refuse", "exit 67")).run(m).recipients.at(0).remote_mta, "");
}

TEST_F(TransportPipeTest, TheNullSenderHasAReplacement) {
  const auto argv = script("show", "printf '%s|' \"$@\" > args; cat > got") + " ${sender}";
  auto m = mail();
  m.sender.clear();
  host(argv, {{"flags", "R"}}).run(m);
  EXPECT_EQ(file("args"), "MAILER-DAEMON|");
  EXPECT_THAT(file("got"), StartsWith("Return-Path: <MAILER-DAEMON>\n"));
  host(argv, {{"flags", "R"}, {"null_sender", ""}}).run(m);
  EXPECT_EQ(file("args"), "|");
  EXPECT_THAT(file("got"), StartsWith("Return-Path: <>\n"));
}

TEST_F(TransportPipeTest, AMessageThatWasHereBeforeIsReturned) {
  auto m = mail();
  m.content = "Delivered-To: BOB@example.com\r\n\r\nx\r\n";
  const auto reply = host(script("keep", "cat > got"), {{"flags", "D"}}).run(m).recipients.at(0);
  EXPECT_EQ(reply.status, MANSIO_FAIL);
  EXPECT_EQ(reply.enhanced, "5.4.6");
  EXPECT_FALSE(fs::exists(root_ + "/got"));
}

TEST_F(TransportPipeTest, HeadersOfOneRecipientNeedDeliveriesToOne) {
  const auto result = host(script("keep", "cat > got"), {{"flags", "O"}}).run(mail({"b@example.com", "c@example.com"}));
  EXPECT_EQ(result.recipients.at(1).status, MANSIO_DEFER);
  EXPECT_THAT(result.recipients.at(1).text, HasSubstr("destination_recipient_limit = 1"));
}

TEST_F(TransportPipeTest, AnAddressThatLooksLikeAnOptionIsRefusedAloneOfAll) {
  const auto result = host(script("show", "printf '%s|' \"$@\" > args") + " ${recipient}")
                          .run(mail({"-oX@example.com", "b@example.com"}));
  EXPECT_EQ(result.recipients.at(0).status, MANSIO_FAIL);
  EXPECT_EQ(result.recipients.at(0).enhanced, "5.1.3");
  EXPECT_EQ(result.recipients.at(1).status, MANSIO_OK);
  EXPECT_EQ(file("args"), "b@example.com|");
}

TEST_F(TransportPipeTest, TheCommandHasTheGivenEnvironmentAndNothingOfOurs) {
  ::setenv("MANSIO_TEST_SECRET", "x", 1);
  ::setenv("OURS_THAT_IS_NAMED", "passed on", 1);
  const int leak = ::open("/dev/null", O_RDONLY);  // inherited, were it not closed
  EXPECT_EQ(send(script("look", "env > environment; ls /proc/self/fd > descriptors; pwd > directory; umask > mask"),
                 {{"environment", "LANG=C,HOME=/nowhere,OURS_THAT_IS_NAMED,OURS_THAT_IS_NOT_THERE"}})
                .status,
            MANSIO_OK);
  const auto environment = file("environment");
  EXPECT_THAT(environment, HasSubstr("LANG=C\n"));
  EXPECT_THAT(environment, HasSubstr("HOME=/nowhere\n"));
  EXPECT_THAT(environment, HasSubstr("PATH=/usr/bin:/bin\n"));
  EXPECT_THAT(environment, HasSubstr("OURS_THAT_IS_NAMED=passed on\n"));
  EXPECT_THAT(environment, Not(HasSubstr("NOT_THERE")));
  EXPECT_THAT(environment, Not(HasSubstr("MANSIO")));
  EXPECT_EQ(file("descriptors"), "0\n1\n2\n3\n");  // the last is ls's own
  EXPECT_EQ(file("directory"), root_ + "\n");
  EXPECT_EQ(file("mask"), "0077\n");
  ::close(leak);
}

TEST_F(TransportPipeTest, ACommandAtItsTimeLimitIsKilledWithAllThatItStarted) {
  const auto reply = send(script("hang", "(sleep 1000 & echo $! > child; wait) & echo $$ > self; wait"),
                          {{"command_time_limit", "3s"}});
  EXPECT_EQ(reply.status, MANSIO_UNCERTAIN);
  EXPECT_THAT(reply.text, HasSubstr("time limit"));
  for (const auto *name : {"self", "child"}) {
    const auto pid = std::stoi(file(name));
    EXPECT_TRUE(host_->run_until([&] { return gone(pid); })) << name;
  }
}

TEST_F(TransportPipeTest, ACancelledCommandIsKilledAndAnsweredAtOnce) {
  auto &h = host(script("hang", "echo $$ > self.new; mv self.new self; sleep 1000"));
  const auto op = h.deliver(mail());
  const auto pid = std::stoi(file_soon("self"));
  h.cancel(op);
  EXPECT_TRUE(h.completed(op));
  EXPECT_EQ(h.result(op).recipients.at(0).status, MANSIO_UNCERTAIN);
  EXPECT_TRUE(h.run_until([&] { return gone(pid); }));
  EXPECT_TRUE(h.faults.empty());
}

TEST_F(TransportPipeTest, NoCommandOutlivesTheTransport) {
  auto &h = host(script("hang", "echo $$ > self.new; mv self.new self; sleep 1000"));
  h.deliver(mail());
  const auto pid = std::stoi(file_soon("self"));
  h.stop();
  EXPECT_TRUE(gone(pid));
}

TEST_F(TransportPipeTest, AMessageLargerThanAnyPipeArrivesWhole) {
  auto m = mail();
  m.content = "Subject: x\r\n\r\n";
  std::string expected = "Subject: x\n\n";
  for (int i = 0; i < 60'000; ++i) {
    m.content += "line of a large message " + std::to_string(i) + "\r\n";
    expected += "line of a large message " + std::to_string(i) + "\n";
  }
  const auto reply = host(script("keep", "sleep 0.1; cat > got")).run(m).recipients.at(0);
  EXPECT_EQ(reply.status, MANSIO_OK);
  EXPECT_TRUE(file("got") == expected);

  // One that reads none of it, and one that prints more than is kept.
  EXPECT_EQ(host(script("deaf", "exit 0")).run(m).recipients.at(0).status, MANSIO_OK);
  const auto loud = host(script("loud", "cat; exit 1")).run(m).recipients.at(0);
  EXPECT_EQ(loud.status, MANSIO_FAIL);
  EXPECT_LT(loud.text.size(), 5000u);
}

TEST_F(TransportPipeTest, AMessageAboveTheSizeLimitIsReturned) {
  const auto reply = send(script("keep", "cat > got"), {{"size", "10"}});
  EXPECT_EQ(reply.status, MANSIO_FAIL);
  EXPECT_EQ(reply.enhanced, "5.3.4");
}

TEST_F(TransportPipeTest, AProgramThatCannotRunDefersWithTheReason) {
  const auto path = script("plain", "exit 0");
  fs::permissions(path, fs::perms(0644));
  const auto reply = send(path);
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.3.5");
  EXPECT_THAT(reply.text, HasSubstr("cannot run " + path + ": Permission denied"));
}

TEST_F(TransportPipeTest, TheUserIsHonouredOrRefused) {
  const auto argv = script("ask", "id -u > who");
  if (::geteuid() == 0) {
    EXPECT_EQ(send(argv, {{"user", "nobody:65534"}}).status, MANSIO_OK);
    EXPECT_EQ(file("who"), std::to_string(::getpwnam("nobody")->pw_uid) + "\n");
    EXPECT_THROW(host(argv, {{"user", ""}}), std::runtime_error);
  } else {
    EXPECT_EQ(send(argv, {{"user", std::to_string(::geteuid()) + ":" + std::to_string(::getegid())}}).status,
              MANSIO_OK);
    try {
      host(argv, {{"user", std::to_string(::geteuid() + 1)}});
      ADD_FAILURE() << "another user was not refused";
    } catch (const std::runtime_error &e) {
      EXPECT_THAT(e.what(), HasSubstr("cannot change that"));
    }
  }
}

TEST_F(TransportPipeTest, TheRootDirectoryIsChangedOrRefused) {
  script("inside", "exit 0");
  if (::geteuid() == 0) {
    // The script is found in there, its interpreter is not.
    const auto reply = send("/inside", {{"chroot", root_}, {"directory", "/"}});
    EXPECT_EQ(reply.status, MANSIO_DEFER);
    EXPECT_EQ(reply.enhanced, "4.3.5");
    EXPECT_THAT(reply.text, HasSubstr("cannot run /inside: No such file or directory"));
    EXPECT_EQ(send(script("look", "pwd > " + root_ + "/where"), {{"chroot", "/"}, {"directory", "/usr"}}).status,
              MANSIO_OK);
    EXPECT_EQ(file("where"), "/usr\n");
  } else {
    try {
      host("/inside", {{"chroot", root_}, {"directory", "/"}});
      ADD_FAILURE() << "chroot was not refused";
    } catch (const std::runtime_error &e) {
      EXPECT_THAT(e.what(), HasSubstr("only root can change its root directory"));
    }
  }
}

TEST_F(TransportPipeTest, SymbolicLinksBelowTheRootDirectoryLeadToWhatIsThere) {
  script("program", "exit 0");
  fs::create_symlink("/program", root_ + "/inside");
  fs::create_symlink("/bin/true", root_ + "/outside");
  fs::create_symlink("/usr", root_ + "/directory");
  const auto problems = [&](const FakeHost::Options &options) {
    auto all = options;
    all.try_emplace("chroot", root_);
    all.try_emplace("argv", "/inside");
    return FakeHost::check(mansio_plugin_entry_1(), all);
  };
  EXPECT_EQ(problems({}), "");
  EXPECT_THAT(problems({{"argv", "/outside"}}), HasSubstr("argv names " + root_ + "/outside, which is not there"));
  EXPECT_THAT(problems({{"directory", "/directory"}}),
              HasSubstr("directory names " + root_ + "/directory, which is not there"));
}

TEST_F(TransportPipeTest, RefusesOptionsThatItCannotUse) {
  const auto problems = [&](const FakeHost::Options &options) {
    auto all = options;
    all.try_emplace("argv", "/bin/true");
    return FakeHost::check(mansio_plugin_entry_1(), all);
  };
  EXPECT_EQ(problems({}), "");
  EXPECT_THAT(problems({{"argv", root_ + "/none"}}), HasSubstr("argv names " + root_ + "/none, which is not there"));
  EXPECT_THAT(problems({{"flags", "Y"}}), HasSubstr("flags is \"Y\", expected letters out of BDFORXhqu.>"));
  EXPECT_THAT(problems({{"user", "no-such-user"}}), HasSubstr("user names the user no-such-user, which is not there"));
  EXPECT_THAT(problems({{"user", "root"}}), HasSubstr("expected another user than root"));
  EXPECT_THAT(problems({{"user", "0:65534"}}), HasSubstr("expected another user than root"));
  EXPECT_THAT(problems({{"user", "65534:root"}}), HasSubstr("expected another group than root's"));
  EXPECT_THAT(problems({{"user", "4294967295"}}), HasSubstr("names the user 4294967295, which is not there"));
  EXPECT_THAT(problems({{"user", "65534:4294967295"}}), HasSubstr("names the group 4294967295, which is not there"));
  EXPECT_THAT(problems({{"chroot", root_ + "/none"}}),
              HasSubstr("chroot names " + root_ + "/none, which is not there"));
  EXPECT_THAT(problems({{"chroot", root_}}), HasSubstr("argv names " + root_ + "/bin/true, which is not there"));
  EXPECT_THAT(problems({{"environment", "=x"}}), HasSubstr("environment holds \"=x\", expected NAME=VALUE"));
  EXPECT_THAT(problems({{"directory", root_ + "/none"}}), HasSubstr("which is not there"));
  EXPECT_THAT(problems({{"command_time_limit", "0"}}), HasSubstr("command_time_limit is 0"));
  EXPECT_THAT(problems({{"eol", "\\x"}}), HasSubstr("eol is"));
}

TEST_F(TransportPipeTest, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
