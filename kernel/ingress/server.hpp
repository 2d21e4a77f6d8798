// Server: the living sessions of one ingress process and the doors they come in by.
//
// Listening sockets are shared with the other ingress processes; each accepts what it gets. Running out of
// descriptors must not spin: the server then takes a connection with a descriptor it kept for that day, says 421,
// and lets the listener rest for a while that doubles while it lasts.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "kernel/ingress/environment.hpp"
#include "kernel/ingress/stress.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::ingress {

class ClientSession;

class Server {
 public:
  explicit Server(Environment environment);
  ~Server();

  void listen(Service &service, io::UniqueFd listening);
  // One connection, and who is at its other end; takes part in the limits.
  void serve(Service &service, io::UniqueFd socket, const sockaddr_storage &peer);
  // No new connections; those that there are go on. `done` runs once no session is left.
  void retire(std::function<void()> done);
  // And no new transactions. Also after retire(), whose `done` this one replaces.
  void drain(std::function<void()> done);
  // The time for that is nearly up: who is in the middle of a message is told so, and its session ends.
  void cut();
  // Ends sessions that are past their time, and looks which listeners are under stress. Runs by itself four times a
  // second while there are sessions.
  void sweep();
  // The second half of that alone, for times without sessions. Whoever is past his time hears so between two sweeps;
  // two that follow each other at once would end his session without a word.
  void look_for_stress() { stress_.look(); }
  std::size_t sessions() const { return sessions_.size(); }

 private:
  struct Door;
  Task<void> accept_from(std::shared_ptr<Door> door);
  void shed(Service &service, int listening);
  void start_sweeping();
  void ended(ClientSession *session);
  bool admit(Service &service, const Client &client, int socket);

  Environment env_;
  StressWatch stress_{env_};
  std::unordered_map<ClientSession *, std::shared_ptr<ClientSession>> sessions_;
  std::vector<std::weak_ptr<Door>> doors_;
  asio::steady_timer sweeper_;
  bool sweeping_ = false, retired_ = false;
  std::function<void()> drained_;
  io::UniqueFd reserve_;
};

// Who is at that address.
Client client_of(const sockaddr_storage &address, const config::Smtpd &smtpd);

}  // namespace mansio::ingress
