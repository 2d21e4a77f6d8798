// Threads on which passwords are checked: the loop has other things to do meanwhile.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mansio/auth.hpp"

namespace mansio::auth_table {

struct Job {
  plugin::Token token;
  std::string user, password;
  std::vector<std::string> stored;  // none: there is no such user
};

class Workers {
 public:
  explicit Workers(unsigned threads);
  ~Workers();  // what is left is not answered
  Workers(const Workers &) = delete;
  Workers &operator=(const Workers &) = delete;

  void add(Job job);           // the loop
  void give_up(mansio_op op);  // the same: it has waited too long, if it still waits

 private:
  void work();
  plugin::Reply judge(const Job &job);
  void take_time(const std::string &given);

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Job> jobs_;
  std::string model_;  // the last hash that was of use; what take_time() compares with
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mansio::auth_table
