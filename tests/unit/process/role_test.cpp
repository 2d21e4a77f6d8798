// A role on one thread, this test as its supervisor on another, the real channel between them.
#include "kernel/process/role.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "kernel/config/parse.hpp"
#include "kernel/process/log_sinks.hpp"
#include "kernel/process/memfd.hpp"
#include "kernel/process/privilege.hpp"
#include "kernel/process/shared.hpp"

namespace mansio::process {
namespace {

struct Events {
  std::promise<void> destroyed;
  std::vector<std::string> seen;  // on the role's thread, read after it has ended
};

class StubRole : public Role {
 public:
  StubRole(Events &events, bool fail) : events_(events), fail_(fail) {}
  Result<void> prepare(RoleContext &context) override {
    context_ = &context;
    note("prepare " + context.settings.myhostname);
    if (fail_) return Error{Status::Fail, "no luck today"};
    return {};
  }
  void run() override {
    context_->open_file("/some/secret", [this](Result<io::UniqueFd> fd) { note(fd ? "opened" : fd.error().text); });
  }
  void attach(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) override {
    note("attach " + peer.name);
    channel_ = std::move(channel);
    channel_->start([](io::Message &) {}, [](std::string_view) {});
    channel_->send(wire::Ready{});  // must arrive although finished() follows at once
  }
  void dead(const wire::Dead &dead) override { note("dead " + dead.peer.name); }
  bool reload(const config::Settings &settings, std::uint32_t epoch) override {
    note("reload " + settings.myhostname + " " + std::to_string(epoch));
    return true;
  }
  void drain(Nanos) override {
    note("drain");
    if (context_->settings.myhostname != "busy.test") context_->finished();
  }
  void retire(Nanos, Nanos) override { note("retire"); }
  void stats(const std::function<void(std::string, double)> &each) override {
    for (int i = 0; i < 2000; ++i) each("mansio_stub_number_" + std::to_string(i) + "_total", i);
    each("# HELP mansio_stub_number_7_total The seventh.", 0);
  }

 private:
  void note(std::string what) { events_.seen.push_back(std::move(what)); }
  Events &events_;
  bool fail_;
  RoleContext *context_ = nullptr;
  std::shared_ptr<io::Channel> channel_;
};

std::string snapshot(const std::string &hostname) {
  const auto path =
      std::filesystem::temp_directory_path() / ("mansio-role-test-" + std::to_string(::getpid()) + ".toml");
  std::ofstream{path} << "myhostname = \"" << hostname << "\"\n"
                      << "[listener.smtp]\nlisten = [\"127.0.0.1:2525\"]\n"
                      << "[transport.relay]\nplugin = \"transport-smtp\"\n"
                      << "[[route]]\ntransport = \"relay\"\n";
  const auto files = config::direct_files();
  auto parsed = config::parse_settings(path, *files);
  std::filesystem::remove(path);
  for (const auto &p : parsed.problems) ADD_FAILURE() << to_string(p);
  return parsed.snapshot;
}

class RoleTest : public ::testing::Test {
 protected:
  void birth(bool fail = false, const std::string &hostname = "one.test") {
    auto pair = io::channel_pair();
    ASSERT_TRUE(pair.ok());
    channel_ = io::Channel::create(loop_, std::move(pair->first));
    channel_->start([this](io::Message &m) { on_message(m); }, [this](std::string_view) { closed_ = true; });
    thread_ = std::thread([this, fail, fd = std::move(pair->second)]() mutable {
      const RoleFactory make = [&] { return std::make_unique<StubRole>(events_, fail); };
      status_ = run_role(make, std::move(fd));
    });
    const auto text = snapshot(hostname);
    auto memory = SharedMemory::create();
    ASSERT_TRUE(memory.ok());
    std::vector<io::UniqueFd> fds;
    fds.push_back(std::move(*sealed_memfd("snapshot", text)));
    fds.emplace_back(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    fds.emplace_back(::dup((*memory)->fd().get()));
    wire::Start start;
    start.self.name = "stub";
    start.snapshot_size = text.size();
    start.threaded = true;
    channel_->send(start, std::move(fds));
  }
  void on_message(io::Message &m) {
    types_.push_back(m.type);
    if (m.type == wire::Failed::kType) failure_ = decode<wire::Failed>(m.payload)->reason;
    if (m.type == wire::Reloaded::kType) reloaded_ = decode<wire::Reloaded>(m.payload)->ok;
    if (m.type == wire::Stats::kType) {
      const auto stats = decode<wire::Stats>(m.payload);
      samples_ += stats->values.size();
      for (const auto &text : stats->help) help_ += text;
      last_part_ = !stats->more;
    }
    if (m.type == wire::OpenFile::kType)
      channel_->send(wire::OpenedFile{decode<wire::OpenFile>(m.payload)->request, EACCES});
  }
  bool got(std::uint16_t type) const { return std::find(types_.begin(), types_.end(), type) != types_.end(); }
  template <class F>
  void run_until(F done) {
    while (!done()) {
      loop_.restart();
      ASSERT_GT(loop_.run_one_for(std::chrono::seconds{60}), 0u);
    }
  }
  void end() {
    run_until([this] { return closed_; });
    thread_.join();
  }
  void TearDown() override {
    if (channel_) channel_->close();
    if (thread_.joinable()) thread_.join();
    loop_.restart();
    loop_.poll();
  }

  asio::io_context loop_;
  std::shared_ptr<io::Channel> channel_;
  std::thread thread_;
  Events events_;
  std::vector<std::uint16_t> types_;
  std::string failure_;
  bool closed_ = false, reloaded_ = false, last_part_ = false;
  std::size_t samples_ = 0;
  std::string help_;
  int status_ = -1;
};

TEST_F(RoleTest, BecomesReadyAndEndsWhenDrained) {
  birth();
  run_until([this] { return got(wire::Ready::kType); });
  channel_->send(wire::Drain{60 * kSecond});
  end();
  EXPECT_EQ(status_, 0);
  EXPECT_EQ(events_.seen.front(), "prepare one.test");
  EXPECT_EQ(events_.seen.back(), "drain");
}

TEST_F(RoleTest, AnotherDrainShortensTheTimeAndNeverLengthensIt) {
  birth(false, "busy.test");
  run_until([this] { return got(wire::Ready::kType); });
  channel_->send(wire::Drain{3600 * kSecond});
  run_until([this] { return got(wire::Drain::kType); });
  channel_->send(wire::Drain{kSecond});
  channel_->send(wire::Drain{7200 * kSecond});
  end();
  EXPECT_EQ(std::count(events_.seen.begin(), events_.seen.end(), "drain"), 2);
}

TEST_F(RoleTest, IsRetiredWhileSessionsMayGoOnAndDrainedOnceTheyMayNot) {
  birth(false, "busy.test");
  run_until([this] { return got(wire::Ready::kType); });
  channel_->send(wire::Drain{3600 * kSecond, 1800 * kSecond});
  run_until([this] { return got(wire::Drain::kType); });
  channel_->send(wire::Drain{7200 * kSecond, 3600 * kSecond});
  channel_->send(wire::Drain{7200 * kSecond});  // a stop that has more time than was left
  channel_->send(wire::Drain{kSecond});
  end();
  EXPECT_EQ(std::count(events_.seen.begin(), events_.seen.end(), "retire"), 1);
  EXPECT_EQ(std::count(events_.seen.begin(), events_.seen.end(), "drain"), 2);
}

TEST_F(RoleTest, SaysWhyItFailed) {
  birth(true);
  end();
  EXPECT_EQ(failure_, "no luck today");
  EXPECT_EQ(status_, 1);
  EXPECT_FALSE(got(wire::Ready::kType));
}

TEST_F(RoleTest, EndsWithItsSupervisor) {
  birth();
  run_until([this] { return got(wire::Ready::kType); });
  channel_->close();
  thread_.join();
  EXPECT_EQ(status_, 1);
}

TEST_F(RoleTest, SendsWhatItsChannelsHoldBeforeItEnds) {
  birth();
  run_until([this] { return got(wire::Ready::kType); });
  auto pair = io::channel_pair();
  std::vector<io::UniqueFd> fds;
  fds.push_back(std::move(pair->second));
  wire::Attach attach;
  attach.peer.name = "queue";
  channel_->send(attach, std::move(fds));
  channel_->send(wire::Drain{60 * kSecond});
  bool heard = false;
  const auto peer = io::Channel::create(loop_, std::move(pair->first));
  peer->start([&](io::Message &m) { heard = heard || m.type == wire::Ready::kType; }, [](std::string_view) {});
  end();
  run_until([&] { return heard || !peer->open(); });
  EXPECT_TRUE(heard);
  peer->close();
}

TEST_F(RoleTest, TakesANewConfigurationInPlace) {
  birth();
  run_until([this] { return got(wire::Ready::kType); });
  const auto text = snapshot("two.test");
  std::vector<io::UniqueFd> fds;
  fds.push_back(std::move(*sealed_memfd("snapshot", text)));
  fds.emplace_back(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  channel_->send(wire::Reload{2, text.size()}, std::move(fds));
  run_until([this] { return got(wire::Reloaded::kType); });
  EXPECT_TRUE(reloaded_);
  channel_->send(wire::Drain{60 * kSecond});
  end();
  EXPECT_NE(std::find(events_.seen.begin(), events_.seen.end(), "reload two.test 2"), events_.seen.end());
}

TEST_F(RoleTest, RefusesAReloadWithoutItsDescriptors) {
  birth();
  run_until([this] { return got(wire::Ready::kType); });
  channel_->send(wire::Reload{2, 10});
  run_until([this] { return got(wire::Reloaded::kType); });
  EXPECT_FALSE(reloaded_);
}

TEST_F(RoleTest, SendsManyStatisticsInParts) {
  birth();
  run_until([this] { return got(wire::Ready::kType); });
  channel_->send(wire::StatsRequest{7});
  run_until([this] { return last_part_; });
  EXPECT_EQ(samples_, 2000u);
  EXPECT_EQ(help_, "mansio_stub_number_7_total The seventh.");
}

TEST_F(RoleTest, ReportsWhyAFileWasNotOpened) {
  birth();
  run_until([this] { return got(wire::OpenFile::kType); });
  channel_->send(wire::Drain{60 * kSecond});
  end();
  EXPECT_NE(std::find(events_.seen.begin(), events_.seen.end(), "Permission denied"), events_.seen.end());
}

TEST_F(RoleTest, AsksAgainForAChannelWhoseDescriptorWasLost) {
  birth();
  run_until([this] { return got(wire::Ready::kType); });
  channel_->send(wire::Attach{});
  run_until([this] { return got(wire::LostPeer::kType); });
}

TEST(SyslogPacket, FramesALineForDevLog) {
  const auto p = syslog_packet(LogLevel::Warn, "postfix/queue", 77, 0, "hello\n");
  EXPECT_TRUE(p.starts_with("<20>")) << p;
  EXPECT_TRUE(p.ends_with(" postfix/queue[77]: hello")) << p;
}

// One reader that has stopped, and reads again after many lines.
void expect_lines_dropped_not_waited_for(int from, int to) {
  const auto output = make_log_output("stderr", io::UniqueFd{to}, "x");
  const std::string line = std::string(999, 'x') + "\n";
  for (int i = 0; i < 2000; ++i) output->emit(LogLevel::Info, line);
  std::string block(1 << 22, '\0'), text;
  const auto read_all = [&] {
    for (ssize_t n; (n = ::read(from, block.data(), block.size())) > 0;)
      text.append(block, 0, static_cast<std::size_t>(n));
  };
  read_all();
  const auto whole = text.size() / line.size();
  EXPECT_GT(whole, 0u);
  EXPECT_LT(whole, 2000u);
  text.clear();
  output->emit(LogLevel::Info, "again\n");
  read_all();
  const auto note = text.find("{\"level\":\"warn\",\"event\":\"log lines dropped, nobody read them\",\"lines\":" +
                              std::to_string(2000 - whole) + "}\nagain\n");
  EXPECT_NE(note, std::string::npos) << text;
  ::close(from);
}

TEST(LogOutput, DropsLinesWhenNobodyReadsAPipeWhetherItsWriterMayWaitOrNot) {
  for (const int flags : {0, O_NONBLOCK}) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, flags), 0);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    expect_lines_dropped_not_waited_for(ends[0], ends[1]);
  }
}

TEST(LogOutput, DropsLinesWhenNobodyReadsASocket) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  expect_lines_dropped_not_waited_for(ends[0], ends[1]);
}

TEST(LogOutput, GoesOnInTheNewFileWhenReopened) {
  int first[2], second[2];
  ASSERT_EQ(::pipe(first), 0);
  ASSERT_EQ(::pipe(second), 0);
  const auto output = make_log_output("/var/log/x", io::UniqueFd{first[1]}, "x");
  output->emit(LogLevel::Info, "one");
  output->reopen(io::UniqueFd{second[1]});
  output->emit(LogLevel::Info, "two");
  char text[4] = {};
  EXPECT_EQ(::read(first[0], text, 3), 3);
  EXPECT_STREQ(text, "one");
  EXPECT_EQ(::read(first[0], text, 3), 0);  // nobody writes there any more
  EXPECT_EQ(::read(second[0], text, 3), 3);
  EXPECT_STREQ(text, "two");
  ::close(first[0]);
  ::close(second[0]);
}

}  // namespace
}  // namespace mansio::process
