// Dovecot's authentication server, over one connection that is made when somebody asks and kept. All exchanges share
// it, told apart by numbers; when it breaks, those under way are "try later", and the next one makes it anew. One that
// nobody has used for a while is closed: a Dovecot that is told to reload its configuration keeps the old for those who
// are connected.
//
// On the plugin's loop; nothing blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "mansio/auth.hpp"
#include "plugins/auth-dovecot/protocol.hpp"

namespace mansio::dovecot {

class Server {
 public:
  Server(const plugin::Host &host, std::string path, std::string service);
  ~Server();
  Server(const Server &) = delete;
  Server &operator=(const Server &) = delete;

  void step(plugin::AuthStep step, plugin::Token token);
  void cancel(mansio_op op);  // nobody waits for its answer any more
  void forget(std::uint64_t exchange);

  const plugin::Host &host() const { return host_; }  // what callbacks throw is logged there

 private:
  struct Exchange {
    std::uint64_t number = 0;              // the host's
    std::optional<plugin::Token> waits{};  // for Dovecot; null: for the client
    std::optional<std::string> user{};     // let in, once the client has seen what came with it
    std::optional<Question> question{};    // to be asked once Dovecot has greeted
  };
  using Exchanges = std::map<std::uint32_t, Exchange>;  // by the number that Dovecot knows

  bool connect(std::string &why);
  void send(std::string_view line);
  void write();
  void readable(int events);
  void writable(int events);
  bool take_lines();  // false: the connection is gone
  bool take(const Answer &answer);
  void close(const std::string &why);
  void idle();  // is it?
  Exchanges::iterator find(std::uint64_t exchange);
  void ask(Exchanges::iterator exchange, const Question &question);
  void answer(Exchanges::iterator exchange, const plugin::Reply &reply);
  void give_up(Exchanges::iterator exchange, const char *why);

  plugin::Host host_;
  const std::string path_, service_;
  int fd_ = -1;
  bool greeted_ = false;  // by Dovecot
  bool writing_ = false;  // waits until it can go on
  bool used_ = false;     // since idle() last looked
  std::uint64_t timer_ = 0;
  std::string in_, out_;  // out_: from where it can go on
  std::set<std::string, std::less<>> mechanisms_;
  Exchanges exchanges_;
  std::uint32_t last_ = 0;
};

}  // namespace mansio::dovecot
