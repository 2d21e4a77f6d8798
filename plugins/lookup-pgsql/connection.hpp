// A connection to PostgreSQL with its one query prepared. One thread at a time.
#pragma once

#include <postgresql/libpq-fe.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/lookup-common/answer.hpp"
#include "plugins/lookup-common/deadline.hpp"
#include "plugins/lookup-common/table.hpp"

namespace mansio::lookup {

struct PgsqlSettings {
  std::vector<Endpoint> hosts;
  std::string user, password, dbname, encoding;
  std::string sslmode, tls_ca_file, tls_cert_file, tls_key_file;
  std::chrono::nanoseconds timeout{};
};

class PgsqlConnection {
 public:
  // nullptr, and `why`: no connection.
  static std::unique_ptr<PgsqlConnection> connect(const PgsqlSettings &settings, const Endpoint &to, std::string &why);

  // Every column of every row is a value. Nothing, and `why`: the connection is broken.
  std::optional<Answer> ask(const std::string &sql, const std::vector<std::string> &parameters, Table::Values values,
                            std::string &why);

 private:
  struct Free {
    void operator()(PGconn *c) const { ::PQfinish(c); }
    void operator()(PGresult *r) const { ::PQclear(r); }
  };
  using Result = std::unique_ptr<PGresult, Free>;
  PgsqlConnection(std::string name, std::chrono::nanoseconds timeout, PGconn *raw)
      : name_(std::move(name)), timeout_(timeout), connection_(raw) {}
  bool establish(Deadline deadline, std::string &why);
  // The last result of what was sent; nullptr: the connection broke or the deadline passed.
  Result result(Deadline deadline);

  std::string name_;  // of the server, for messages
  std::chrono::nanoseconds timeout_;
  std::unique_ptr<PGconn, Free> connection_;
  bool prepared_ = false;
};

}  // namespace mansio::lookup
