// Listeners: IPv4, IPv6, and what happens when the process has no descriptor left.
#include "kernel/ingress/server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::StartsWith;

class SmtpListener : public testing::SmtpServerTest {
 protected:
  void listen(int family) {
    io::UniqueFd socket{::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    length_ = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (family == AF_INET) {
      auto &in = reinterpret_cast<sockaddr_in &>(address_);
      in.sin_family = AF_INET;
      in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
      auto &in = reinterpret_cast<sockaddr_in6 &>(address_);
      in.sin6_family = AF_INET6;
      in.sin6_addr = in6addr_loopback;
    }
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr *>(&address_), length_), 0) << std::strerror(errno);
    ASSERT_EQ(::listen(socket.get(), 8), 0);
    ASSERT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr *>(&address_), &length_), 0);
    server->listen(service, std::move(socket));
    settle();
  }
  testing::Peer call() {
    const int fd = ::socket(address_.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr *>(&address_), length_), 0);
    return testing::Peer{fd};
  }
  std::string wait_for_line(testing::Peer &peer) {
    std::string line;
    while (!line.ends_with('\n') && !peer.closed()) {
      loop.restart();
      loop.run_one_for(std::chrono::milliseconds{20});
      line += peer.received();
    }
    return line;
  }
  void TearDown() override {
    server->drain([] {});
    settle();
    SmtpServerTest::TearDown();
  }

  sockaddr_storage address_{};
  socklen_t length_ = 0;
};

TEST_F(SmtpListener, ServesIpv4AndKnowsItsClient) {
  service.smtpd.mynetworks = {*config::parse_network("127.0.0.0/8")};
  listen(AF_INET);
  auto peer = call();
  EXPECT_EQ(wait_for_line(peer), "220 mx.test ESMTP Mansio\r\n");
  EXPECT_THAT(sink.text, ::testing::HasSubstr("\"client\":\"127.0.0.1\""));
}

TEST_F(SmtpListener, ServesIpv6) {
  listen(AF_INET6);
  auto peer = call();
  EXPECT_EQ(wait_for_line(peer), "220 mx.test ESMTP Mansio\r\n");
  EXPECT_THAT(sink.text, ::testing::HasSubstr("\"client\":\"::1\""));
}

TEST_F(SmtpListener, TakesNoConnectionOnceItIsRetiredAndServesThoseThatItHas) {
  listen(AF_INET);
  auto peer = call();
  EXPECT_EQ(wait_for_line(peer), "220 mx.test ESMTP Mansio\r\n");
  server->retire([] {});
  settle();
  const io::UniqueFd late{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  EXPECT_NE(::connect(late.get(), reinterpret_cast<sockaddr *>(&address_), length_), 0);
  peer.send("NOOP\r\n");
  EXPECT_EQ(wait_for_line(peer), "250 2.0.0 Ok\r\n");
}

TEST_F(SmtpListener, AnswersOutOfDescriptorsWith421AndGoesOnLater) {
  listen(AF_INET);
  auto refused = call();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(lowest_free);
  const rlimit none_left{static_cast<rlim_t>(lowest_free), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  const auto reply = wait_for_line(refused);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(reply, "421 4.3.2 mx.test Error: too busy, try again later\r\n");
  auto served = call();
  EXPECT_EQ(wait_for_line(served), "220 mx.test ESMTP Mansio\r\n");
  EXPECT_EQ(service.counters.refused_connections, 1u);
  EXPECT_TRUE(service.stressed);
  EXPECT_THAT(sink.text, ::testing::HasSubstr("\"reason\":\"out of descriptors\""));
}

}  // namespace
}  // namespace mansio::ingress
