// What a host gives its plugins, for its tests: a loop, the clock, a log that is kept and a resolver that never
// answers.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "kernel/base/clock.hpp"
#include "kernel/base/log.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/dns.hpp"

namespace mansio::host {

// All that was logged.
class Lines final : public LogSink {
 public:
  void emit(LogLevel, std::string_view line) override {
    text += line;
    ++count;
  }
  std::string text;
  std::size_t count = 0;
};

class NoDns final : public io::Dns {
 public:
  void query(std::string_view, io::DnsType, std::function<void(const io::DnsResult &)>) override {}
};

class HostTest : public ::testing::Test {
 protected:
  // Lets things happen until it is so; false when it does not come to that.
  template <class P>
  bool until(P done) {
    loop_.restart();
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!done() && std::chrono::steady_clock::now() < limit) {
      loop_.run_one_for(std::chrono::milliseconds{100});
      loop_.restart();
    }
    return done();
  }

  asio::io_context loop_;
  SystemClock clock_;
  Lines lines_;
  Logger log_{lines_, clock_, "test"};
  NoDns dns_;
};

}  // namespace mansio::host
