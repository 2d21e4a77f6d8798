// mansio.connect: conversations with servers, and how they end.
#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/lua/io/peer.hpp"
#include "plugins/lua/tests/scripted.hpp"
#include "plugins/lua/tests/server.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace rig = mansio::lookup::rig;

// A script that may connect; @ stands for the address.
struct Connecting : Scripted {
  Connecting(std::string text, const std::string &address, FakeHost::Options options = {})
      : Scripted(with(std::move(text), address), allowing(std::move(options))) {}

 private:
  static std::string with(std::string text, const std::string &address) {
    for (auto at = text.find('@'); at != text.npos; at = text.find('@', at + address.size()))
      text.replace(at, 1, address);
    return text;
  }
  static FakeHost::Options allowing(FakeHost::Options options) {
    options["allow"] = "connect";
    return options;
  }
};

constexpr const char *kTalk = R"(
  mansio.on("rcpt", function(_, rcpt)
    local c = mansio.connect("@", {timeout = "5s"})
    c:write("hello ", rcpt.address, "\n")
    local lines, line = {}, c:read_line()
    while line do
      lines[#lines + 1] = line
      line = #lines < 2 and c:read_line() or nil
    end
    local some, rest, none = c:read(3), c:read(1000), c:read(1)
    c:close()
    return mansio.reject("5.7.1", table.concat(lines, "|") .. "|" .. some .. "|" .. rest .. "|" .. tostring(none))
  end)
)";
void answer_hello(int fd) {
  const auto line = Server::line(fd);
  Server::say(fd, line + "\r\n\nabcde");
}

TEST(Connect, ReadsLinesAndOctetsUntilTheEnd) {
  const Server server{answer_hello};
  Connecting s{kTalk, server.address()};
  EXPECT_EQ(s.rcpt("a").last->text, "hello a||abc|de|nil") << s.host.log;
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(Connect, SpeaksOverUnixSocketsAndFindsNames) {
  const rig::Directory directory;
  const Server local{answer_hello, directory / "socket"};
  Connecting s{kTalk, local.address()};
  EXPECT_EQ(s.rcpt("a").last->text, "hello a||abc|de|nil") << s.host.log;
  const Server server{answer_hello};
  Connecting t{kTalk, "judge.example:" + std::to_string(server.port())};
  t.host.dns[{"judge.example", MANSIO_DNS_A}] = {MANSIO_OK, {{"127.0.0.1", 0}}, ""};
  EXPECT_EQ(t.rcpt("a").last->text, "hello a||abc|de|nil") << t.host.log;
}

TEST(Connect, IsOffUnlessAllowed) {
  Scripted s{"local way = {connect = mansio.connect}\nmansio.on('rcpt', function() way.connect('127.0.0.1:1') end)"};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("mansio.connect is off; allow = [\"connect\"]"));
}

TEST(Connect, DefersWhenNobodyListens) {
  Connecting s{kTalk, "127.0.0.1:" + std::to_string(rig::free_port())};
  const auto refused = s.rcpt("a");
  EXPECT_EQ(refused.last->status, MANSIO_DEFER);
  EXPECT_EQ(refused.last->enhanced, "4.3.0");
  EXPECT_EQ(refused.last->text, "a service that was asked cannot answer now");
  EXPECT_THAT(s.host.log, HasSubstr("Connection refused"));
  Connecting t{kTalk, "nowhere.example:1"};
  EXPECT_EQ(t.rcpt("a").last->status, MANSIO_DEFER);
}

// Says nothing until the other side is gone.
void keep_silent(int fd) {
  while (Server::octets(fd, 1).size() == 1) continue;
}

TEST(Connect, GivesUpAServerThatHangs) {
  const Server server{keep_silent};
  Connecting s{R"(mansio.on("rcpt", function() mansio.connect("@", {timeout = "50ms"}):read_line() end))",
               server.address()};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(s.host.log, HasSubstr(server.address() + ": timed out"));
}

TEST(Connect, RefusesALineWithoutEnd) {
  const Server server{[](int fd) {
    Server::say(fd, std::string(200'000, 'x'));
    keep_silent(fd);
  }};
  Connecting s{R"(mansio.on("rcpt", function() mansio.connect("@"):read_line() end))", server.address()};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(s.host.log, HasSubstr("a line is longer than 64 KiB"));
}

TEST(Connect, ClosesWhatAHandlerOpened) {
  const Server server{keep_silent};
  Connecting s{R"(
    local kept
    mansio.on("rcpt", function(_, rcpt)
      if rcpt.address == "again" then kept:write("x") end
      kept = mansio.connect("@")
    end)
  )",
               server.address()};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_OK) << s.host.log;
  EXPECT_TRUE(s.host.run_until([&] { return server.ended() == 1; }));
  EXPECT_EQ(s.rcpt("again").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("a connection is good in its handler only"));
}

TEST(Connect, EndsWithItsCall) {
  const Server server{keep_silent};
  Connecting s{R"(mansio.on("rcpt", function() mansio.connect("@"):read_line() end))", server.address()};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {"a"};
  const auto op = s.host.show(stage);
  ASSERT_TRUE(s.host.run_until([&] { return server.connections() == 1; }));
  s.host.cancel(op);
  EXPECT_EQ(s.host.finish(op).status, MANSIO_CANCELLED);
  EXPECT_TRUE(s.host.run_until([&] { return server.ended() == 1; }));
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(Connect, IsReadByOneTaskAtATimeAndClosedByAnother) {
  const Server server{keep_silent};
  Connecting s{R"(
    mansio.on("rcpt", function()
      local c = mansio.connect("@")
      local reader = mansio.spawn(function() return pcall(c.read_line, c) end)
      mansio.sleep("1ms")
      local second = select(2, pcall(c.read, c, 1))
      c:close()
      local good = reader:join()
      return mansio.reject("5.7.1", second .. "; " .. tostring(good))
    end)
  )",
               server.address()};
  const auto text = s.rcpt("a").last->text;
  EXPECT_THAT(text, HasSubstr("another task reads or writes this connection just now; false")) << s.host.log;
}

TEST(Connect, CountsAgainstTheCall) {
  const Server server{keep_silent};
  Connecting s{R"(
    mansio.on("rcpt", function(_, rcpt)
      local all = {}
      for i = 1, 100 do all[i] = mansio.connect("@") end
    end)
  )",
               server.address()};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("more than 32 connections are open at once"));
  Connecting t{R"(mansio.on("rcpt", function() mansio.connect("@"):read(1000000) end))",
               server.address(),
               {{"call_memory", "1M"}}};
  EXPECT_EQ(t.rcpt("a").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(t.host.log, HasSubstr("octets outside of Lua (call_memory)"));
}

TEST(Connect, ChecksTheCertificate) {
  const rig::Directory directory;
  rig::certificate(directory.path());
  const auto port = rig::free_port();
  rig::Program server{{"openssl", "s_server", "-accept", "127.0.0.1:" + std::to_string(port), "-cert",
                       directory / "cert.pem", "-key", directory / "key.pem", "-rev"},
                      directory / "server.log"};
  server.wait_until([&] { return rig::accepts(port); });
  Connecting s{R"(
    mansio.on("rcpt", function(_, rcpt)
      local options = {tls = true, timeout = "10s"}
      if rcpt.address ~= "stranger" then options.ca_file = "@" end
      if rcpt.address == "other" then options.tls_name = "other.example" end
      local c = mansio.connect("127.0.0.1:)" +
                   std::to_string(port) + R"(", options)
      c:write("abc\n")
      return mansio.reject("5.7.1", c:read_line())
    end)
  )",
               directory / "cert.pem"};
  EXPECT_EQ(s.rcpt("known").last->text, "cba") << s.host.log;
  EXPECT_EQ(s.rcpt("stranger").last->status, MANSIO_DEFER);
  EXPECT_THAT(s.host.log, HasSubstr("TLS: self-signed certificate"));
  EXPECT_EQ(s.rcpt("other").last->status, MANSIO_DEFER);
  EXPECT_THAT(s.host.log, HasSubstr("the certificate is for none of: other.example"));
}

TEST(Peer, IsReadAsItIsWritten) {
  for (const auto *good : {"127.0.0.1:783", "mail.example:25", "[2001:db8::1]:25", "unix:/run/socket"}) {
    const auto peer = Peer::parse(good);
    ASSERT_TRUE(peer) << good;
    EXPECT_EQ(peer->text(), good);
  }
  EXPECT_EQ(Peer::parse("mail.example", 25)->text(), "mail.example:25");
  for (const auto *bad : {"", "mail.example", "mail.example:", ":25", "mail.example:0", "mail.example:65536", "a b:25",
                          "::1:25", "[::1", "[::1]25", "[::1]:25x", "unix:relative", "unix:", "a:25x"})
    EXPECT_FALSE(Peer::parse(bad)) << bad;
}

}  // namespace
}  // namespace mansio::lua::testing
