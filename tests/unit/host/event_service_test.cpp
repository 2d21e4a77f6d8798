// How a host process passes events on to its plugin (tests/fixtures/event-odd.c, which says what it was told).
#include "kernel/host/event_service.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using ::testing::ElementsAre;

// Each look at it takes `step`.
class SlowClock final : public Clock {
 public:
  Nanos wall() const override { return 1'700'000'000 * kSecond; }
  Nanos mono() const override { return now_ += step; }
  Nanos step = 0;

 private:
  mutable Nanos now_ = 0;
};

class EventServiceTest : public ::testing::Test {
 protected:
  ~EventServiceTest() override {
    for (const auto &channel : {ours_, queue_})
      if (channel) channel->close();
    loop_.restart();
    loop_.poll();
  }

  void start() {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/event-odd.so");
    ASSERT_TRUE(plugin.ok()) << plugin.error().text;
    auto made = EventInstance::create({loop_, clock_, log_, dns_}, **plugin,
                                      {"odd", {{"do", "say"}, {"events", "127"}}, {}, {}});
    ASSERT_TRUE(made.ok()) << made.error().text;
    service_.emplace(loop_, clock_, std::move(*made), [this] { ++idle_; });
    auto pair = io::channel_pair();
    ASSERT_TRUE(pair.ok()) << pair.error().text;
    ours_ = io::Channel::create(loop_, std::move(pair->first));
    queue_ = io::Channel::create(loop_, std::move(pair->second));
    ours_->start([](io::Message &) {}, [](std::string_view) {});
    queue_->start(
        [this](io::Message &m) {
          if (const auto taken = decode<wire::EventsTaken>(m.payload); taken && m.type == wire::EventsTaken::kType)
            answers_.push_back(taken->count);
        },
        [](std::string_view) {});
  }
  static wire::Events batch(std::size_t n) {
    wire::Events events;
    for (std::size_t i = 0; i < n; ++i) {
      wire::Event event;
      event.kind = wire::EventKind::Bounced;
      event.recipient = std::to_string(i) + "@example.net";
      events.events.push_back(encode(event));
    }
    return events;
  }
  std::size_t told() const {
    std::size_t n = 0;
    for (auto at = lines_.text.find("told 5"); at != std::string::npos; at = lines_.text.find("told 5", at + 1)) ++n;
    return n;
  }
  void run_until_answered(std::size_t answers) {
    for (int i = 0; i < 1000 && answers_.size() < answers; ++i) loop_.run_one_for(std::chrono::milliseconds{100});
  }

  asio::io_context loop_;
  SlowClock clock_;
  Lines lines_;
  Logger log_{lines_, clock_, "test"};
  NoDns dns_;
  int idle_ = 0;
  std::vector<std::uint32_t> answers_;
  std::optional<EventService> service_;
  std::shared_ptr<io::Channel> ours_, queue_;
};

TEST_F(EventServiceTest, AnswersForABatchAtOnceWhenThePluginIsQuick) {
  start();
  service_->take(ours_, batch(3));
  EXPECT_EQ(told(), 0u);  // not inside the call
  EXPECT_FALSE(service_->idle());
  run_until_answered(1);
  EXPECT_EQ(told(), 3u);
  EXPECT_THAT(answers_, ElementsAre(3u));
  EXPECT_TRUE(service_->idle());
  EXPECT_EQ(idle_, 1);
}

TEST_F(EventServiceTest, LetsTheLoopTurnBetweenTheEventsOfASlowPluginAndAnswersForEach) {
  clock_.step = kSecond;
  start();
  service_->take(ours_, batch(3));
  std::vector<std::size_t> seen;  // by others on the loop
  std::function<void()> other = [&] {
    seen.push_back(told());
    if (!service_->idle()) asio::post(loop_, other);
  };
  asio::post(loop_, other);
  run_until_answered(3);
  EXPECT_EQ(told(), 3u);
  EXPECT_THAT(answers_, ElementsAre(1u, 1u, 1u));
  EXPECT_THAT(seen, ElementsAre(1u, 2u, 3u));
  EXPECT_EQ(idle_, 1);
}

TEST_F(EventServiceTest, TellsThePluginAlsoWhenTheQueueThatSentThemIsGone) {
  start();
  service_->take({}, batch(2));
  service_->take(ours_, batch(1));
  run_until_answered(1);
  EXPECT_EQ(told(), 3u);
  EXPECT_THAT(answers_, ElementsAre(1u));
}

}  // namespace
}  // namespace mansio::host
