// `mansio source`: options, the sessions, and the figures at the end.
//
// Latency is the time from MAIL to the last reply to the content, with connection and greeting before the first
// message of a connection left out: it says what a client waits for the server's promise.
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

#include "kernel/base/clock.hpp"
#include "kernel/cli/load/histogram.hpp"
#include "kernel/cli/load/smtp_client.hpp"
#include "kernel/cli/load/source.hpp"
#include "kernel/mail/trace.hpp"

namespace mansio::cli {
namespace {

using namespace load;
using SteadyClock = std::chrono::steady_clock;

struct Options {
  std::string target, from = "source@source.invalid", to = "user{r}@sink.invalid", helo = "source.invalid",
                      subject = "load {n}";
  std::string file, ca, server_name, log, timeout = "5m", retry_for = "0s", run;
  std::uint64_t messages = 1, per_connection = 0, domains = 1;
  std::size_t sessions = 1, size = 1024, recipients = 1;
  bool lmtp = false, no_pipelining = false, tls = false, implicit_tls = false, json = false;
};

void declare(CLI::App &app, Options &o) {
  app.add_option("target", o.target, "host:port, [address]:port or unix:/path")->required();
  app.add_option("-s,--sessions", o.sessions, "sessions at once")->check(CLI::Range(1, 100'000));
  app.add_option("-m,--messages", o.messages, "messages in all");
  app.add_option("-l,--size", o.size, "bytes of body a message");
  app.add_option("-r,--recipients", o.recipients, "recipients a message")->check(CLI::Range(1, 1'000'000));
  app.add_option("-f,--from", o.from, "sender; {n} message, {s} session; \"\" = null sender");
  app.add_option("-t,--to", o.to, "recipient; {n} message, {s} session, {r} recipient, {d} message modulo --domains");
  app.add_option("--domains", o.domains, "how many values {d} takes")->check(CLI::Range(1, 1'000'000'000));
  app.add_option("--subject", o.subject, "with {n} and {s}");
  app.add_option("--message", o.file, "send this file (header section and body) instead of generated content");
  app.add_option("--helo", o.helo, "name in EHLO");
  app.add_option("--per-connection", o.per_connection, "messages a connection; 0 = keep it open");
  app.add_flag("--no-pipelining", o.no_pipelining, "wait for each reply even where PIPELINING is offered");
  app.add_flag("--lmtp", o.lmtp, "speak LMTP");
  app.add_flag("--tls", o.tls, "STARTTLS, required");
  app.add_flag("--implicit-tls", o.implicit_tls, "TLS from the first octet");
  app.add_option("--ca", o.ca, "verify the certificate with these CAs, PEM");
  app.add_option("--server-name", o.server_name, "name for SNI and verification (default: the target's host)");
  app.add_option("--timeout", o.timeout, "longest wait for the server");
  app.add_option(
      "--retry-for", o.retry_for,
      "send a message again, for that long, after 4xx or a lost connection (recipients already taken get it twice)");
  app.add_option("--log", o.log, "append the Message-ID of each accepted message to this file");
  app.add_option("--run", o.run, "name of this run in Message-IDs (default: the process id)");
  app.add_flag("--json", o.json, "print the figures as JSON");
}

std::string fill_in(std::string_view pattern, std::uint64_t message, std::size_t session, std::size_t recipient,
                    std::uint64_t domains = 1) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '{' && i + 2 < pattern.size() && pattern[i + 2] == '}') {
      const char what = pattern[i + 1];
      if (what == 'n' || what == 's' || what == 'r' || what == 'd') {
        const auto value = what == 'n' ? message : what == 's' ? session : what == 'd' ? message % domains : recipient;
        fmt::format_to(std::back_inserter(out), "{}", value);
        i += 2;
        continue;
      }
    }
    out.push_back(pattern[i]);
  }
  return out;
}

std::string generated_body(std::size_t size) {
  constexpr std::size_t kLine = 78;
  std::string body;
  body.reserve(size + kLine + 4);
  while (body.size() + kLine + 2 <= size) body.append(kLine, 'X').append("\r\n");
  const auto left = size - body.size();
  if (left > 2) body.append(left - 2, 'X').append("\r\n");
  return body;
}

// Canonical CRLF, dot-stuffed, ending in CRLF.
std::string prepared(std::string_view content) {
  std::string out;
  bool begin = true;
  for (const char c : content) {
    if (c == '\r') continue;
    if (begin && c == '.') out.push_back('.');
    if (c == '\n') out.push_back('\r');
    out.push_back(c);
    begin = c == '\n';
  }
  if (!begin) out.append("\r\n");
  return out;
}

class Load {
 public:
  Load(asio::io_context &loop, const Options &options, ClientOptions client, std::chrono::nanoseconds patience,
       std::chrono::nanoseconds retry_for, std::string body, std::FILE *log)
      : loop_(loop),
        options_(options),
        client_(std::move(client)),
        watchdog_(loop, patience),
        retry_for_(retry_for),
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
  Task<Outcome> attempt(std::unique_ptr<SmtpClient> &client, std::uint64_t &on_connection,
                        const OutgoingMessage &message);
  Task<Outcome> deliver(std::unique_ptr<SmtpClient> &client, std::uint64_t &on_connection,
                        const OutgoingMessage &message);
  OutgoingMessage compose(std::uint64_t number, std::size_t session, std::string &message_id) const;

  asio::io_context &loop_;
  const Options &options_;
  const ClientOptions client_;
  Watchdog watchdog_;
  const std::chrono::nanoseconds retry_for_;
  const std::string body_;
  std::FILE *log_;
  const Nanos started_;

  Histogram latency_;  // microseconds, accepted messages
  std::map<std::string, std::uint64_t, std::less<>> reasons_;
  std::uint64_t next_ = 0, accepted_ = 0, partly_ = 0, refused_ = 0, lost_ = 0, recipients_ = 0, retries_ = 0,
                connections_ = 0;
  std::uint64_t sessions_ = 0;
};

OutgoingMessage Load::compose(std::uint64_t number, std::size_t session, std::string &message_id) const {
  OutgoingMessage message;
  message.sender = fill_in(options_.from, number, session, 0);
  for (std::size_t r = 0; r < options_.recipients; ++r)
    message.recipients.push_back(fill_in(options_.to, number, session, r, options_.domains));
  message.body = body_;
  message_id = fmt::format("{}.{}@{}", options_.run, number, options_.helo);
  if (options_.file.empty()) {
    message.header = fmt::format("From: <{}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{}>\r\n\r\n",
                                 message.sender, message.recipients.front(),
                                 fill_in(options_.subject, number, session, 0), rfc5322_date(started_), message_id);
  }
  return message;
}

Task<Outcome> Load::attempt(std::unique_ptr<SmtpClient> &client, std::uint64_t &on_connection,
                            const OutgoingMessage &message) {
  if (client && options_.per_connection != 0 && on_connection >= options_.per_connection) {
    co_await client->quit();
    client.reset();
  }
  if (!client || !client->usable()) {
    client = std::make_unique<SmtpClient>(loop_, watchdog_, client_);
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

Task<Outcome> Load::deliver(std::unique_ptr<SmtpClient> &client, std::uint64_t &on_connection,
                            const OutgoingMessage &message) {
  const auto until = SteadyClock::now() + retry_for_;
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

Task<> Load::session(std::size_t number) {
  std::unique_ptr<SmtpClient> client;
  std::uint64_t on_connection = 0;
  while (next_ < options_.messages) {
    std::string message_id;
    const auto message = compose(next_++, number, message_id);
    const auto outcome = co_await deliver(client, on_connection, message);
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
    if (outcome.kind == Outcome::Accepted && log_) {
      fmt::print(log_, "{}\n", message_id);
      std::fflush(log_);
    }
    // A server whose replies all differ must not fill our memory.
    if (!outcome.reason.empty() && (reasons_.size() < 100 || reasons_.contains(outcome.reason)))
      ++reasons_[outcome.reason];
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

Result<ClientOptions> client_options(const Options &o) {
  auto target = parse_endpoint(o.target, false);
  if (!target) return target.error();
  ClientOptions client;
  client.target = std::move(*target);
  client.lmtp = o.lmtp;
  client.pipelining = !o.no_pipelining;
  client.helo = o.helo;
  client.implicit_tls = o.implicit_tls;
  client.server_name = o.server_name.empty() ? client.target.host : o.server_name;
  if (o.tls || o.implicit_tls) {
    auto tls = client_tls(o.ca);
    if (!tls) return tls.error();
    client.tls = *tls;
    client.verify = !o.ca.empty();
  }
  return client;
}

}  // namespace

int source_main(int argc, char **argv) {
  Options options;
  CLI::App app{"Sends mail over SMTP or LMTP and measures what becomes of it.", "mansio source"};
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto refuse = [](const std::string &text) {
    fmt::print(stderr, "mansio source: {}\n", text);
    return 2;
  };
  if (options.run.empty()) options.run = fmt::format("{}", ::getpid());
  const auto patience = parse_duration(options.timeout), retry_for = parse_duration(options.retry_for);
  if (!patience) return refuse(patience.error().text);
  if (!retry_for) return refuse(retry_for.error().text);
  auto client = client_options(options);
  if (!client) return refuse(client.error().text);
  std::string body;
  if (options.file.empty()) {
    body = generated_body(options.size);
  } else {
    std::ifstream in{options.file, std::ios::binary};
    if (!in) return refuse(options.file + ": cannot be read");
    body = prepared(std::string{std::istreambuf_iterator<char>{in}, {}});
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE *)> log{
      options.log.empty() ? nullptr : std::fopen(options.log.c_str(), "a"), &std::fclose};
  if (!options.log.empty() && !log) return refuse(options.log + ": cannot be opened");

  asio::io_context loop{1};
  Load load{loop, options, std::move(*client), *patience, *retry_for, std::move(body), log.get()};
  const auto begin = SteadyClock::now();
  load.start();
  loop.run();
  load.print(std::chrono::duration<double>(SteadyClock::now() - begin).count());
  return load.all_accepted() ? 0 : 1;
}

}  // namespace mansio::cli
