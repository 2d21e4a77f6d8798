// The parts of the load tools that need no connection: the histogram behind the figures, fault rules, end points. The
// tools themselves run in tests/system/test_load_tools.py.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernel/cli/load/content.hpp"
#include "kernel/cli/load/endpoint.hpp"
#include "kernel/cli/load/faults.hpp"
#include "kernel/cli/load/histogram.hpp"
#include "kernel/cli/load/sink_dump.hpp"

namespace mansio::cli::load {
namespace {

TEST(LoadHistogram, QuantilesAreExactToThreePercent) {
  Histogram h;
  EXPECT_EQ(h.quantile(0.5), 0u);
  for (std::uint64_t v = 1; v <= 100'000; ++v) h.add(v);
  for (const double q : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    EXPECT_GE(static_cast<double>(h.quantile(q)), q * 100'000);
    EXPECT_LE(static_cast<double>(h.quantile(q)), q * 100'000 * 1.04);
  }
  EXPECT_EQ(h.max(), 100'000u);
  EXPECT_DOUBLE_EQ(h.mean(), 50'000.5);
}

TEST(LoadHistogram, TakesTheWholeRange) {
  Histogram h;
  h.add(0);
  h.add(31);
  h.add(32);
  h.add(~std::uint64_t{0});
  EXPECT_EQ(h.quantile(0.25), 0u);
  EXPECT_EQ(h.quantile(0.5), 31u);
  EXPECT_EQ(h.quantile(0.75), 32u);
  EXPECT_EQ(h.quantile(1), ~std::uint64_t{0});
}

TEST(LoadHistogram, BarsCountEverySampleOnce) {
  Histogram h;
  EXPECT_TRUE(h.bars().empty());
  for (const std::uint64_t v : {0, 1, 2, 6, 7, 400}) h.add(v);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> got;
  for (const auto &bar : h.bars()) got.emplace_back(bar.upto, bar.count);
  // From the first that is not empty to the last.
  const decltype(got) expected{{1, 2}, {2, 1}, {5, 0}, {10, 2}, {20, 0}, {50, 0}, {100, 0}, {200, 0}, {500, 1}};
  EXPECT_EQ(got, expected);
  h.add(~std::uint64_t{0});
  std::uint64_t sum = 0;
  for (const auto &bar : h.bars()) sum += bar.count;
  EXPECT_EQ(sum, h.count());
  EXPECT_EQ(h.bars().back().upto, ~std::uint64_t{0});
}

TEST(LoadFaults, RulesAreReadAsWritten) {
  const auto reply = parse_fault(FaultKind::Reply, "RCPT~bad@:550 5.1.1 no: nobody:0.5");
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->stage, "RCPT");
  EXPECT_EQ(reply->text, "bad@");
  EXPECT_EQ(reply->reply, "550 5.1.1 no: nobody");
  EXPECT_EQ(reply->probability, 0.5);
  EXPECT_EQ(parse_fault(FaultKind::Reply, "RCPT:450")->reply, "450 4.0.0 as asked");
  EXPECT_EQ(parse_fault(FaultKind::Drop, "DATA_END:0.1")->probability, 0.1);
  EXPECT_EQ(parse_fault(FaultKind::Drop, "DATA_END")->probability, 1);
  EXPECT_EQ(parse_fault(FaultKind::Delay, "CONNECT:250ms:0.5")->delay, std::chrono::milliseconds{250});
}

TEST(LoadFaults, ActOnTheStageAndArgumentTheyName) {
  Faults faults;
  faults.add(*parse_fault(FaultKind::Reply, "RCPT~bad@:550"));
  faults.add(*parse_fault(FaultKind::Delay, "RCPT:1s"));
  faults.add(*parse_fault(FaultKind::Drop, "RCPT:0"));
  const auto bad = faults.judge("RCPT", "TO:<bad@example.com>");
  ASSERT_NE(bad.reply, nullptr);
  EXPECT_EQ(*bad.reply, "550 5.0.0 as asked");
  EXPECT_EQ(bad.delay, std::chrono::seconds{1});
  EXPECT_EQ(faults.judge("RCPT", "TO:<good@example.com>").reply, nullptr);
  EXPECT_FALSE(faults.judge("RCPT", "").drop);
  EXPECT_EQ(faults.judge("MAIL", "bad@").delay.count(), 0);
}

TEST(LoadFaults, SmtpSinksCommandsAreNotStages) {
  FaultRule like;
  like.kind = FaultKind::Reply;
  like.reply = "500 no";
  const auto rules = command_rules("ehlo, Rcpt\t.", like);
  ASSERT_TRUE(rules.ok());
  ASSERT_EQ(rules->size(), 3u);
  Faults faults;
  for (const auto &rule : *rules) faults.add(rule);
  EXPECT_NE(faults.judge("HELO", "x", "EHLO").reply, nullptr);
  EXPECT_EQ(faults.judge("HELO", "x", "HELO").reply, nullptr);
  EXPECT_NE(faults.judge("RCPT", "x").reply, nullptr);
  EXPECT_NE(faults.judge("DATA_END", "x", ".").reply, nullptr);
  EXPECT_FALSE(command_rules("EXPN", like).ok());
  EXPECT_TRUE(command_rules(" ,", like)->empty());
}

TEST(LoadFaults, ADelayWithOddsIsAMultiple) {
  const auto plain = parse_delay("data:2");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->stage, "DATA");
  EXPECT_EQ(plain->delay, std::chrono::seconds{2});
  Faults faults{7};
  faults.add(*parse_delay("NOOP:10ms:50"));
  std::chrono::nanoseconds sum{}, most{};
  for (int i = 0; i < 1000; ++i) {
    const auto delay = faults.judge("NOOP", "").delay;
    EXPECT_EQ(delay % std::chrono::milliseconds{10}, std::chrono::nanoseconds{});
    EXPECT_GE(delay, std::chrono::milliseconds{10});
    sum += delay;
    most = std::max(most, delay);
  }
  EXPECT_GT(sum, std::chrono::milliseconds{18'000});  // 20 ms are expected of each
  EXPECT_LT(sum, std::chrono::milliseconds{22'000});
  EXPECT_GT(most, std::chrono::milliseconds{30});
  for (const auto *bad : {"DATA", "DATA:", "DATA:1:0", "DATA:1:100", "DATA:1:x", "A,B:1", ":1"})
    EXPECT_FALSE(parse_delay(bad).ok()) << bad;
}

TEST(LoadContent, HasTheProtocolsLineEnds) {
  EXPECT_EQ(prepared("a\r\n.b\nc", LineForm::Smtp), "a\r\n..b\r\nc\r\n");
  EXPECT_EQ(prepared("a\r\n.b\nc", LineForm::Qmqp), "a\n.b\nc\n");
  for (const std::size_t size : {0, 1, 2, 3, 79, 80, 81, 5120}) {
    EXPECT_LE(generated_body(size, LineForm::Smtp).size(), size);
    EXPECT_GE(generated_body(size, LineForm::Smtp).size() + 2, size);
    EXPECT_GE(generated_body(size, LineForm::Qmqp).size() + 1, size);
  }
  EXPECT_EQ(fill_in("u{r}-{n}.{s}@{d}.x{y}", 7, 2, 3, 4), "u3-7.2@3.x{y}");
}

TEST(LoadDumps, ComeInSmtpSinksForm) {
  TakenMessage m;
  m.client_address = "192.0.2.1";
  m.protocol = "ESMTP";
  m.helo = "client.example";
  m.sender = "a@b.example";
  m.sender_parameters = "SIZE=3";
  m.recipients = {{"c@d.example", ""}, {"e@f.example", "NOTIFY=NEVER"}};
  m.content = "Subject: x\r\n\r\nbody\r\n";
  DumpOptions options;
  options.start = unescape("From x\\n");
  options.hostname = "sink";
  EXPECT_EQ(dumped_text(options, m, "0badcafe", "Sat, 28 Nov 2026 19:25:21 +0000"),
            "From x\nX-Client-Addr: 192.0.2.1\nX-Client-Proto: ESMTP\nX-Helo-Args: client.example\n"
            "X-Mail-Args: <a@b.example> SIZE=3\nX-Rcpt-Args: <c@d.example>\nX-Rcpt-Args: <e@f.example> NOTIFY=NEVER\n"
            "Received: from client.example ([192.0.2.1])\n\tby sink (mansio sink) with ESMTP id 0badcafe;\n"
            "\tSat, 28 Nov 2026 19:25:21 +0000\nSubject: x\n\nbody\n\n");
  EXPECT_EQ(unescape("\\a\\b\\f\\n\\r\\t\\v\\\\\\101\\7x\\q\\"), "\a\b\f\n\r\t\v\\A\7x\\q\\");
}

TEST(LoadEndpoint, ReadsAddressesAndTimes) {
  EXPECT_EQ(parse_endpoint("unix:/tmp/x", true)->unix_path, "/tmp/x");
  EXPECT_EQ(parse_endpoint("[::1]:25", true)->host, "::1");
  EXPECT_FALSE(parse_endpoint("127.0.0.1", true).ok());
  EXPECT_EQ(parse_endpoint("inet:127.0.0.1", false, {0, "25"})->host, "127.0.0.1");
  EXPECT_EQ(parse_endpoint("[::1]", false, {0, "25"})->host, "::1");
  EXPECT_EQ(parse_endpoint("inet::2525", true)->host, "");
  EXPECT_FALSE(parse_endpoint(":25", false).ok());
  EXPECT_FALSE(parse_endpoint("127.0.0.1:25", false, {AF_INET6}).ok());
  EXPECT_FALSE(parse_endpoint("unix:" + std::string(200, 'x'), true).ok());
  EXPECT_EQ(*parse_duration("2"), std::chrono::seconds{2});
  EXPECT_EQ(*parse_duration("1.5ms"), std::chrono::microseconds{1500});
  for (const auto *text : {"", "x", "-1s", "1h", "1e9s", "nan"}) EXPECT_FALSE(parse_duration(text).ok()) << text;
}

}  // namespace
}  // namespace mansio::cli::load
