// STARTTLS in the server: nothing said in clear has an effect after the handshake, and certificates are replaced while
// in use.
#include "kernel/ingress/tls.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/support/self_signed.hpp"
#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using mansio::testing::CertificateAndKey;
using mansio::testing::self_signed;

class TlsTest : public testing::SmtpServerTest {
 protected:
  TlsTest() {
    char name[] = "/tmp/mansio-tls-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  ~TlsTest() override { std::filesystem::remove_all(directory_); }

  void write(const std::string &file, const std::string &text) {  // as people are told to: by rename
    std::ofstream{directory_ + "/new"} << text;
    std::filesystem::rename(directory_ + "/new", directory_ + "/" + file);
  }
  std::shared_ptr<TlsContext> context() {
    return std::make_shared<TlsContext>(directory_ + "/cert.pem", directory_ + "/key.pem", log);
  }
  static void open_directly(const std::string &path, const std::function<void(Result<io::UniqueFd>)> &done) {
    io::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (fd)
      done(std::move(fd));
    else
      done(Error{Status::Fail, "cannot open"});
  }
  void use(const CertificateAndKey &pair) {
    write("cert.pem", pair.certificate);
    write("key.pem", pair.key);
  }
  void enable() {
    use(self_signed());
    service.tls = context();
    service.tls->refresh(open_directly);
    ASSERT_TRUE(service.tls->current());
  }

  std::string directory_;
};

// A client that has been told "220" and continues through TLS.
class TlsPeer {
 public:
  TlsPeer(asio::io_context &loop, int fd) : context_(asio::ssl::context::tls_client), stream_(loop, context_) {
    stream_.next_layer().assign(asio::local::stream_protocol{}, fd);
  }
  void handshake() {
    stream_.async_handshake(asio::ssl::stream_base::client, [this](const ErrorCode &e) { shaken = !e; });
  }
  void send(std::string text) {
    pending_ = std::move(text);
    asio::async_write(stream_, asio::buffer(pending_), [](const ErrorCode &, std::size_t) {});
    stream_.async_read_some(asio::buffer(block_),
                            [this](const ErrorCode &, std::size_t n) { received.append(block_, n); });
  }
  // Each in a record of its own, all of them before the server sees the first.
  void send_records(std::initializer_list<std::string_view> records) {
    for (const auto record : records) asio::write(stream_, asio::buffer(record));
    stream_.async_read_some(asio::buffer(block_),
                            [this](const ErrorCode &, std::size_t n) { received.append(block_, n); });
  }
  bool shaken = false;
  std::string received;

 private:
  asio::ssl::context context_;
  asio::ssl::stream<asio::local::stream_protocol::socket> stream_;
  std::string pending_;
  char block_[4096];
};

using SmtpServerTls = TlsTest;

TEST(MakeTlsContext, TakesNoVersionBeforeTls12) {
  const auto pair = self_signed();
  const auto context = make_tls_context(pair.certificate, pair.key);
  ASSERT_TRUE(context.ok());
  EXPECT_EQ(SSL_CTX_get_min_proto_version((*context)->native_handle()), TLS1_2_VERSION);
}

TEST_F(SmtpServerTls, OffersStartTlsAndForgetsWhatCameBefore) {
  enable();
  auto peer = connect();
  EXPECT_THAT(say(peer, "EHLO client.test\r\n"), HasSubstr("250-STARTTLS\r\n"));
  EXPECT_THAT(say(peer, "HELP\r\n"), HasSubstr(" STARTTLS"));
  say(peer, "MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(say(peer, "STARTTLS\r\n"), "220 2.0.0 Ready to start TLS\r\n");
  TlsPeer tls{loop, peer.release().release()};
  tls.handshake();
  settle();
  ASSERT_TRUE(tls.shaken);
  tls.send("RCPT TO:<c@d.example>\r\n");
  settle();
  EXPECT_EQ(tls.received, "503 5.5.1 Error: need MAIL command\r\n");
  tls.received.clear();
  tls.send("EHLO client.test\r\n");
  settle();
  EXPECT_THAT(tls.received, Not(HasSubstr("STARTTLS")));
  tls.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 3 LAST\r\nx\r\n");
  settle();
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  const auto &e = writer.stored_messages[0].envelope;
  EXPECT_EQ(e.protocol, "ESMTPS");
  EXPECT_EQ(e.tls_version, "TLSv1.3");
  EXPECT_NE(e.tls_cipher, "");
  EXPECT_EQ(service.counters.tls_sessions, 1u);
  tls.received.clear();
  tls.send("STARTTLS\r\n");
  settle();
  EXPECT_EQ(tls.received, "554 5.5.1 Error: TLS already active\r\n");
}

TEST_F(SmtpServerTls, RefusesStartTlsToAClientThatMadeTooManySessions) {
  enable();
  service.smtpd.client_new_tls_session_rate_limit = 2;
  auto good = greet();
  say(good, "STARTTLS\r\n");
  TlsPeer tls{loop, good.release().release()};
  tls.handshake();
  settle();
  ASSERT_TRUE(tls.shaken);
  auto bad = greet();
  say(bad, "STARTTLS\r\n");
  say(bad, "EHLO in the clear\r\n");  // a handshake that fails is work, too
  auto refused = greet();
  EXPECT_EQ(say(refused, "STARTTLS\r\n"), "421 4.7.0 mx.test Error: too many new TLS sessions from unix\r\n");
  EXPECT_TRUE(refused.closed());
  EXPECT_EQ(service.counters.rate_limited[static_cast<std::size_t>(process::ClientEvent::NewTlsSession)], 1u);
  clock.advance(60 * kSecond);
  auto later = greet();
  EXPECT_THAT(say(later, "STARTTLS\r\n"), StartsWith("220 "));
}

TEST_F(SmtpServerTls, EndsASessionWhoseHandshakeWasOvertakenByTooManyOthers) {
  enable();
  service.smtpd.client_new_tls_session_rate_limit = 1;
  auto peer = greet();
  say(peer, "STARTTLS\r\n");
  census.events().count_event(1, "smtp", {}, process::ClientEvent::NewTlsSession, {60 * kSecond, clock.mono()});
  TlsPeer tls{loop, peer.release().release()};
  tls.handshake();
  settle();
  ASSERT_TRUE(tls.shaken);
  tls.send("EHLO client.test\r\n");
  settle();
  EXPECT_EQ(tls.received, "421 4.7.0 mx.test Error: too many new TLS sessions from unix\r\n");
}

TEST_F(SmtpServerTls, RefusesCommandsInjectedBehindStartTls) {
  enable();
  auto peer = greet();
  EXPECT_EQ(say(peer, "STARTTLS\r\nMAIL FROM:<evil@x>\r\n"), "554 5.5.0 Error: SMTP protocol synchronization\r\n");
  EXPECT_TRUE(peer.closed());
}

TEST_F(SmtpServerTls, DropsInjectedCommandsEvenWherePipeliningIsTolerated) {
  enable();
  service.smtpd.forbid_unauth_pipelining = false;
  auto peer = greet();
  EXPECT_EQ(say(peer, "STARTTLS\r\nMAIL FROM:<evil@x>\r\n"), "220 2.0.0 Ready to start TLS\r\n");
  TlsPeer tls{loop, peer.release().release()};
  tls.handshake();
  settle();
  ASSERT_TRUE(tls.shaken);
  tls.send("RCPT TO:<c@d.example>\r\n");
  settle();
  EXPECT_EQ(tls.received, "503 5.5.1 Error: need MAIL command\r\n");
}

TEST_F(SmtpServerTls, RefusesPipeliningInARecordOfItsOwn) {
  enable();
  auto peer = greet();
  say(peer, "STARTTLS\r\n");
  TlsPeer tls{loop, peer.release().release()};
  tls.handshake();
  settle();
  ASSERT_TRUE(tls.shaken);
  tls.send_records({"EHLO client.test\r\n", "MAIL FROM:<a@b.example>\r\n"});
  settle();
  EXPECT_EQ(tls.received, "554 5.5.0 Error: SMTP protocol synchronization\r\n");
}

TEST_F(SmtpServerTls, EndsTheSessionWhenTheHandshakeFails) {
  enable();
  auto peer = greet();
  say(peer, "STARTTLS\r\n");
  say(peer, "EHLO in the clear\r\n");
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(service.counters.tls_failures, 1u);
}

TEST_F(SmtpServerTls, HasNoLastWordsForAClientThatDoesNotShakeHands) {
  enable();
  auto peer = greet();
  say(peer, "STARTTLS\r\n");
  clock.advance(service.smtpd.starttls_timeout);
  server->sweep();
  settle();
  EXPECT_EQ(peer.received(), "");
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(server->sessions(), 0u);
  EXPECT_EQ(service.counters.timeouts, 1u);
}

TEST_F(SmtpServerTls, HasLessPatienceWithHandshakesUnderStress) {
  enable();
  census.stress(service.name, clock.mono() + 1000 * kSecond);
  auto peer = greet();
  say(peer, "STARTTLS\r\n");
  clock.advance(service.smtpd.stress_starttls_timeout - 1);
  server->sweep();
  settle();
  EXPECT_EQ(peer.received(), "");
  EXPECT_FALSE(peer.closed());
  clock.advance(1);
  server->sweep();
  settle();
  EXPECT_EQ(peer.received(), "");
  EXPECT_TRUE(peer.closed());
}

TEST_F(SmtpServerTls, CountsTheEhloAfterTheHandshakeForNoJunk) {
  enable();
  service.smtpd.junk_command_limit = 1;
  service.smtpd.hard_error_limit = 1;
  auto peer = greet();
  say(peer, "STARTTLS\r\n");
  TlsPeer tls{loop, peer.release().release()};
  tls.handshake();
  settle();
  ASSERT_TRUE(tls.shaken);
  for (const auto *command : {"EHLO client.test\r\n", "NOOP\r\n"}) {
    tls.received.clear();
    tls.send(command);
    settle();
    EXPECT_THAT(tls.received, StartsWith("250"));
    EXPECT_THAT(tls.received, Not(HasSubstr("421"))) << command;
  }
}

TEST_F(SmtpServerTls, WantsTlsFirstWhereItIsMandatory) {
  enable();
  service.smtpd.tls_security_level = config::TlsLevel::Encrypt;
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "530 5.7.0 Must issue a STARTTLS command first\r\n");
  EXPECT_EQ(say(peer, "DATA\r\n"), "530 5.7.0 Must issue a STARTTLS command first\r\n");
  EXPECT_EQ(say(peer, "NOOP\r\n"), "250 2.0.0 Ok\r\n");
}

TEST_F(SmtpServerTls, SaysSoWhenThereIsNoCertificateYet) {
  service.tls = context();
  auto peer = greet();
  EXPECT_EQ(say(peer, "STARTTLS\r\n"), "454 4.7.0 TLS not available due to local problem\r\n");
}

TEST_F(SmtpServerTls, TakesAChangedCertificateAndKeepsTheOldOneWhenTheNewIsBroken) {
  enable();
  const auto first = service.tls->current();
  service.tls->refresh(open_directly);
  EXPECT_EQ(service.tls->current(), first) << "unchanged files are not read again";
  write("cert.pem", "not a certificate");
  service.tls->refresh(open_directly);
  EXPECT_EQ(service.tls->current(), first);
  EXPECT_THAT(sink.text, HasSubstr("certificate not reloaded"));
  write("cert.pem", self_signed().certificate);  // of another key
  service.tls->refresh(open_directly);
  EXPECT_EQ(service.tls->current(), first);
  use(self_signed());
  service.tls->refresh(open_directly);
  EXPECT_NE(service.tls->current(), first);
  std::filesystem::remove(directory_ + "/key.pem");
  const auto second = service.tls->current();
  service.tls->refresh(open_directly);
  EXPECT_EQ(service.tls->current(), second);
}

}  // namespace
}  // namespace mansio::ingress
