// The transports on the SDK's fake host, in the words of these tests: results in the order of the recipients, and
// options with "50ms" for short time-outs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mansio/testing/fake_host.hpp"
#include "plugins/transport-smtp/client/transport.hpp"
#include "plugins/transport-smtp/tests/fake_server.hpp"

namespace mansio::smtp::test {

using mansio::testing::FakeHost;
using mansio::testing::FakeReply;

inline constexpr std::int64_t kSecond = 1'000'000'000;  // of the host's clock

struct Mail : mansio::testing::FakeMail {
  Mail() {
    sender = "from@example.net";
    content = "Subject: hi\r\n\r\nHello\r\n";
    recipients = {{"to@example.com", "", "", 0}};
  }
};

inline Mail mail_to(const FakeServer &server, std::vector<std::string> addresses = {"to@example.com"}) {
  Mail mail;
  mail.nexthop = server.nexthop;
  mail.recipients.clear();
  for (auto &address : addresses) mail.recipients.push_back({std::move(address), "", "", 0});
  return mail;
}

class TestHost {
 public:
  explicit TestHost(const Personality &personality = kSmtp, std::map<std::string, std::string> options = {})
      : lmtp_(personality.lmtp), options_(std::move(options)) {
    // Most tests do not care whether anything says that more mail will come.
    options_.try_emplace(std::string{personality.prefix} + "connection_cache_destinations",
                         "127.0.0.1, 127.0.0.2, 127.0.0.3, example.com, .example.com, mx.example.net");
  }

  std::map<std::string, std::string> facts{{"myhostname", "client.example.net"}};

  // Made on first use, so that facts can be set before.
  FakeHost &fake() {
    if (!fake_)
      fake_ = std::make_unique<FakeHost>(lmtp_ ? plugin::Glue<LmtpTransport, plugin::TransportKind>::entry()
                                               : plugin::Glue<SmtpTransport, plugin::TransportKind>::entry(),
                                         options_, facts);
    return *fake_;
  }
  void answer(const std::string &name, std::uint16_t type, std::vector<plugin::DnsRecord> records) {
    fake().dns[{name, type}] = {MANSIO_OK, std::move(records), ""};
  }
  void answer(const std::string &name, std::uint16_t type, mansio_status status) {
    fake().dns[{name, type}] = {status, {}, "no answer"};
  }
  bool asked(const std::string &name, std::uint16_t type) {
    const auto &all = fake().dns_queries;
    return std::find(all.begin(), all.end(), std::pair{name, type}) != all.end();
  }

  std::vector<FakeReply> deliver(const Mail &mail) {
    const auto op = fake().deliver(mail);
    if (!fake().run_until([&] { return fake().completed(op); })) return {};
    return results(op);
  }
  std::vector<FakeReply> results(std::uint64_t op) {
    EXPECT_EQ(fake().faults, std::vector<std::string>{});
    std::vector<FakeReply> all;
    for (const auto &[index, reply] : fake().result(op).recipients) all.push_back(reply);
    return all;
  }

 private:
  bool lmtp_;
  std::map<std::string, std::string> options_;
  std::unique_ptr<FakeHost> fake_;
};

}  // namespace mansio::smtp::test
