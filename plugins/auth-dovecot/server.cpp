#include "plugins/auth-dovecot/server.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

namespace mansio::dovecot {
namespace {

constexpr std::size_t kLongestLine = 64 * 1024;
constexpr std::int64_t kIdle = 60'000'000'000;  // ns
constexpr std::uint32_t kNumbers = 0x7fffffff;  // Dovecot's are of 32 bits, never 0

// Dovecot takes it for a process id, and ends a connection whose number another one has. Ours are of many processes, in
// namespaces of their own perhaps, each with several instances.
std::uint32_t client_number() {
  std::random_device device;
  return device() % kNumbers + 1;
}

}  // namespace

Server::Server(const plugin::Host &host, std::string path, std::string service)
    : host_(host), path_(std::move(path)), service_(std::move(service)) {}

Server::~Server() {
  if (fd_ < 0) return;
  host_.cancel_timer(timer_);
  host_.forget(fd_);
  ::close(fd_);
}

bool Server::connect(std::string &why) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), std::min(path_.size(), sizeof address.sun_path - 1));
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  // A local socket connects at once or not at all.
  if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) {
    why = path_ + ": " + std::strerror(errno);
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    return false;
  }
  if (!host_.watch<&Server::readable>(fd_, MANSIO_READABLE, this)) {
    why = path_ + ": cannot be watched";
    ::close(std::exchange(fd_, -1));
    return false;
  }
  timer_ = host_.timer<&Server::idle>(kIdle, this);
  send(greeting(client_number()));
  return true;
}

void Server::step(plugin::AuthStep step, plugin::Token token) {
  used_ = true;
  if (step.number > 0) {
    const auto exchange = find(step.exchange);
    if (exchange == exchanges_.end())
      return token.complete(plugin::defer("the connection to Dovecot was lost during the exchange"));
    if (exchange->second.user) {
      const auto user = std::move(*exchange->second.user);
      exchanges_.erase(exchange);
      return token.complete(plugin::authenticated(user));
    }
    exchange->second.waits.emplace(std::move(token));
    return send(cont_line(exchange->first, step.response));
  }
  std::string why;
  if (fd_ < 0 && !connect(why)) return token.complete(plugin::defer(why));
  do last_ = last_ % kNumbers + 1;
  while (exchanges_.contains(last_));
  Question question;
  question.id = last_;
  question.mechanism = std::move(step.mechanism);
  question.service = service_;
  if (step.client_address != "unix") question.address = std::move(step.client_address);
  question.secure = !step.tls.empty();
  if (step.has_response) question.response = std::move(step.response);
  const auto exchange = exchanges_.try_emplace(last_).first;
  exchange->second.number = step.exchange;
  exchange->second.waits.emplace(std::move(token));
  if (greeted_)
    ask(exchange, question);
  else
    exchange->second.question = std::move(question);
}

// For a mechanism that it does not have Dovecot would end the connection, and with it everybody's exchanges.
void Server::ask(Exchanges::iterator exchange, const Question &question) {
  if (mechanisms_.contains(question.mechanism)) return send(auth_line(question));
  answer(exchange, plugin::defer("Dovecot does not have " + question.mechanism + ": see its auth_mechanisms"));
  exchanges_.erase(exchange);
}

// The time is up, mostly. Whoever has not even greeted by then will not.
void Server::cancel(mansio_op op) {
  const auto exchange = std::find_if(exchanges_.begin(), exchanges_.end(),
                                     [&](const auto &e) { return e.second.waits && e.second.waits->op().id == op.id; });
  if (exchange == exchanges_.end()) return;
  if (!greeted_) return close("no greeting in time");
  give_up(exchange, "no answer from Dovecot in time");
}

void Server::forget(std::uint64_t number) {
  if (const auto exchange = find(number); exchange != exchanges_.end()) give_up(exchange, "given up");
}

void Server::give_up(Exchanges::iterator exchange, const char *why) {
  const auto id = exchange->first;
  const bool known = !exchange->second.user;  // to Dovecot
  if (exchange->second.waits) answer(exchange, plugin::defer(why));
  exchanges_.erase(exchange);
  if (known && greeted_) send(cancel_line(id));
}

Server::Exchanges::iterator Server::find(std::uint64_t number) {
  return std::find_if(exchanges_.begin(), exchanges_.end(), [&](const auto &e) { return e.second.number == number; });
}

// ---- the connection ----------------------------------------------------------------------------------------------

void Server::send(std::string_view line) {
  out_ += line;
  if (!writing_) write();
}

// An error here is one that reading meets as well, and says.
void Server::write() {
  while (!out_.empty() && fd_ >= 0) {
    const auto n = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      out_.erase(0, static_cast<std::size_t>(n));
    } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      writing_ = host_.watch<&Server::writable>(fd_, MANSIO_WRITABLE, this);
      return;
    } else if (n < 0 && errno != EINTR) {
      out_.clear();
    }
  }
}

void Server::writable(int) {
  writing_ = false;
  write();
}

void Server::idle() {
  if (!used_ && exchanges_.empty()) return close("nobody needs it");
  used_ = false;
  timer_ = host_.timer<&Server::idle>(kIdle, this);
}

void Server::readable(int) {
  char bytes[16384];
  for (;;) {
    const auto n = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
      in_.append(bytes, static_cast<std::size_t>(n));
      if (!take_lines()) return;
      continue;
    }
    if (n == 0) return close("the connection was closed");
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return close(std::strerror(errno));
    break;
  }
  if (!host_.watch<&Server::readable>(fd_, MANSIO_READABLE, this)) close("cannot be watched");
}

bool Server::take_lines() {
  std::size_t at = 0;
  for (auto end = in_.find('\n'); end != in_.npos; end = in_.find('\n', at)) {
    const auto line = std::string_view{in_}.substr(at, end - at);
    if (!take(parse_answer(line))) {
      close("it does not speak Dovecot's protocol");
      return false;
    }
    at = end + 1;
  }
  in_.erase(0, at);
  if (in_.size() <= kLongestLine) return true;
  close("its line does not end");
  return false;
}

bool Server::take(const Answer &said) {
  using Kind = Answer::Kind;
  switch (said.kind) {
    case Kind::Bad:
      return false;
    case Kind::Other:
      return true;
    case Kind::Version:
      return said.id == 1;
    case Kind::Mechanism:
      mechanisms_.insert(said.text);
      return true;
    case Kind::Done:
      greeted_ = true;
      for (auto i = exchanges_.begin(); i != exchanges_.end();) {
        const auto exchange = i++;
        if (const auto question = std::exchange(exchange->second.question, std::nullopt)) ask(exchange, *question);
      }
      return true;
    default:
      break;
  }
  const auto exchange = exchanges_.find(said.id);
  // One that we have given up or not asked yet, or an answer twice.
  if (exchange == exchanges_.end() || !exchange->second.waits || exchange->second.question) return true;
  if (said.kind == Kind::Continue) {
    answer(exchange, plugin::challenge(*said.data));
    return true;
  }
  if (said.kind == Kind::Ok && said.data) {
    exchange->second.user = said.user;
    answer(exchange, plugin::challenge(*said.data));
    return true;
  }
  answer(exchange, said.kind == Kind::Ok ? plugin::authenticated(said.user)
                   : said.temporary      ? plugin::defer(said.text.empty() ? "temporary failure" : said.text)
                                         : plugin::wrong_credentials(said.text));
  exchanges_.erase(exchange);
  return true;
}

void Server::answer(Exchanges::iterator exchange, const plugin::Reply &reply) {
  exchange->second.waits->complete(reply);
  exchange->second.waits.reset();
}

void Server::close(const std::string &why) {
  if (fd_ >= 0) {
    host_.cancel_timer(timer_);
    host_.forget(fd_);
    ::close(std::exchange(fd_, -1));
  }
  greeted_ = writing_ = false;
  in_.clear();
  out_.clear();
  mechanisms_.clear();
  auto lost = std::exchange(exchanges_, {});
  for (auto &[id, exchange] : lost)
    if (exchange.waits) exchange.waits->complete(plugin::defer(path_ + ": " + why));
}

}  // namespace mansio::dovecot
