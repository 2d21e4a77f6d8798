#include "plugins/lua/io/services.hpp"

#include <utility>

#include "mansio/tls.hpp"
#include "plugins/lua/io/http_client.hpp"
#include "plugins/lua/io/sqlite_worker.hpp"
#include "plugins/lua/script_error.hpp"

namespace mansio::lua {

void Services::Free::operator()(ssl_ctx_st *context) const { ::SSL_CTX_free(context); }

Services::Services(const plugin::Host &host) : host_(host) { plugin::ignore_sigpipe(); }

Services::~Services() = default;

ssl_ctx_st *Services::tls(const std::string &ca_file) {
  if (const auto known = contexts_.find(ca_file); known != contexts_.end()) return known->second.get();
  std::unique_ptr<ssl_ctx_st, Free> made{::SSL_CTX_new(::TLS_client_method())};
  if (!made || ::SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION) != 1)
    throw ScriptError{"TLS cannot be set up: " + plugin::ssl_error_text()};
  ::SSL_CTX_set_verify(made.get(), SSL_VERIFY_NONE, nullptr);  // judged after the handshake, with the name
  if (ca_file.empty())
    ::SSL_CTX_set_default_verify_paths(made.get());
  else if (::SSL_CTX_load_verify_file(made.get(), ca_file.c_str()) != 1)
    throw ScriptError{"ca_file " + ca_file + " cannot be used: " + plugin::ssl_error_text()};
  return contexts_.emplace(ca_file, std::move(made)).first->second.get();
}

HttpClient &Services::http() {
  if (!http_) http_ = std::make_unique<HttpClient>(host_);
  return *http_;
}

std::shared_ptr<RedisServer> Services::redis(const RedisSettings &settings) {
  constexpr std::size_t kMostKept = 64;
  if (const auto known = redis_.find(settings); known != redis_.end()) return known->second;
  if (redis_.size() >= kMostKept)
    redis_.clear();  // a script that makes up new ones; those in use stay with their users
  return redis_[settings] = std::make_shared<RedisServer>(host_, settings);
}

SqliteWorker &Services::sqlite() {
  if (!sqlite_) sqlite_ = std::make_unique<SqliteWorker>(host_);
  return *sqlite_;
}

}  // namespace mansio::lua
