// SQLite blocks, so its statements run on a thread of their own, one after the other; the loop hears of their ends by a
// descriptor, which it watches while there are any. Databases stay open there. A statement whose time is over, or that
// nobody waits for, is interrupted; the time that it waits for others is part of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "mansio/loop.hpp"

namespace mansio::lua {

using SqliteValue = std::variant<std::monostate, std::int64_t, double, std::string>;

struct SqliteQuery {
  std::string path;
  bool write = false;  // otherwise the database is opened for reading alone
  std::string sql;
  std::vector<SqliteValue> parameters;
  std::int64_t deadline = 0;  // steady_ns()
  std::size_t limit = 0;      // octets of what it returns
};

struct SqliteRows {
  std::string why;    // it failed; "" = it did not
  bool late = false;  // it took more than its time, and may yet be done
  std::vector<std::string> columns;
  std::vector<std::vector<SqliteValue>> rows;
  std::int64_t changes = 0;  // rows that it inserted, changed or deleted
};

class SqliteWorker {
 public:
  explicit SqliteWorker(const plugin::Host &host);  // [loop]
  ~SqliteWorker();                                  // [loop]; waits for what runs, which is interrupted
  SqliteWorker(const SqliteWorker &) = delete;
  SqliteWorker &operator=(const SqliteWorker &) = delete;

  plugin::Task<SqliteRows> run(SqliteQuery query, plugin::Cancel &cancel);  // [loop]

 private:
  class Awaiter;
  struct Job {
    SqliteQuery query;
    SqliteRows rows;
    std::atomic<bool> stopped = false;
    Awaiter *waiter = nullptr;  // [loop]; null: nobody waits any more
  };
  using Jobs = std::deque<std::shared_ptr<Job>>;

  void begin(std::shared_ptr<Job> job);
  void work();
  void listen();
  void finish();

  plugin::Host host_;
  int done_fd_ = -1;
  std::mutex mutex_;
  std::condition_variable ready_;
  Jobs waiting_, done_;           // guarded
  std::shared_ptr<Job> running_;  // guarded
  bool stopping_ = false;         // guarded
  std::size_t under_way_ = 0;     // [loop]; jobs that the thread has, or has done, whoever waits for them
  std::thread thread_;            // begins with the first job
};

}  // namespace mansio::lua
