// A server in memory: sessions run over socket pairs, the spool is a vector, time stands still unless told.
#pragma once

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernel/base/crc32c.hpp"
#include "kernel/ingress/environment.hpp"
#include "kernel/ingress/server.hpp"
#include "kernel/ingress/tls.hpp"
#include "kernel/process/shared.hpp"

namespace mansio::ingress::testing {

struct Stored {
  MessageId id;
  std::string prefix, body;
  Envelope envelope;
};

class FakeDraft final : public spool::Draft {
 public:
  explicit FakeDraft(std::optional<Error> &fails) : fails_(fails) {}
  Task<Result<void>> append(std::string_view bytes) override {
    if (fails_) co_return *fails_;
    body += bytes;
    co_return Result<void>{};
  }
  Task<Result<spool::DraftCopy>> copy(Head head) override {
    if (fails_) co_return *fails_;
    const auto all = (head ? head(crc32c(body), body.size()) : std::string{}) + body;
    spool::DraftCopy copy;
    copy.content = std::move(*io::Memfd::create("message"));
    EXPECT_TRUE(copy.content.write(all).ok());
    co_return copy;
  }
  std::uint64_t size() const override { return body.size(); }
  std::string body;

 private:
  std::optional<Error> &fails_;
};

class FakeWriter final : public spool::Writer {
 public:
  explicit FakeWriter(asio::io_context &loop) : gate_(loop) {
    gate_.expires_at(std::chrono::steady_clock::time_point::max());
  }
  std::unique_ptr<spool::Draft> begin() override { return std::make_unique<FakeDraft>(append_fails); }
  Task<Result<MessageId>> reserve_id() override {
    if (reserve_fails) co_return *reserve_fails;
    co_return MessageId::make(1, 1, ++last_);
  }
  Task<Result<spool::Committed>> commit(MessageId id, std::string_view prefix, std::unique_ptr<spool::Draft> body,
                                        const Envelope &envelope, Durability) override {
    Stored stored{id, std::string{prefix}, static_cast<FakeDraft &>(*body).body, envelope};
    if (hold) {
      ErrorCode ignored;
      co_await gate_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    if (commit_fails) co_return *commit_fails;
    stored_messages.push_back(std::move(stored));
    co_return spool::Committed{id, {}, {}, {}};
  }
  Task<Result<std::vector<spool::Committed>>> commit(std::vector<spool::NewMessage> messages, Durability) override {
    ++together;
    std::vector<spool::Committed> committed;
    std::vector<Stored> all;
    for (auto &m : messages) {
      all.push_back({m.id, std::move(m.prefix), static_cast<FakeDraft &>(*m.body).body, *m.envelope});
      committed.push_back({m.id, {}, {}, {}});
    }
    if (commit_fails) co_return *commit_fails;
    for (auto &stored : all) stored_messages.push_back(std::move(stored));
    co_return committed;
  }
  bool ready() const override { return true; }
  void close() override {}
  std::uint64_t syncs() const override { return stored_messages.size(); }
  std::shared_ptr<const void> reserve_memory(std::uint64_t) override {
    return memory_tight ? nullptr : std::make_shared<int>();
  }
  void release() {
    hold = false;
    gate_.cancel();
  }

  std::vector<Stored> stored_messages;
  std::optional<Error> append_fails, reserve_fails, commit_fails;
  bool hold = false, memory_tight = false;
  int together = 0;  // commits of several messages

 private:
  asio::steady_timer gate_;
  std::uint32_t last_ = 0;
};

class FakePolicy final : public Policy {
 public:
  Verdict recipient(const config::Smtpd &smtpd, const Client &, std::string_view, std::string_view recipient) override {
    const bool known_only = !smtpd.overrides("no_unknown_recipient_checks");
    Verdict v;
    if (recipient.ends_with("@elsewhere.example"))
      v.refusal = Reply{554, {5, 7, 1}, "Relay access denied"};
    else if (known_only && recipient.starts_with("nobody@"))
      v.refusal = Reply{550, {5, 1, 1}, "No such user here"};
    v.address = recipient == "postmaster" ? "postmaster@mx.test" : recipient;
    v.route = Route{recipient.ends_with(".two") ? "two" : "one", ""};
    return v;
  }
};

class FakeIntake final : public Intake {
 public:
  std::optional<Reply> refusal() const override { return why; }
  bool slows(const Client &) const override { return slow; }
  void committed(const spool::Committed &message, const Envelope &) override { noticed.push_back(message.id); }
  Task<Result<std::uint64_t>> flush(std::string domain, std::string by) override {
    flushed.emplace_back(std::move(domain), std::move(by));
    co_return waiting;
  }
  std::uint64_t spool() const override { return spool_name; }
  void abandoned(MessageId id) override { given_up.push_back(id); }
  std::optional<Reply> why;
  std::uint64_t spool_name = 0x7000000000000001;
  std::vector<MessageId> noticed, given_up;
  std::vector<std::pair<std::string, std::string>> flushed;
  Result<std::uint64_t> waiting = std::uint64_t{0};
  bool slow = false;
};

class FakeCensus final : public Census {
 public:
  std::uint32_t connections(std::string_view) const override { return static_cast<std::uint32_t>(now); }
  Nanos stressed_until(std::string_view) const override { return stressed; }
  bool stress(std::string_view, Nanos until) override {
    const bool begins = stressed == 0;
    stressed = std::max(stressed, until);
    return begins;
  }
  bool relax(std::string_view, Nanos time) override {
    const bool ends = stressed != 0 && stressed <= time;
    if (ends) stressed = 0;
    return ends;
  }
  process::Admission connect(std::string_view listener, const process::ClientKey &client,
                             process::ConnectionLimits asked) override {
    came = client;
    limits[std::string{listener}] = asked;
    if (answer != process::Admission::Admitted) return answer;
    if (asked.listener != 0 && now >= static_cast<int>(asked.listener)) return process::Admission::TotalLimit;
    ++now;
    return answer;
  }
  void disconnect(std::string_view, const process::ClientKey &client) override {
    --now;
    left = client;
  }
  // In the real table, as process slot 0; tests count in events() what other processes would.
  std::uint32_t count_event(std::string_view listener, const process::ClientKey &client, process::ClientEvent event,
                            process::RateTime time) override {
    return events().count_event(0, listener, client, event, time);
  }
  std::uint32_t counted_events(std::string_view listener, const process::ClientKey &client, process::ClientEvent event,
                               process::RateTime time) const override {
    return shared_ ? shared_->counted_events(listener, client, event, time) : 0;
  }
  process::SharedMemory &events() {
    if (!shared_) shared_ = std::move(*process::SharedMemory::create());
    return *shared_;
  }
  process::Admission answer = process::Admission::Admitted;
  int now = 0;
  Nanos stressed = 0;  // until then
  std::map<std::string, process::ConnectionLimits> limits;
  process::ClientKey came{}, left{};

 private:
  std::unique_ptr<process::SharedMemory> shared_;  // made when it is needed
};

class LinesSink final : public LogSink {
 public:
  void emit(LogLevel, std::string_view line) override { text += line; }
  std::string text;
};

class Peer {  // the client's end
 public:
  Peer() = default;
  explicit Peer(int fd) : fd_(fd) {}
  bool send(std::string_view text) {
    return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // Everything that has arrived.
  std::string received() {
    char block[65536];
    std::string out;
    for (ssize_t n; (n = ::recv(fd_.get(), block, sizeof block, MSG_DONTWAIT)) >= 0;) {
      if (n == 0) {
        closed_ = true;
        break;
      }
      out.append(block, static_cast<std::size_t>(n));
    }
    return out;
  }
  bool closed() const { return closed_; }
  void hang_up() { fd_.reset(); }
  io::UniqueFd release() { return std::move(fd_); }

 private:
  io::UniqueFd fd_;
  bool closed_ = false;
};

class SmtpServerTest : public ::testing::Test {
 protected:
  SmtpServerTest() {
    settings.myhostname = "mx.test";
    service.name = "smtp";
    service.smtpd.error_sleep_time = 0;
    client_address.ss_family = AF_UNIX;
  }
  // Clients that dial from now on come from there.
  void come_from(const char *address) {
    client_address = {};
    auto &in6 = reinterpret_cast<sockaddr_in6 &>(client_address);
    in6.sin6_family = AF_INET6;
    if (::inet_pton(AF_INET6, address, &in6.sin6_addr) == 1) return;
    client_address = {};
    auto &in = reinterpret_cast<sockaddr_in &>(client_address);
    in.sin_family = AF_INET;
    EXPECT_EQ(::inet_pton(AF_INET, address, &in.sin_addr), 1);
  }
  void SetUp() override {
    server =
        std::make_unique<Server>(Environment{loop, clock, log, settings, 7, writer, policy, intake, census, nullptr});
  }
  void TearDown() override { server.reset(); }

  // Everything that can happen now has happened afterwards.
  void settle() {
    for (int idle = 0; idle < 3;) {
      loop.restart();
      idle = loop.poll() == 0 ? idle + 1 : 0;
    }
  }
  Peer dial() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    server->serve(service, io::UniqueFd{ends[0]}, client_address);
    return Peer{ends[1]};
  }
  Peer connect() {  // past the greeting
    auto peer = dial();
    settle();
    EXPECT_EQ(peer.received(), "220 mx.test ESMTP Mansio\r\n");
    return peer;
  }
  std::string say(Peer &peer, std::string_view text) {
    peer.send(text);
    settle();
    return peer.received();
  }
  Peer greet() {  // past EHLO
    auto peer = connect();
    EXPECT_THAT(say(peer, "EHLO client.test\r\n"), ::testing::StartsWith("250-mx.test\r\n"));
    return peer;
  }
  Peer ready_for_data() {
    auto peer = greet();
    EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"),
              "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
    return peer;
  }

  asio::io_context loop{1};
  VirtualClock clock;
  LinesSink sink;
  Logger log{sink, clock, "ingress.0", LogLevel::Debug};
  config::Settings settings;
  FakeWriter writer{loop};
  FakePolicy policy;
  FakeIntake intake;
  FakeCensus census;
  Service service;
  sockaddr_storage client_address{};
  std::unique_ptr<Server> server;
};

}  // namespace mansio::ingress::testing
