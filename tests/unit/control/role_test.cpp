// The control process as a whole: its socket, and how it ends.
#include "kernel/control/role.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kernel/process/shared.hpp"

namespace mansio::control {
namespace {

using namespace std::chrono_literals;

class Quiet final : public LogSink {
 public:
  void emit(LogLevel, std::string_view) override {}
};

class ControlRole : public ::testing::Test {
 protected:
  ControlRole() {
    std::string path = "/tmp/mansio-control-XXXXXX";
    if (::mkdtemp(path.data())) start_.spool = path;
    role_ = make_role();
  }
  ~ControlRole() override {
    role_.reset();
    std::filesystem::remove_all(start_.spool);
  }

  // Runs the loop until that is so.
  template <class F>
  bool until(F f) {
    for (int i = 0; i < 500 && !f(); ++i) {
      loop_.restart();
      loop_.run_for(10ms);
    }
    return f();
  }

  io::UniqueFd client() {
    io::UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    const auto path = start_.spool + "/control.sock";
    std::memcpy(to.sun_path, path.c_str(), path.size() + 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr *>(&to), sizeof to), 0);
    return fd;
  }

  asio::io_context loop_;
  SystemClock clock_;
  Quiet sink_;
  Logger log_{sink_, clock_, "control"};
  config::Settings settings_;
  wire::Start start_;
  std::unique_ptr<process::SharedMemory> shared_{*process::SharedMemory::create()};
  std::vector<wire::Command> asked_;
  bool finished_ = false;
  process::RoleContext context_{.loop = loop_,
                                .clock = clock_,
                                .log = log_,
                                .settings = settings_,
                                .start = start_,
                                .shared = *shared_,
                                .open_file = {},
                                .finished = [this] { finished_ = true; },
                                .ask_supervisor =
                                    [this](const wire::Command &c) {
                                      asked_.push_back(c);
                                      return true;
                                    },
                                .lost_peer = {},
                                .end_peer = {}};
  std::unique_ptr<process::Role> role_;
};

// As at `mansio stop`: the answer and the order to end come together.
TEST_F(ControlRole, SaysWhatItWasToldBeforeItEnds) {
  ASSERT_TRUE(role_->prepare(context_).ok());
  role_->run();
  const auto asking = client(), silent = client();
  const std::string request = "{\"command\":\"stop\"}\n";
  ASSERT_EQ(::send(asking.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  ASSERT_TRUE(until([&] { return !asked_.empty(); }));
  role_->command_result({asked_[0].request, true, "{}"});
  role_->drain(clock_.mono() + kSecond);
  std::string heard;
  bool ended = false, silent_ended = false;
  EXPECT_TRUE(until([&] {
    char some[256];
    for (;;) {
      const auto n = ::recv(asking.get(), some, sizeof some, 0);
      if (n > 0) heard.append(some, static_cast<std::size_t>(n));
      ended = ended || n == 0;
      if (n <= 0) break;
    }
    silent_ended = silent_ended || ::recv(silent.get(), some, sizeof some, 0) == 0;
    return ended && silent_ended;
  }));
  EXPECT_EQ(heard, "{\"result\":\"ok\",\"affected\":0}\n");
  EXPECT_TRUE(finished_);
}

}  // namespace
}  // namespace mansio::control
