#include "plugins/transport-smtp/client/connection.hpp"

#include <algorithm>
#include <random>

#include "plugins/transport-smtp/client/auth.hpp"
#include "plugins/transport-smtp/client/pix.hpp"
#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {
namespace {

std::string shown(const Reply &reply) {
  std::string text = std::to_string(reply.code);
  if (reply.enhanced.cls)
    text += ' ' + std::to_string(reply.enhanced.cls) + '.' + std::to_string(reply.enhanced.subject) + '.' +
            std::to_string(reply.enhanced.detail);
  return text + (reply.text.empty() ? "" : " ") + reply.text;
}

plugin::Reply about(const Connection &connection, plugin::Reply reply) {
  reply.remote_mta(connection.target.host).relay(connection.relay).tls(connection.tls);
  return reply;
}

enum class Greeted { Yes, No, ClearInstead };

// The opening of one connection; `tls` may be lowered for a second go by the caller.
class Opener {
 public:
  Opener(const Context &context, const OpenRequest &request, TlsLevel tls, Cancel &cancel)
      : context_(context), request_(request), tls_(tls), cancel_(cancel) {}

  Task<Greeted> run(Opened &opened) {
    const auto &options = context_.options;
    const auto started = context_.host.now();
    auto connection = std::make_unique<Connection>(context_.host);
    connection->target = request_.target;
    connection->relay = request_.target.label();
    connection->source_pool = request_.source_pool;
    connection->segment = request_.segment;

    if (!co_await connect(*connection, opened)) co_return Greeted::No;
    opened.reached = true;
    if (options.tls_wrappermode) {
      const auto limit = limited(options.starttls_timeout, context_.host.now() - started);
      const auto done = co_await shake_hands(*connection, opened, context_.host.now() + limit);
      if (done != Greeted::Yes) co_return Greeted::No;
    }
    const auto spent = context_.host.now() - started;
    auto greeting = co_await connection->read_reply(limited(options.helo_timeout, spent));
    opened.greeted = opened.greeted || static_cast<bool>(greeting);
    if (!greeting) {
      opened.failure = io_failure(*connection, greeting.io, "waiting for the greeting");
      co_return Greeted::No;
    }
    // Whatever a server greets with, its mail is not lost to us: another may take it, or the same one later.
    if (!greeting.reply.positive()) {
      opened.failure = remote_failure(*connection, greeting.reply, "the connection", true);
      co_return Greeted::No;
    }
    if (is_pix_greeting(greeting.reply.text)) {
      connection->pix = true;
      connection->worked_around = request_.old;
      if (request_.old) context_.host.info("enabling PIX workarounds for " + connection->relay);
    }
    if (!co_await hello(*connection, opened)) co_return Greeted::No;

    if (tls_ != TlsLevel::None && connection->caps.starttls && !connection->encrypted()) {
      const auto done = co_await start_tls(*connection, opened);
      if (done != Greeted::Yes) co_return done;
    }
    if (tls_ >= TlsLevel::Encrypt && !connection->encrypted()) {
      if (connection->caps.starttls) co_return Greeted::No;  // start_tls() said why
      opened.failure = about(*connection, request_.require_tls
                                              ? plugin::bounce({5, 7, 30}, "REQUIRETLS: the server offers no TLS")
                                              : plugin::defer({4, 7, 4}, "TLS is required, the server offers none"));
      co_return Greeted::No;
    }
    if (request_.require_tls && !connection->caps.require_tls) {
      opened.failure = about(*connection, plugin::bounce({5, 7, 30}, "the server does not support REQUIRETLS"));
      co_return Greeted::No;
    }
    if (!request_.login.empty()) {
      auto failure = co_await authenticate(context_, *connection, request_.login);
      if (failure) {
        opened.failure = about(*connection, std::move(*failure));
        co_return Greeted::No;
      }
      connection->login = request_.login;
    }
    connection->opened = context_.host.now();
    connection->connect_ns = connection->opened - started;
    opened.connection = std::move(connection);
    co_return Greeted::Yes;
  }

 private:
  // What is left of the request's patience, if that is less.
  std::int64_t limited(std::int64_t timeout, std::int64_t spent) const {
    return request_.patience == 0 ? timeout : std::min(timeout, std::max<std::int64_t>(request_.patience - spent, 1));
  }

  Task<bool> connect(Connection &connection, Opened &opened) {
    const auto &options = context_.options;
    const auto &target = request_.target;
    const auto endpoint = target.unix_socket ? plugin::Endpoint::unix_path(target.address)
                                             : plugin::Endpoint::ip(target.address, target.port);
    auto socket = std::make_unique<plugin::Socket>(context_.host);
    socket->set_cancel(&cancel_);
    IoResult io{IoStatus::Error, 0, ENAMETOOLONG};
    if (endpoint) {
      const auto *from = source(endpoint->family());
      if (!from && !request_.source_pool.empty() && !target.unix_socket) {
        opened.failure = plugin::defer({4, 3, 5}, "source pool " + printable(request_.source_pool) +
                                                      " has no address of the family of " + target.address);
        opened.failure.relay("none");
        opened.ours = true;
        co_return false;
      }
      socket->limit_segment(request_.segment);
      io = co_await socket->connect(*endpoint, from, context_.host.now() + limited(options.connect_timeout, 0));
    }
    connection.stream = std::move(socket);
    if (!io) {
      opened.failure = plugin::defer({4, 4, 1}, "cannot connect to " + connection.relay + ": " + io.text());
      opened.failure.relay("none");
    }
    co_return static_cast<bool>(io);
  }

  // Where the connection is to come from; null: wherever the system likes.
  const plugin::Endpoint *source(int family) const {
    const auto &options = context_.options;
    if (request_.source_pool.empty()) {
      const auto &from = family == AF_INET6 ? options.bind_address6 : options.bind_address;
      return from ? &*from : nullptr;
    }
    const auto pool = options.source_pools.find(request_.source_pool);
    if (pool == options.source_pools.end()) return nullptr;
    std::vector<const plugin::Endpoint *> fit;
    for (const auto &endpoint : pool->second)
      if (endpoint.family() == family) fit.push_back(&endpoint);
    if (fit.empty()) return nullptr;
    std::minstd_rand random{std::random_device{}()};
    return fit[std::uniform_int_distribution<std::size_t>{0, fit.size() - 1}(random)];
  }

  // The names that the server's certificate may have.
  std::vector<std::string> names_to_match() const {
    std::vector<std::string> names;
    for (const auto &name : request_.tls.match) {
      if (name == "hostname")
        names.push_back(request_.target.host);
      else if (name == "nexthop")
        names.push_back(request_.nexthop);
      else if (name == "dot-nexthop")
        names.push_back('.' + request_.nexthop);
      else
        names.push_back(name);
    }
    return names;
  }

  Task<bool> hello(Connection &connection, Opened &opened) {
    const auto &options = context_.options;
    // AUTH needs EHLO.
    const bool old_style =
        connection.worked_around && options.pix_disable_esmtp && !context_.personality.lmtp && request_.login.empty();
    const std::string verb = old_style ? "HELO" : context_.personality.hello;
    auto answer = co_await connection.command(verb + ' ' + options.helo_name + "\r\n", options.helo_timeout);
    if (answer && answer.reply.positive()) {
      for (const auto &word : options.discard_ehlo_keywords) discard(answer.reply, word);
      connection.caps = old_style ? Capabilities{} : parse_ehlo(answer.reply);
      if (connection.pix) connection.caps.chunking = false;  // which no fixup lets pass
      co_return true;
    }
    if (!old_style && answer && answer.reply.permanent() && !context_.personality.lmtp && !connection.encrypted()) {
      connection.caps = {};
      answer = co_await connection.command("HELO " + options.helo_name + "\r\n", options.helo_timeout);
      if (answer && answer.reply.positive()) co_return true;
      if (answer) opened.failure = remote_failure(connection, answer.reply, "HELO");
    } else if (answer) {
      opened.failure = remote_failure(connection, answer.reply, verb);
    }
    if (!answer) opened.failure = io_failure(connection, answer.io, "saying " + verb);
    co_return false;
  }

  static void discard(Reply &reply, const std::string &word) {
    if (reply.lines.empty()) return;
    std::erase_if(reply.lines, [&, first = &reply.lines.front()](const std::string &line) {
      return &line != first && equal_fold(std::string_view{line}.substr(0, line.find_first_of(" =")), word);
    });
  }

  Task<Greeted> start_tls(Connection &connection, Opened &opened) {
    const auto &options = context_.options;
    const auto deadline = context_.host.now() + options.starttls_timeout;
    auto answer = co_await connection.command("STARTTLS\r\n", options.starttls_timeout);
    if (!answer) {
      opened.failure = io_failure(connection, answer.io, "asking for TLS");
      co_return tls_ == TlsLevel::May ? Greeted::ClearInstead : Greeted::No;
    }
    if (!answer.reply.positive()) {
      opened.failure = remote_failure(connection, answer.reply, "STARTTLS", true);
      co_return tls_ == TlsLevel::May ? Greeted::Yes : Greeted::No;
    }
    // Clear text behind the reply was not said under TLS: whoever put it there is not to be talked to.
    if (!connection.buffer.data().empty()) {
      opened.failure =
          about(connection, plugin::defer({4, 7, 0}, "the server sent clear text after its STARTTLS reply"));
      co_return Greeted::No;
    }
    const auto done = co_await shake_hands(connection, opened, deadline);
    if (done != Greeted::Yes) co_return done;
    const bool known = co_await hello(connection, opened);  // RFC 3207 section 4.2
    co_return known ? Greeted::Yes : Greeted::No;
  }

  // The handshake, and a look at the certificate.
  Task<Greeted> shake_hands(Connection &connection, Opened &opened, std::int64_t deadline) {
    auto plain = std::unique_ptr<plugin::Socket>{static_cast<plugin::Socket *>(connection.stream.release())};
    auto tls = std::make_unique<plugin::TlsSocket>(std::move(plain));
    auto *session = tls.get();
    connection.stream = std::move(tls);
    const auto name = is_ip_address(request_.target.host) ? std::string{} : request_.target.host;
    const auto io = co_await session->handshake(context_.ssl.get(), name, deadline);
    if (!io) {
      opened.failure = about(connection, plugin::defer({4, 7, 5}, "TLS handshake failed: " + session->reason()));
      co_return tls_ == TlsLevel::May &&io.status != IoStatus::Cancelled ? Greeted::ClearInstead : Greeted::No;
    }
    opened.greeted = true;
    if (tls_ >= TlsLevel::Verify) {
      if (const auto wrong = session->distrust(names_to_match()); !wrong.empty()) {
        opened.failure = about(connection, plugin::defer({4, 7, 5}, "Server certificate not trusted: " + wrong));
        co_return Greeted::No;
      }
      connection.authenticated = request_.tls;
      connection.authenticated_for = request_.nexthop;
    }
    connection.tls = session->description();
    co_return Greeted::Yes;
  }

  const Context &context_;
  const OpenRequest &request_;
  TlsLevel tls_;
  Cancel &cancel_;
};

}  // namespace

Task<ReplyResult> Connection::read_reply(std::int64_t timeout) {
  ReplyResult result;
  const auto deadline = host.now() + timeout;
  for (;;) {
    std::size_t consumed = 0;
    const auto state = parser.parse(buffer.data(), consumed);
    buffer.consume(consumed);
    if (state == ReplyParser::State::Complete) {
      result.reply = parser.take();
      if (result.reply.code == 421) usable = false;
      co_return result;
    }
    result.io = IoResult{IoStatus::Error};
    if (state == ReplyParser::State::More) result.io = co_await buffer.fill(*stream, deadline);
    if (!result.io) {
      usable = false;
      co_return result;
    }
  }
}

Task<ReplyResult> Connection::command(std::string line, std::int64_t timeout) {
  const std::string_view piece = line;
  const auto io = co_await stream->write({&piece, 1}, timeout);
  // A server that closes may have said why.
  if (!io && io.status != IoStatus::Error) {
    usable = false;
    ReplyResult failed;
    failed.io = io;
    co_return failed;
  }
  co_return co_await read_reply(timeout);
}

plugin::Reply io_failure(const Connection &connection, const IoResult &io, std::string_view while_doing) {
  std::string text = io.status == IoStatus::Timeout                         ? "conversation timed out with "
                     : io.status == IoStatus::Cancelled                     ? "delivery cancelled, talking to "
                     : io.status == IoStatus::Error && io.error == 0        ? "unintelligible reply from "
                     : io.status == IoStatus::Error && io.error == EMSGSIZE ? "endless reply from "
                                                                            : "lost connection with ";
  text += connection.relay + " while " + std::string{while_doing};
  return about(connection, plugin::defer({4, 4, 2}, std::move(text)));
}

plugin::Reply remote_failure(const Connection &connection, const Reply &reply, std::string_view in_reply_to,
                             bool force_soft) {
  const bool soft = force_soft || !reply.permanent();
  const std::string command{in_reply_to};
  if (reply.positive() || reply.code < 400) {  // a 2xx or 3xx where none makes sense
    return about(connection, plugin::defer({4, 5, 0}, "unexpected reply to " + command + ": " + shown(reply)));
  }
  if (force_soft && reply.permanent()) {  // its code would contradict the status
    auto enhanced = reply.status();
    enhanced.cls = 4;
    return about(connection, plugin::defer(enhanced, command + " was refused: " + shown(reply)));
  }
  plugin::Reply failure{soft ? MANSIO_DEFER : MANSIO_FAIL, reply.status(),
                        reply.text + " (in reply to " + command + ')'};
  return about(connection, failure.code(reply.code));
}

Task<Opened> open_connection(const Context &context, OpenRequest request, Cancel &cancel) {
  Opened opened;
  const auto wanted = request.tls.level;
  const auto tls = request.target.unix_socket && wanted == TlsLevel::May ? TlsLevel::None : wanted;
  Opener first{context, request, tls, cancel};
  const auto greeted = co_await first.run(opened);
  if (greeted == Greeted::ClearInstead && !cancel.requested()) {
    Opener second{context, request, TlsLevel::None, cancel};
    co_await second.run(opened);
  }
  co_return opened;
}

Task<> farewell(const Context &context, std::unique_ptr<Connection> connection, Cancel &cancel) {
  connection->stream->set_cancel(&cancel);
  const std::string_view quit = "QUIT\r\n";
  const auto io = co_await connection->stream->write({&quit, 1}, context.options.quit_timeout);
  if (io && !context.options.skip_quit_response) co_await connection->read_reply(context.options.quit_timeout);
  connection->stream->close();
}

}  // namespace mansio::smtp
