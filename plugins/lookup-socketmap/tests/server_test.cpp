// The plugin against a socketmap server, over TCP and UNIX sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/un.h>

#include <map>
#include <mutex>
#include <thread>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/lookup-socketmap/protocol.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using namespace mansio::lookup;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Answers "NAME KEY" from `answers`; what is not there is "NOTFOUND ". Its own thread, ended with the object.
class SocketmapServer {
 public:
  explicit SocketmapServer(std::map<std::string, std::string> answers, std::uint16_t port = 0, std::string path = {})
      : answers_(std::move(answers)) {
    listener_ = ::socket(path.empty() ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_un local{};
    sockaddr_in tcp{};
    local.sun_family = AF_UNIX;
    path.copy(local.sun_path, sizeof local.sun_path - 1);
    tcp.sin_family = AF_INET;
    tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    tcp.sin_port = htons(port);
    ::unlink(path.c_str());
    const int bound = path.empty() ? ::bind(listener_, reinterpret_cast<const sockaddr *>(&tcp), sizeof tcp)
                                   : ::bind(listener_, reinterpret_cast<const sockaddr *>(&local), sizeof local);
    if (bound != 0 || ::listen(listener_, 16) != 0 || ::pipe(stop_) != 0) throw std::runtime_error{"cannot listen"};
    thread_ = std::thread{[this] { serve(); }};
  }
  ~SocketmapServer() {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
    ::close(listener_);
    for (const auto &[fd, bytes] : clients_) ::close(fd);
  }
  std::size_t connections() {
    const std::lock_guard lock{mutex_};
    return connections_;
  }
  std::vector<std::string> questions() {
    const std::lock_guard lock{mutex_};
    return questions_;
  }

 private:
  void serve() {
    for (;;) {
      std::vector<pollfd> fds{{stop_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const auto &[fd, bytes] : clients_) fds.push_back({fd, POLLIN, 0});
      ::poll(fds.data(), fds.size(), -1);
      if (fds[0].revents != 0) return;
      if (fds[1].revents != 0) {
        clients_[::accept(listener_, nullptr, nullptr)];
        const std::lock_guard lock{mutex_};
        ++connections_;
      }
      for (std::size_t i = 2; i < fds.size(); ++i)
        if (fds[i].revents != 0) answer(fds[i].fd);
    }
  }
  void answer(int fd) {
    char buffer[4096];
    const auto n = ::read(fd, buffer, sizeof buffer);
    auto &bytes = clients_[fd];
    if (n > 0) bytes.append(buffer, static_cast<std::size_t>(n));
    const auto question = parse_netstring(bytes, 10000);
    if (n <= 0 || question.state == Netstring::State::Bad) {
      ::close(fd);
      clients_.erase(fd);
    } else if (question.state == Netstring::State::Complete) {
      const std::string text{question.content};
      {
        const std::lock_guard lock{mutex_};
        questions_.push_back(text);
      }
      bytes.clear();
      const auto known = answers_.find(text);
      const auto raw = known == answers_.end() ? netstring("NOTFOUND ") : known->second;
      if (::write(fd, raw.data(), raw.size()) < 0) return;
    }
  }

  std::map<std::string, std::string> answers_;
  int listener_ = -1, stop_[2] = {-1, -1};
  std::map<int, std::string> clients_;
  std::mutex mutex_;
  std::size_t connections_ = 0;
  std::vector<std::string> questions_;
  std::thread thread_;
};

struct SocketmapTable : testing::Test {
  FakeHost::Options options(const std::string &hosts) {
    return {{"hosts", hosts}, {"map", "virtual"}, {"timeout", "20s"}, {"retry_interval", "0"}};
  }
  std::map<std::string, std::string> answers{{"virtual alice@example.com", netstring("OK bob@example.com")},
                                             {"virtual temp", netstring("TEMP the database is down")},
                                             {"virtual perm", netstring("PERM what map?")},
                                             {"virtual garbage", "garbage"},
                                             {"virtual odd", netstring("HELLO")},
                                             {"virtual silence", ""}};
  rig::Directory dir;
  std::uint16_t port = rig::free_port();
  std::string tcp = "127.0.0.1:" + std::to_string(port), local = "unix:" + (dir / "socket");
};

TEST_F(SocketmapTable, HasThreeOutcomes) {
  SocketmapServer server{answers, port};
  FakeHost host{mansio_plugin_entry_1(), options(tcp)};
  EXPECT_THAT(host.lookup("Alice@Example.com").values, ElementsAre("bob@example.com"));
  EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_NOT_FOUND);
  EXPECT_EQ(host.lookup("").status, MANSIO_NOT_FOUND);
  const auto temp = host.lookup("temp");
  EXPECT_EQ(temp.status, MANSIO_DEFER);
  EXPECT_THAT(temp.text, HasSubstr("TEMP the database is down"));
  EXPECT_EQ(host.lookup("perm").status, MANSIO_DEFER);
  EXPECT_EQ(server.connections(), 1u);
  EXPECT_THAT(server.questions(),
              ElementsAre("virtual alice@example.com", "virtual carol@example.com", "virtual temp", "virtual perm"));
  EXPECT_THAT(host.faults, ElementsAre());
}

TEST_F(SocketmapTable, SpeaksOverUnixSockets) {
  SocketmapServer server{answers, 0, dir / "socket"};
  FakeHost host{mansio_plugin_entry_1(), options(local)};
  EXPECT_THAT(host.lookup("alice@example.com").values, ElementsAre("bob@example.com"));
}

TEST_F(SocketmapTable, TriesLaterWhenTheServerIsDownAndSurvivesItsRestart) {
  FakeHost host{mansio_plugin_entry_1(), options(tcp)};
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_DEFER);
  for (int i = 0; i < 2; ++i) {
    {
      SocketmapServer server{answers, port};
      EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
    }
    EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_DEFER);
  }
}

TEST_F(SocketmapTable, TriesLaterWhenTheAnswerIsNone) {
  SocketmapServer server{answers, port};
  FakeHost host{mansio_plugin_entry_1(), options(tcp)};
  EXPECT_THAT(host.lookup("garbage").text, HasSubstr("no netstring"));
  EXPECT_THAT(host.lookup("odd").text, HasSubstr("none of OK"));
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(SocketmapTable, TriesLaterWhenTheAnswerDoesNotCome) {
  SocketmapServer server{answers, port};
  auto impatient = options(tcp);
  impatient["timeout"] = "50ms";
  FakeHost host{mansio_plugin_entry_1(), impatient};
  const auto silent = host.lookup("silence");
  EXPECT_EQ(silent.status, MANSIO_DEFER);
  EXPECT_THAT(silent.text, HasSubstr("no answer in time"));
}

TEST_F(SocketmapTable, GoesOnToTheNextServer) {
  SocketmapServer server{answers, 0, dir / "socket"};
  FakeHost host{mansio_plugin_entry_1(), options(tcp + "," + local)};
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(SocketmapTable, RefusesOptionsThatItCannotUse) {
  const auto check = [](const FakeHost::Options &o) { return FakeHost::check(mansio_plugin_entry_1(), o); };
  const auto wrong = check({{"hosts", "localhost"}, {"map", "a b"}, {"timeout", "0"}});
  EXPECT_THAT(wrong, HasSubstr("hosts has \"localhost\""));
  EXPECT_THAT(wrong, HasSubstr("map is \"a b\""));
  EXPECT_THAT(wrong, HasSubstr("timeout is 0"));
  EXPECT_EQ(check({{"hosts", "localhost:1"}, {"map", "a"}}), "");
}

TEST_F(SocketmapTable, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
