// TlsContext: certificate and key of a listener. The files are looked at now and then and read again when they
// changed; a new pair that does not load is logged once and the old one stays in use.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::ingress {

// TLS 1.2 and later. Fails (BadConfig) with OpenSSL's reason.
Result<std::shared_ptr<asio::ssl::context>> make_tls_context(std::string_view certificate_pem,
                                                             std::string_view key_pem);

class TlsContext : public std::enable_shared_from_this<TlsContext> {
 public:
  using OpenFile = std::function<void(const std::string &path, std::function<void(Result<io::UniqueFd>)>)>;

  TlsContext(std::string certificate_file, std::string key_file, Logger &log)
      : certificate_file_(std::move(certificate_file)), key_file_(std::move(key_file)), log_(log) {}

  // Looks whether the files changed and loads them if so; true if it did. They are opened by `open_file`, because
  // they may be root's. `done` may run inside this call.
  void look(const OpenFile &open_file, std::function<void(Result<bool>)> done);
  // The same, with the outcome logged.
  void refresh(const OpenFile &open_file);

  // What new handshakes use; null before the first load. Running sessions keep the one they began with.
  const std::shared_ptr<asio::ssl::context> &current() const { return current_; }

 private:
  struct Stamp {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t mtime = 0;
    bool operator==(const Stamp &) const = default;
  };
  static Result<Stamp> stamp(const io::UniqueFd &fd);
  Result<bool> use(io::UniqueFd certificate, io::UniqueFd key);  // false: nothing changed

  std::string certificate_file_, key_file_;
  Logger &log_;
  Stamp certificate_stamp_, key_stamp_;
  bool looking_ = false;
  std::shared_ptr<asio::ssl::context> current_;
};

}  // namespace mansio::ingress
