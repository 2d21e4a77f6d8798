#include "plugins/filter-dspam/connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace mansio::dspam {
namespace {

using plugin::Task;

constexpr std::size_t kPiece = 65536;

// Parameters stand between quotes.
std::string with_quotes_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out;
}

// Without what a log should not have: the password of MAIL FROM.
std::string name_of(std::string_view command) { return std::string{command.substr(0, command.find_first_of(" :"))}; }

}  // namespace

std::string DotStuffer::add(std::string_view piece) {
  std::string out;
  out.reserve(piece.size() + piece.size() / 64 + 1);
  for (const char c : piece) {
    if (c == '\0') continue;
    if (line_begins_ && c == '.') out += '.';
    out += c;
    line_begins_ = c == '\n';
  }
  return out;
}

std::string DotStuffer::end() const { return line_begins_ ? ".\r\n" : "\r\n.\r\n"; }

bool Connection::gone() const {
  if (!buffer_.data().empty()) return true;
  char c = 0;
  return ::recv(socket_.fd(), &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EINTR);
}

Task<std::string> Connection::open(const std::vector<plugin::Endpoint> &servers, const std::string &name, bool dlmtp,
                                   std::int64_t deadline, plugin::Cancel &cancel) {
  std::string why = "its name has no address";
  for (std::size_t i = 0; i < servers.size(); ++i) {
    socket_.set_cancel(&cancel);
    buffer_.clear();
    // One that does not answer leaves the others their share of the time.
    const auto now = socket_.host().now();
    const auto limit = now + std::max<std::int64_t>(deadline - now, 0) / static_cast<std::int64_t>(servers.size() - i);
    const auto connected = co_await socket_.connect(servers[i], nullptr, limit);
    if (connected)
      why = co_await greet(name, dlmtp, limit);
    else
      why = connected.text();
    if (why.empty()) break;
    socket_.close();
  }
  co_return why;
}

Task<std::string> Connection::greet(const std::string &name, bool dlmtp, std::int64_t deadline) {
  CommandReply greeting, extensions;
  auto why = co_await reply(greeting, deadline);
  if (!why.empty()) co_return why;
  if (greeting.code() != 220) co_return "it greets with \"" + std::to_string(greeting.code()) + "\"";
  const auto hello = "LHLO " + name + "\r\n";
  why = co_await write(hello, deadline);
  if (!why.empty()) co_return why;
  why = co_await reply(extensions, deadline);
  if (!why.empty()) co_return why;
  if (extensions.code() != 250) co_return "it answers LHLO with \"" + std::to_string(extensions.code()) + "\"";
  // In LMTP it would take the password for a sender, and deliver the message.
  if (dlmtp && !extensions.offers_process_mode())
    co_return std::string{"it does not offer DSPAMPROCESSMODE: its ServerMode is not dspam, or auto with this ident"};
  co_return std::string{};
}

Task<Exchange> Connection::send(const Request &request, std::int64_t deadline, plugin::Cancel &cancel) {
  socket_.set_cancel(&cancel);
  usable_ = false;
  Exchange exchange;
  exchange.untouched = true;
  auto mail = "MAIL FROM:<" + request.from + '>';
  if (!request.parameters.empty()) mail += " DSPAMPROCESSMODE=\"" + with_quotes_escaped(request.parameters) + '"';
  const auto rcpt = "RCPT TO:<" + request.user + '>';
  const std::string data = "DATA";
  exchange.failure = co_await command(mail, 250, deadline);
  if (!exchange.failure.empty()) co_return exchange;
  exchange.failure = co_await command(rcpt, 250, deadline);
  if (!exchange.failure.empty()) co_return exchange;
  exchange.failure = co_await command(data, 354, deadline);
  if (!exchange.failure.empty()) co_return exchange;
  exchange.untouched = false;
  exchange.failure = co_await message(request, deadline);
  if (!exchange.failure.empty()) co_return exchange;

  Answer answer;
  for (auto read = Read::More; read == Read::More;) {
    const auto text = co_await line(deadline, exchange.failure);
    if (!text) co_return exchange;
    read = answer.take(*text);
    if (read != Read::Bad) continue;
    exchange.failure = "its answer is none of DSPAM's";
    co_return exchange;
  }
  usable_ = answer.complete() && buffer_.data().empty();
  exchange.answer = std::move(answer);
  co_return exchange;
}

Task<std::string> Connection::message(const Request &request, std::int64_t deadline) {
  DotStuffer stuffer;
  std::string piece(kPiece, '\0');
  for (std::uint64_t at = 0;;) {
    const auto n = request.read(at, piece.data(), piece.size());
    if (n < 0) co_return std::string{"the message cannot be read"};
    if (n == 0) break;
    at += static_cast<std::uint64_t>(n);
    const auto bytes = stuffer.add(std::string_view{piece}.substr(0, static_cast<std::size_t>(n)));
    auto why = co_await write(bytes, deadline);
    if (!why.empty()) co_return why;
  }
  const auto end = stuffer.end();
  auto why = co_await write(end, deadline);
  co_return why;
}

Task<std::string> Connection::command(const std::string &text, int wanted, std::int64_t deadline) {
  const auto bytes = text + "\r\n";
  auto why = co_await write(bytes, deadline);
  if (!why.empty()) co_return why;
  CommandReply said;
  why = co_await reply(said, deadline);
  if (!why.empty()) co_return why;
  if (said.code() != wanted)
    co_return "it answers " + name_of(text) + " with \"" + std::to_string(said.code()) + ' ' + said.text() + '"';
  co_return why;
}

Task<std::string> Connection::write(std::string_view bytes, std::int64_t deadline) {
  const std::array<std::string_view, 1> pieces{bytes};
  const auto left = std::max<std::int64_t>(deadline - socket_.host().now(), 1);
  const auto sent = co_await socket_.write(pieces, left);
  co_return sent ? std::string{} : sent.text();
}

Task<std::optional<std::string>> Connection::line(std::int64_t deadline, std::string &why) {
  for (;;) {
    if (const auto text = buffer_.line()) co_return std::string{*text};
    const auto got = co_await buffer_.fill(socket_, deadline);
    if (got) continue;
    why = got.text();
    co_return std::nullopt;
  }
}

Task<std::string> Connection::reply(CommandReply &to, std::int64_t deadline) {
  std::string why;
  for (;;) {
    const auto text = co_await line(deadline, why);
    if (!text) co_return why;
    const auto read = to.take(*text);
    if (read == Read::Done) co_return why;
    if (read == Read::Bad) co_return std::string{"what it says is no LMTP"};
  }
}

}  // namespace mansio::dspam
