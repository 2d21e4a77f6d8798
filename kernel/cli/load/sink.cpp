// `mansio sink`: options, listening, and the end of it.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <filesystem>
#include <memory>

#include "kernel/cli/load/sink.hpp"
#include "kernel/cli/load/sink_session.hpp"

namespace mansio::cli {
namespace {

using namespace load;

struct Options {
  std::string listen;
  std::vector<std::string> replies, drops, delays, without;
  bool lmtp = false, tls = false, implicit_tls = false, json = false;
  std::string certificate, key, dump, log, hostname = "sink.invalid", timeout = "5m";
  std::size_t max_connections = 10'000, size_limit = 0;
  std::uint64_t quit_after = 0, seed = 1;
};

void declare(CLI::App &app, Options &o) {
  app.add_option("listen", o.listen, "host:port, [address]:port (port 0: any) or unix:/path")->required();
  app.add_flag("--lmtp", o.lmtp, "speak LMTP: a reply for each recipient after the content");
  app.add_flag("--tls", o.tls, "offer STARTTLS, with a certificate made for this run unless one is given");
  app.add_flag("--implicit-tls", o.implicit_tls, "TLS from the first octet");
  app.add_option("--cert", o.certificate, "certificate chain, PEM");
  app.add_option("--key", o.key, "private key, PEM (default: in the file of --cert)");
  app.add_option("--hostname", o.hostname, "name in the greeting");
  app.add_option("--without", o.without, "do not offer this EHLO keyword")->delimiter(',');
  app.add_option("--size-limit", o.size_limit, "largest message, bytes; 0 = none");
  app.add_option("--max-connections", o.max_connections, "more are answered 421");
  app.add_option("--reply", o.replies, "STAGE[~text]:REPLY[:probability], such as RCPT:450:0.3")
      ->allow_extra_args(false);
  app.add_option("--drop", o.drops, "STAGE[~text][:probability], such as DATA_END:0.1: close without a reply")
      ->allow_extra_args(false);
  app.add_option("--delay", o.delays, "STAGE[~text]:TIME[:probability], such as CONNECT:2s")->allow_extra_args(false);
  app.add_option("--seed", o.seed, "of the dice behind the probabilities");
  app.add_option("--dump", o.dump, "write each message to DIR/new, after X-Sink- fields with its envelope");
  app.add_option("--log", o.log, "append a line for each message to this file");
  app.add_option("--quit-after", o.quit_after, "stop after that many messages");
  app.add_option("--timeout", o.timeout, "longest wait for a client");
  app.add_flag("--json", o.json, "print the totals as JSON");
  app.footer(
      "Stages: CONNECT HELO STARTTLS MAIL RCPT DATA BDAT DATA_END RSET QUIT. With ~text a rule is for those only\n"
      "whose argument holds that text; DATA_END in LMTP asks for each recipient.");
}

Result<void> add_rules(Faults &faults, FaultKind kind, const std::vector<std::string> &specs) {
  for (const auto &spec : specs) {
    auto rule = parse_fault(kind, spec);
    if (!rule) return rule.error();
    faults.add(std::move(*rule));
  }
  return {};
}

Result<void> configure(const Options &o, Sink &sink) {
  sink.options.lmtp = o.lmtp;
  sink.options.hostname = o.hostname;
  sink.options.without.insert(o.without.begin(), o.without.end());
  sink.options.implicit_tls = o.implicit_tls;
  sink.options.size_limit = o.size_limit;
  if (o.tls || o.implicit_tls || !o.certificate.empty()) {
    auto tls = o.certificate.empty() ? self_signed_tls(o.hostname)
                                     : server_tls(o.certificate, o.key.empty() ? o.certificate : o.key);
    if (!tls) return tls.error();
    sink.options.tls = *tls;
  }
  if (!o.dump.empty()) {
    std::error_code error;
    for (const auto *part : {"/tmp", "/new", "/cur"}) {
      if (!error) std::filesystem::create_directories(o.dump + part, error);
    }
    if (error) return Error{Status::BadConfig, o.dump + ": " + error.message(), {}};
    sink.options.dump_directory = o.dump;
  }
  for (const auto &[kind, specs] :
       {std::pair{FaultKind::Reply, &o.replies}, {FaultKind::Drop, &o.drops}, {FaultKind::Delay, &o.delays}}) {
    if (auto added = add_rules(sink.faults, kind, *specs); !added) return added;
  }
  return {};
}

// Listening, counting sessions, stopping: at --quit-after, or when a signal says so.
class Server {
 public:
  Server(asio::io_context &loop, Sink &sink, const Options &options)
      : loop_(loop),
        sink_(sink),
        options_(options),
        acceptor_(loop),
        grace_(loop),
        retry_(loop),
        signals_(loop, SIGINT, SIGTERM) {
    sink_.message_taken = [this] {
      if (options_.quit_after != 0 && ++answered_ == options_.quit_after) stop(std::chrono::milliseconds{500});
    };
    signals_.async_wait([this](const ErrorCode &error, int) {
      if (!error) stop(std::chrono::milliseconds{0});
    });
  }

  Result<void> listen(const Endpoint &at) {
    if (!at.unix_path.empty()) (void)::unlink(at.unix_path.c_str());
    ErrorCode error;
    acceptor_.open(at.address.protocol(), error);
    if (!error && at.unix_path.empty()) acceptor_.set_option(asio::socket_base::reuse_address{true}, error);
    if (!error) acceptor_.bind(at.address, error);
    if (!error) acceptor_.listen(4096, error);
    if (error) return Error{Status::BadConfig, at.text + ": " + error.message(), {}};
    fmt::print("listening on {}\n", bound_name(acceptor_, at));
    std::fflush(stdout);
    sink_.watchdog.start();
    asio::co_spawn(loop_, accept(), asio::detached);
    return {};
  }

 private:
  Task<> accept() {
    while (!stopping_) {
      ErrorCode error;
      Protocol::socket socket{loop_};
      co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
      if (stopping_) co_return;
      if (error) {  // out of descriptors, say: wait for a session to end instead of spinning
        retry_.expires_after(std::chrono::milliseconds{50});
        co_await retry_.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      if (sink_.sessions >= options_.max_connections) {
        ++sink_.totals.refused_connections;
        constexpr std::string_view kBusy = "421 4.7.0 Too many connections\r\n";
        (void)socket.write_some(asio::buffer(kBusy), error);
        continue;
      }
      ++sink_.sessions;
      asio::co_spawn(loop_, serve(std::move(socket)), asio::detached);
    }
  }

  Task<> serve(Protocol::socket socket) {
    {
      SinkSession session{sink_, std::move(socket)};
      co_await session.run();
    }
    --sink_.sessions;
    if (stopping_ && sink_.sessions == 0) loop_.stop();
  }

  // Clients get `grace` to read their last replies and say QUIT.
  void stop(std::chrono::milliseconds grace) {
    if (stopping_) return;
    stopping_ = true;
    ErrorCode ignored;
    acceptor_.close(ignored);
    if (sink_.sessions == 0) return loop_.stop();
    grace_.expires_after(grace);
    grace_.async_wait([this](const ErrorCode &) { loop_.stop(); });
  }

  asio::io_context &loop_;
  Sink &sink_;
  const Options &options_;
  Acceptor acceptor_;
  asio::steady_timer grace_, retry_;
  asio::signal_set signals_;
  std::uint64_t answered_ = 0;
  bool stopping_ = false;
};

void print_totals(const SinkTotals &t, double seconds, bool json) {
  if (json) {
    fmt::print(
        "{{\"messages\":{},\"recipients\":{},\"bytes\":{},\"connections\":{},\"tls_connections\":{},\"refused_"
        "connections\":{},"
        "\"refused_messages\":{},\"refused_recipients\":{},\"dropped_connections\":{},\"protocol_errors\":{},"
        "\"seconds\":{:.3f}}}\n",
        t.messages, t.recipients, t.bytes, t.connections, t.tls_connections, t.refused_connections, t.refused_messages,
        t.refused_recipients, t.dropped_connections, t.protocol_errors, seconds);
    return;
  }
  fmt::print("messages {}, recipients {}, bytes {}\n", t.messages, t.recipients, t.bytes);
  fmt::print("connections {}, with TLS {}, refused {}, dropped {}\n", t.connections, t.tls_connections,
             t.refused_connections, t.dropped_connections);
  fmt::print("refused messages {}, refused recipients {}, protocol errors {}\n", t.refused_messages,
             t.refused_recipients, t.protocol_errors);
}

}  // namespace

int sink_main(int argc, char **argv) {
  Options options;
  CLI::App app{"Takes mail over SMTP or LMTP and forgets it; misbehaves on request.", "mansio sink"};
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto refuse = [](const Error &error) {
    fmt::print(stderr, "mansio sink: {}\n", error.text);
    return 2;
  };
  const auto patience = parse_duration(options.timeout);
  if (!patience) return refuse(patience.error());
  const auto endpoint = parse_endpoint(options.listen, true);
  if (!endpoint) return refuse(endpoint.error());

  asio::io_context loop{1};
  Sink sink{loop, *patience, options.seed};
  if (const auto ok = configure(options, sink); !ok) return refuse(ok.error());
  const std::unique_ptr<std::FILE, int (*)(std::FILE *)> log{
      options.log.empty() ? nullptr : std::fopen(options.log.c_str(), "a"), &std::fclose};
  if (!options.log.empty() && !log) return refuse({Status::BadConfig, options.log + ": cannot be opened", {}});
  sink.log = log.get();

  const auto begin = std::chrono::steady_clock::now();
  Server server{loop, sink, options};
  if (const auto ok = server.listen(*endpoint); !ok) return refuse(ok.error());
  loop.run();
  print_totals(sink.totals, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
               options.json);
  if (!endpoint->unix_path.empty()) (void)::unlink(endpoint->unix_path.c_str());
  return 0;
}

}  // namespace mansio::cli
