#include "kernel/ingress/server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "kernel/config/client_network.hpp"
#include "kernel/ingress/client_rates.hpp"
#include "kernel/ingress/qmqp_session.hpp"
#include "kernel/ingress/session.hpp"

namespace mansio::ingress {
namespace {

using namespace std::chrono_literals;

constexpr auto kSweepInterval = 250ms;
constexpr int kAcceptBurst = 16;  // connections taken in one go, before others have their turn
constexpr auto kFirstRest = 100ms, kLongestRest = 2000ms;

io::UniqueFd spare_descriptor() { return io::UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}; }

// For connections that get no session. The kernel's buffer takes one line; if not, it is no loss.
void say(const Service &service, int socket, const Reply &reply) {
  std::string line;
  if (service.qmqpd)
    line = qmqp_reply(reply);
  else
    append(line, reply);
  [[maybe_unused]] const auto sent = ::send(socket, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// What descriptors are planned for (config/plan.hpp): the largest limit of any listener.
std::uint32_t most_connections(const config::Settings &settings, const Service &service) {
  auto most = service.smtpd.connection_limit;
  for (const auto &listener : settings.listeners) most = std::max(most, listener.smtpd.connection_limit);
  return most;
}

}  // namespace

Client client_of(const sockaddr_storage &storage, const config::Smtpd &smtpd) {
  Client client;
  client.address = "unix";
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto &in = reinterpret_cast<const sockaddr_in &>(storage);
    client.key[10] = client.key[11] = 0xff;
    std::memcpy(client.key.data() + 12, &in.sin_addr, 4);
    client.port = ntohs(in.sin_port);
    ::inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
  } else if (storage.ss_family == AF_INET6) {
    const auto &in = reinterpret_cast<const sockaddr_in6 &>(storage);
    std::memcpy(client.key.data(), &in.sin6_addr, 16);
    client.port = ntohs(in.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr))
      ::inet_ntop(AF_INET, client.key.data() + 12, text, sizeof text);
    else
      ::inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
  } else {
    return client;
  }
  client.address = text;
  const auto network = config::client_network(smtpd, client.key);
  client.counted_as = network.address;
  client.network = to_string(network);
  client.trusted = std::any_of(smtpd.mynetworks.begin(), smtpd.mynetworks.end(),
                               [&](const auto &n) { return n.contains(client.key); });
  return client;
}

struct Server::Door {
  Door(asio::io_context &loop, Service &s) : service(s), socket(loop), rest(loop) {}
  Service &service;
  asio::posix::stream_descriptor socket;
  asio::steady_timer rest;
};

Server::Server(Environment environment) : env_(environment), sweeper_(env_.loop), reserve_(spare_descriptor()) {}

Server::~Server() {
  for (const auto &[session, owner] : sessions_) session->abandon();
}

void Server::listen(Service &service, io::UniqueFd listening) {
  if (retired_) return;
  stress_.watch(service);
  auto door = std::make_shared<Door>(env_.loop, service);
  ::fcntl(listening.get(), F_SETFL, ::fcntl(listening.get(), F_GETFL) | O_NONBLOCK);
  const int on = 1;
  ::setsockopt(listening.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // each connection inherits it
  ErrorCode error;
  door->socket.assign(listening.get(), error);
  if (error) {
    env_.log.error("cannot listen", {{"listener", service.name}, {"error", error.message()}});
    return;
  }
  listening.release();
  doors_.push_back(door);
  asio::co_spawn(env_.loop, accept_from(door), asio::detached);
}

Task<void> Server::accept_from(std::shared_ptr<Door> door) {
  auto rest = kFirstRest;
  ErrorCode error;
  while (!retired_) {
    co_await door->socket.async_wait(asio::posix::stream_descriptor::wait_read,
                                     asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;  // closed by retire()
    for (int i = 0; i < kAcceptBurst && !retired_; ++i) {
      sockaddr_storage peer{};
      socklen_t length = sizeof peer;
      io::UniqueFd socket{::accept4(door->socket.native_handle(), reinterpret_cast<sockaddr *>(&peer), &length,
                                    SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (socket) {
        rest = kFirstRest;
        serve(door->service, std::move(socket), peer);
        continue;
      }
      const int why = errno;
      if (why == EAGAIN || why == EWOULDBLOCK) break;
      if (why != EMFILE && why != ENFILE && why != ENOBUFS && why != ENOMEM) continue;  // that connection is gone
      env_.log.warn(
          "cannot accept connections for want of resources; raise the descriptor limit or lower "
          "connection_limit",
          {{"listener", door->service.name}, {"error", std::strerror(why)}});
      ++door->service.counters.refused_connections;
      shed(door->service, door->socket.native_handle());
      door->rest.expires_after(rest);
      co_await door->rest.async_wait(asio::redirect_error(asio::use_awaitable, error));
      rest = std::min<std::chrono::milliseconds>(rest * 2, kLongestRest);
      break;
    }
  }
}

void Server::shed(Service &service, int listening) {
  stress_.refused(service, "out of descriptors");
  reserve_.reset();
  if (const io::UniqueFd socket{::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)})
    say(service, socket.get(), {421, {4, 3, 2}, env_.settings.myhostname + " Error: too busy, try again later"});
  reserve_ = spare_descriptor();
}

bool Server::admit(Service &service, const Client &client, int socket) {
  if (const auto why = over_rate(env_, service, client, process::ClientEvent::Connection)) {
    ++service.counters.refused_connections;
    say(service, socket, *why);
    return false;
  }
  const auto &smtpd = service.smtpd;
  const auto limit = exempt(smtpd, client) ? 0 : smtpd.client_connection_count_limit;
  const auto admission = env_.census.connect(service.name, client.counted_as,
                                             {limit, smtpd.connection_limit, most_connections(env_.settings, service)});
  if (admission == process::Admission::Admitted) {
    stress_.admitted(service);
    return true;
  }
  ++service.counters.refused_connections;
  const bool client_limit = admission == process::Admission::ClientLimit;
  if (!client_limit) stress_.refused(service, "all places are taken");
  const Reply reply =
      client_limit
          ? Reply{421, {4, 7, 0}, env_.settings.myhostname + " Error: too many connections from " + client.address}
          : Reply{421, {4, 3, 2}, env_.settings.myhostname + " Error: all server ports are busy"};
  say(service, socket, reply);
  env_.log.info("connection refused",
                {{"client", client.address}, {"reply", to_string(reply)}, {"listener", service.name}});
  return false;
}

void Server::serve(Service &service, io::UniqueFd socket, const sockaddr_storage &peer) {
  stress_.watch(service);
  auto client = client_of(peer, service.smtpd);
  if (!admit(service, client, socket.get())) return;
  ++service.counters.connections;
  ++service.counters.sessions;
  std::shared_ptr<ClientSession> session;
  if (service.qmqpd)
    session = std::make_shared<QmqpSession>(env_, service, std::move(socket), peer.ss_family, std::move(client));
  else
    session = std::make_shared<Session>(env_, service, std::move(socket), peer.ss_family, std::move(client));
  sessions_.emplace(session.get(), session);
  start_sweeping();
  asio::co_spawn(env_.loop, session->run(), [this, session](std::exception_ptr failure) {
    if (failure) {
      try {
        std::rethrow_exception(failure);
      } catch (const std::exception &e) {  // out of memory: this session ends, the others go on
        env_.log.error("session ended", {{"client", session->client().address}, {"error", e.what()}});
      }
    }
    ended(session.get());
  });
}

void Server::ended(ClientSession *session) {
  env_.census.disconnect(session->service().name, session->client().counted_as);
  --session->service().counters.sessions;
  sessions_.erase(session);
  if (retired_ && sessions_.empty() && drained_) std::exchange(drained_, nullptr)();
}

void Server::sweep() {
  const auto now = env_.clock.mono();
  stress_.look();
  for (const auto &[session, owner] : sessions_) session->sweep(now);
}

void Server::start_sweeping() {
  if (sweeping_) return;
  sweeping_ = true;
  sweeper_.expires_after(kSweepInterval);
  sweeper_.async_wait([this](const ErrorCode &error) {
    if (error) return;  // this object may be gone
    sweeping_ = false;
    if (sessions_.empty()) return;
    sweep();
    start_sweeping();
  });
}

void Server::retire(std::function<void()> done) {
  retired_ = true;
  for (const auto &weak : doors_) {
    if (const auto door = weak.lock()) {
      ErrorCode ignored;
      door->socket.close(ignored);
      door->rest.cancel();
    }
  }
  doors_.clear();
  drained_ = std::move(done);
  if (sessions_.empty() && drained_) asio::post(env_.loop, std::exchange(drained_, nullptr));
}

void Server::drain(std::function<void()> done) {
  retire(std::move(done));
  for (const auto &[session, owner] : sessions_) session->drain();
}

void Server::cut() {
  for (const auto &[session, owner] : sessions_) session->cut();
}

}  // namespace mansio::ingress
