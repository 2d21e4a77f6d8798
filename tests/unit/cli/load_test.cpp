// The parts of the load tools that need no connection: the histogram behind the figures, fault rules, end points. The
// tools themselves run in tests/system/test_load_tools.py.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "kernel/cli/load/endpoint.hpp"
#include "kernel/cli/load/faults.hpp"
#include "kernel/cli/load/histogram.hpp"

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

TEST(LoadEndpoint, ReadsAddressesAndTimes) {
  EXPECT_EQ(parse_endpoint("unix:/tmp/x", true)->unix_path, "/tmp/x");
  EXPECT_EQ(parse_endpoint("[::1]:25", true)->host, "::1");
  EXPECT_FALSE(parse_endpoint("127.0.0.1", true).ok());
  EXPECT_FALSE(parse_endpoint("unix:" + std::string(200, 'x'), true).ok());
  EXPECT_EQ(*parse_duration("2"), std::chrono::seconds{2});
  EXPECT_EQ(*parse_duration("1.5ms"), std::chrono::microseconds{1500});
  for (const auto *text : {"", "x", "-1s", "1h", "1e9s", "nan"}) EXPECT_FALSE(parse_duration(text).ok()) << text;
}

}  // namespace
}  // namespace mansio::cli::load
