// A connection to MariaDB or MySQL with its one query prepared. One thread at a time.
#pragma once

#include <mariadb/mysql.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/lookup-common/answer.hpp"
#include "plugins/lookup-common/endpoint.hpp"
#include "plugins/lookup-common/table.hpp"

namespace mansio::lookup {

struct MysqlSettings {
  std::vector<Endpoint> hosts;
  std::string user, password, dbname, charset, option_file, option_group;
  bool tls = false;
  std::string tls_ca_file, tls_ca_path, tls_cert_file, tls_key_file, tls_ciphers;
  bool tls_verify_cert = true;
  bool require_result_set = true;
  std::chrono::nanoseconds timeout{};
};

class MysqlConnection {
 public:
  // nullptr, and `why`: no connection. The settings outlive it.
  static std::unique_ptr<MysqlConnection> connect(const MysqlSettings &settings, const Endpoint &to, std::string &why);

  // Every column of every row of the first result set is a value. Nothing, and `why`: the connection is broken. A query
  // without a result set has not looked for the key: "try later", where that is required.
  std::optional<Answer> ask(const std::string &sql, const std::vector<std::string> &parameters, Table::Values values,
                            std::string &why);

 private:
  struct Close {
    void operator()(MYSQL *c) const { ::mysql_close(c); }
    void operator()(MYSQL_STMT *s) const { ::mysql_stmt_close(s); }
  };
  MysqlConnection(std::string name, MYSQL *raw, bool require_result_set)
      : name_(std::move(name)), require_result_set_(require_result_set), connection_(raw) {}
  bool prepare(const std::string &sql);
  bool run(const std::vector<std::string> &parameters, Table::Values &values);
  bool fetch(Table::Values &values);

  std::string name_;  // of the server, for messages
  bool require_result_set_, has_result_set_ = false;
  std::unique_ptr<MYSQL, Close> connection_;
  std::unique_ptr<MYSQL_STMT, Close> statement_;  // before its connection goes
};

}  // namespace mansio::lookup
