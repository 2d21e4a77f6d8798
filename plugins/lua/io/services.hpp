// What all calls of a process share to reach others: what TLS trusts, the client for HTTP, servers of Redis with their
// connections, the thread for databases. Each is made when it is first asked for.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "mansio/host.hpp"
#include "plugins/lua/io/redis_server.hpp"

struct ssl_ctx_st;  // SSL_CTX of OpenSSL

namespace mansio::lua {

class HttpClient;
class SqliteWorker;

class Services {
 public:
  explicit Services(const plugin::Host &host);
  ~Services();
  Services(const Services &) = delete;
  Services &operator=(const Services &) = delete;

  // With the authorities of that file, the system's for ""; lives as long as this. Throws ScriptError.
  ssl_ctx_st *tls(const std::string &ca_file);
  HttpClient &http();
  // The same for the same settings, whoever asks.
  std::shared_ptr<RedisServer> redis(const RedisSettings &settings);
  SqliteWorker &sqlite();

 private:
  struct Free {
    void operator()(ssl_ctx_st *context) const;
  };
  plugin::Host host_;
  std::map<std::string, std::unique_ptr<ssl_ctx_st, Free>> contexts_;
  std::unique_ptr<HttpClient> http_;
  std::map<RedisSettings, std::shared_ptr<RedisServer>> redis_;
  std::unique_ptr<SqliteWorker> sqlite_;
};

}  // namespace mansio::lua
