// `mansio sink`: listening, and the end of it.
#include "kernel/cli/load/sink.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "kernel/cli/load/sink_options.hpp"
#include "kernel/cli/load/sink_qmqp.hpp"
#include "kernel/cli/load/sink_session.hpp"
#include "kernel/cli/say.hpp"

namespace mansio::cli {
namespace {

using namespace load;

// After chroot() there is no passwd file, and after setuid() no chroot().
Result<void> confine(const SinkCommandLine &o) {
  const auto failed = [](const std::string &what) {
    return Error{Status::BadConfig, fmt::format("{}: {}", what, std::strerror(errno)), {}};
  };
  const passwd *user = nullptr;
  if (!o.user.empty()) {
    user = ::getpwnam(o.user.c_str());
    if (user == nullptr) return Error{Status::BadConfig, o.user + ": there is no such user", {}};
    if (::initgroups(o.user.c_str(), user->pw_gid) != 0) return failed(o.user);
  }
  if (!o.root.empty() && (::chroot(o.root.c_str()) != 0 || ::chdir("/") != 0)) return failed(o.root);
  if (user != nullptr && (::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) return failed(o.user);
  return {};
}

// Listening, counting sessions, stopping: at --quit-after, or when a signal says so.
class Server {
 public:
  Server(asio::io_context &loop, Sink &sink, const SinkCommandLine &options)
      : loop_(loop),
        sink_(sink),
        options_(options),
        acceptor_(loop),
        grace_(loop),
        retry_(loop),
        room_(loop),
        end_(loop),
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
    if (!error && options_.window > 0) limit_window(acceptor_.native_handle(), options_.window);
    if (!error) acceptor_.bind(at.address, error);
    if (!error) acceptor_.listen(options_.backlog, error);
    if (error) return Error{Status::BadConfig, at.text + ": " + error.message(), {}};
    if (auto done = confine(options_); !done) return done;
    fmt::print("listening on {}\n", bound_name(acceptor_, at));
    std::fflush(stdout);
    sink_.watchdog.start();
    asio::co_spawn(loop_, accept(), asio::detached);
    return {};
  }
  void stop_after(std::chrono::nanoseconds time) {
    end_.expires_after(time);
    end_.async_wait([this](const ErrorCode &error) {
      if (!error) stop(std::chrono::milliseconds{0});
    });
  }

 private:
  Task<> accept() {
    while (!stopping_) {
      ErrorCode error;
      if (options_.connections_at_once != 0 && sink_.sessions >= options_.connections_at_once) {
        room_.expires_at(std::chrono::steady_clock::time_point::max());
        co_await room_.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
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
    if (sink_.options.qmqp) {
      QmqpSinkSession session{sink_, std::move(socket)};
      co_await session.run();
    } else {
      SinkSession session{sink_, std::move(socket)};
      co_await session.run();
    }
    --sink_.sessions;
    room_.cancel();
    if (options_.sessions != 0 && sink_.totals.ended >= options_.sessions) stop(std::chrono::milliseconds{500});
    if (stopping_ && sink_.sessions == 0) loop_.stop();
  }

  // Clients get `grace` to read their last replies and say QUIT.
  void stop(std::chrono::milliseconds grace) {
    if (stopping_) return;
    stopping_ = true;
    ErrorCode ignored;
    acceptor_.close(ignored);
    room_.cancel();
    end_.cancel();
    if (sink_.sessions == 0) return loop_.stop();
    grace_.expires_after(grace);
    grace_.async_wait([this](const ErrorCode &) { loop_.stop(); });
  }

  asio::io_context &loop_;
  Sink &sink_;
  const SinkCommandLine &options_;
  Acceptor acceptor_;
  asio::steady_timer grace_, retry_, room_, end_;
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
  SinkCommandLine options;
  CLI::App app{"Takes mail over SMTP, LMTP or QMQP and forgets it; misbehaves on request.", "mansio sink"};
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto refused = [](const Error &error) { return refuse("sink", error.text); };
  const auto patience = parse_duration(options.timeout);
  if (!patience) return refused(patience.error());
  const auto endpoint = parse_endpoint(options.listen, true,
                                       {options.ipv4   ? AF_INET
                                        : options.ipv6 ? AF_INET6
                                                       : AF_UNSPEC});
  if (!endpoint) return refused(endpoint.error());

  asio::io_context loop{1};
  Sink sink{loop, *patience, options.seed};
  if (const auto ok = configure(options, sink); !ok) return refused(ok.error());
  if (const auto ok = prepare_dumps(sink.options.dumps); !ok) return refused(ok.error());
  std::chrono::nanoseconds stop_after{};
  if (!options.stop_after.empty()) {
    const auto time = parse_duration(options.stop_after);
    if (!time) return refused(time.error());
    stop_after = *time;
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE *)> log{
      options.log.empty() ? nullptr : std::fopen(options.log.c_str(), "a"), &std::fclose};
  if (!options.log.empty() && !log) return refused({Status::BadConfig, options.log + ": cannot be opened", {}});
  sink.log = log.get();

  const auto begin = std::chrono::steady_clock::now();
  Server server{loop, sink, options};
  if (const auto ok = server.listen(*endpoint); !ok) return refused(ok.error());
  if (stop_after.count() > 0) server.stop_after(stop_after);
  loop.run();
  print_totals(sink.totals, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
               options.json);
  if (!endpoint->unix_path.empty()) (void)::unlink(endpoint->unix_path.c_str());
  return 0;
}

}  // namespace mansio::cli
