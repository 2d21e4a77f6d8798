// `mansio source`: the sessions, and the figures at the end.
//
// Latency is the time from MAIL to the last reply to the content, with connection and greeting before the first
// message of a connection left out: it says what a client waits for the server's promise.
#include "kernel/cli/load/source.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>

#include "kernel/base/clock.hpp"
#include "kernel/cli/load/content.hpp"
#include "kernel/cli/load/histogram.hpp"
#include "kernel/cli/load/qmqp_client.hpp"
#include "kernel/cli/load/smtp_client.hpp"
#include "kernel/cli/load/source_options.hpp"
#include "kernel/cli/say.hpp"
#include "kernel/mail/trace.hpp"

namespace mansio::cli {
namespace {

using namespace load;
using SteadyClock = std::chrono::steady_clock;

class Load {
 public:
  Load(asio::io_context &loop, const SourceOptions &options, SourcePlan plan, std::string body, std::FILE *log)
      : loop_(loop),
        options_(options),
        plan_(std::move(plan)),
        watchdog_(loop, plan_.patience),
        body_(std::move(body)),
        log_(log),
        started_(SystemClock{}.wall()) {}

  void start() {
    watchdog_.start();
    sessions_ = std::min<std::uint64_t>(options_.sessions, options_.messages);
    if (sessions_ == 0) watchdog_.stop();
    for (std::size_t i = 0; i < options_.sessions && i < options_.messages; ++i)
      asio::co_spawn(loop_, session(i), asio::detached);
  }

  bool all_accepted() const { return accepted_ == options_.messages; }
  void print(double seconds) const;

 private:
  void print_histogram() const;
  Task<> session(std::size_t number);
  Task<Outcome> attempt(std::unique_ptr<Client> &client, std::uint64_t &on_connection, const OutgoingMessage &message);
  Task<Outcome> deliver(std::unique_ptr<Client> &client, std::uint64_t &on_connection, const OutgoingMessage &message);
  OutgoingMessage compose(std::uint64_t number, std::size_t session, std::string &message_id);
  std::string recipient(std::uint64_t number, std::size_t session, std::size_t which);
  Task<> pause();
  void count(const Outcome &outcome);

  asio::io_context &loop_;
  const SourceOptions &options_;
  const SourcePlan plan_;
  Watchdog watchdog_;
  const std::string body_;
  std::FILE *log_;
  const Nanos started_;

  Histogram latency_;  // microseconds, accepted messages
  std::map<std::string, std::uint64_t, std::less<>> reasons_;
  std::uint64_t next_ = 0, accepted_ = 0, partly_ = 0, refused_ = 0, lost_ = 0, recipients_ = 0, retries_ = 0,
                connections_ = 0;
  std::uint64_t sessions_ = 0, last_recipient_ = 0;
  std::mt19937_64 random_{std::random_device{}()};
};

// Distinct recipients get numbers as smtp-source gives them (3user, 2user, user), unless the pattern says where.
std::string Load::recipient(std::uint64_t number, std::size_t session, std::size_t which) {
  auto address = fill_in(options_.to, number, session, which, options_.domains);
  if (options_.number_recipients) return std::to_string(++last_recipient_) + address;
  const auto left = options_.recipients - which;
  return left == 1 || options_.to.find("{r}") != std::string::npos ? address : std::to_string(left) + address;
}

OutgoingMessage Load::compose(std::uint64_t number, std::size_t session, std::string &message_id) {
  OutgoingMessage message;
  message.sender = fill_in(options_.from, number, session, 0);
  for (std::size_t r = 0; r < options_.recipients; ++r) message.recipients.push_back(recipient(number, session, r));
  message.body = body_;
  message_id = fmt::format("{}.{}@{}", options_.run, number, options_.helo);
  if (options_.file.empty() && !options_.old_mode) {
    message.header =
        fmt::format("From: <{0}>{5}To: <{1}>{5}Subject: {2}{5}Date: {3}{5}Message-ID: <{4}>{5}{5}", message.sender,
                    message.recipients.front(), fill_in(options_.subject, number, session, 0), rfc5322_date(started_),
                    message_id, options_.qmqp ? "\n" : "\r\n");
  }
  return message;
}

Task<Outcome> Load::attempt(std::unique_ptr<Client> &client, std::uint64_t &on_connection,
                            const OutgoingMessage &message) {
  if (client && options_.per_connection != 0 && on_connection >= options_.per_connection) {
    co_await client->quit();
    client.reset();
  }
  if (!client || !client->usable()) {
    if (options_.qmqp)
      client = std::make_unique<QmqpClient>(loop_, watchdog_, plan_.client);
    else
      client = std::make_unique<SmtpClient>(loop_, watchdog_, plan_.client);
    on_connection = 0;
    ++connections_;
    if (!co_await client->open()) {
      auto outcome = failed(client->refused_for_good() ? Outcome::Permanent : Outcome::Lost, client->error());
      client.reset();
      co_return outcome;
    }
  }
  ++on_connection;
  const auto begin = SteadyClock::now();
  auto outcome = co_await client->send(message);
  if (outcome.kind == Outcome::Accepted) {
    latency_.add(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - begin).count()));
  }
  if (outcome.kind == Outcome::Lost) client.reset();
  co_return outcome;
}

Task<Outcome> Load::deliver(std::unique_ptr<Client> &client, std::uint64_t &on_connection,
                            const OutgoingMessage &message) {
  const auto until = SteadyClock::now() + plan_.retry_for;
  for (auto pause = std::chrono::milliseconds{20};; pause = std::min(pause * 2, std::chrono::milliseconds{1000})) {
    auto outcome = co_await attempt(client, on_connection, message);
    if (outcome.kind == Outcome::Accepted || outcome.kind == Outcome::Permanent || SteadyClock::now() + pause > until)
      co_return outcome;
    ++retries_;
    asio::steady_timer timer{loop_, pause};
    ErrorCode ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

Task<> Load::pause() {
  auto time = plan_.wait;
  if (plan_.random_wait.count() > 0)
    time +=
        std::chrono::nanoseconds{std::uniform_int_distribution<std::int64_t>{0, plan_.random_wait.count()}(random_)};
  if (time.count() == 0) co_return;
  asio::steady_timer timer{loop_, time};
  ErrorCode ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

void Load::count(const Outcome &outcome) {
  recipients_ += outcome.recipients;
  switch (outcome.kind) {
    case Outcome::Accepted:
      ++accepted_;
      break;
    case Outcome::Partly:
      ++partly_;
      break;
    case Outcome::Temporary:
    case Outcome::Permanent:
      ++refused_;
      break;
    case Outcome::Lost:
      ++lost_;
      break;
  }
  if (options_.counter) fmt::print(stderr, "{}\r", accepted_ + partly_ + refused_ + lost_);
  // A server whose replies all differ must not fill our memory.
  if (!outcome.reason.empty() && (reasons_.size() < 100 || reasons_.contains(outcome.reason)))
    ++reasons_[outcome.reason];
}

Task<> Load::session(std::size_t number) {
  std::unique_ptr<Client> client;
  std::uint64_t on_connection = 0;
  for (bool first = true; next_ < options_.messages; first = false) {
    if (!first) co_await pause();
    if (next_ >= options_.messages) break;
    std::string message_id;
    const auto message = compose(next_++, number, message_id);
    const auto outcome = co_await deliver(client, on_connection, message);
    count(outcome);
    if (outcome.kind == Outcome::Accepted && log_) {
      fmt::print(log_, "{}\n", message_id);
      std::fflush(log_);
    }
  }
  if (client) co_await client->quit();
  if (--sessions_ == 0) watchdog_.stop();
}

// One line a bar, as wide as its share of the messages.
void Load::print_histogram() const {
  constexpr std::uint64_t kWidth = 50;
  const auto bars = latency_.bars();
  std::uint64_t most = 1;
  for (const auto &bar : bars) most = std::max(most, bar.count);
  for (const auto &bar : bars)
    fmt::print("{:>10} ms {:>10}  {}\n", fmt::format("<= {}", static_cast<double>(bar.upto) / 1000), bar.count,
               std::string(static_cast<std::size_t>((bar.count * kWidth + most - 1) / most), '#'));
}

void Load::print(double seconds) const {
  const double rate = seconds > 0 ? static_cast<double>(accepted_) / seconds : 0;
  const auto ms = [](std::uint64_t us) { return static_cast<double>(us) / 1000; };
  if (options_.json) {
    std::string histogram;
    for (const auto &bar : latency_.bars())
      histogram +=
          fmt::format("{}[{},{}]", histogram.empty() ? "" : ",", static_cast<double>(bar.upto) / 1000, bar.count);
    fmt::print(
        "{{\"messages\":{},\"accepted\":{},\"partly\":{},\"refused\":{},\"lost\":{},\"recipients\":{},\"retries\":{},"
        "\"connections\":{},\"seconds\":{:.3f},\"messages_per_second\":{:.1f},\"latency_ms\":{{\"mean\":{:.3f},\"p50\":"
        "{:.3f},"
        "\"p90\":{:.3f},\"p99\":{:.3f},\"max\":{:.3f},\"histogram\":[{}]}}}}\n",
        options_.messages, accepted_, partly_, refused_, lost_, recipients_, retries_, connections_, seconds, rate,
        latency_.mean() / 1000, ms(latency_.quantile(0.5)), ms(latency_.quantile(0.9)), ms(latency_.quantile(0.99)),
        ms(latency_.max()), histogram);
  } else {
    fmt::print("messages {}: accepted {}, partly {}, refused {}, lost {}; recipients accepted {}\n", options_.messages,
               accepted_, partly_, refused_, lost_, recipients_);
    fmt::print("{:.3f} s, {:.1f} msg/s, connections {}, retries {}\n", seconds, rate, connections_, retries_);
    fmt::print("latency ms: mean {:.3f}  p50 {:.3f}  p90 {:.3f}  p99 {:.3f}  max {:.3f}\n", latency_.mean() / 1000,
               ms(latency_.quantile(0.5)), ms(latency_.quantile(0.9)), ms(latency_.quantile(0.99)), ms(latency_.max()));
    print_histogram();
  }
  for (const auto &[reason, count] : reasons_) fmt::print(stderr, "mansio source: {} x {}\n", count, reason);
}

}  // namespace

int source_main(int argc, char **argv) {
  SourceOptions options;
  CLI::App app{"Sends mail over SMTP, LMTP or QMQP and measures what becomes of it.", "mansio source"};
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.run.empty()) options.run = fmt::format("{}", ::getpid());
  if (app.count("--helo") != 0) {
    if (app.count("--from") == 0) options.from = "source@" + options.helo;
    if (app.count("--to") == 0) options.to = "user{r}@" + options.helo;
  }
  auto plan = plan_of(options);
  if (!plan) return refuse("source", plan.error().text);
  const auto form = options.qmqp ? LineForm::Qmqp : LineForm::Smtp;
  std::string body;
  if (options.file.empty()) {
    body = generated_body(options.size, form);
  } else {
    std::ifstream in{options.file, std::ios::binary};
    if (!in) return refuse("source", options.file + ": cannot be read");
    body = prepared(std::string{std::istreambuf_iterator<char>{in}, {}}, form);
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE *)> log{
      options.log.empty() ? nullptr : std::fopen(options.log.c_str(), "a"), &std::fclose};
  if (!options.log.empty() && !log) return refuse("source", options.log + ": cannot be opened");

  asio::io_context loop{1};
  Load load{loop, options, std::move(*plan), std::move(body), log.get()};
  const auto begin = SteadyClock::now();
  load.start();
  loop.run();
  load.print(std::chrono::duration<double>(SteadyClock::now() - begin).count());
  return load.all_accepted() ? 0 : 1;
}

}  // namespace mansio::cli
