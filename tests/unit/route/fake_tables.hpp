// Tables that live in a map and answer later, as those of a server do: what asks them has to wait.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernel/io/asio.hpp"
#include "kernel/route/search.hpp"

namespace mansio::route::testing {

class FakeTables final : public io::Tables {
 public:
  explicit FakeTables(asio::io_context &loop) : loop_(loop) {}

  bool has(std::string_view table) const override { return tables.contains(std::string{table}); }
  void query(std::string_view table, std::string_view key, std::function<void(const io::TableAnswer &)> done) override {
    asked.push_back(std::string{table} + ":" + std::string{key});
    io::TableAnswer answer;
    const auto &entries = tables[std::string{table}];
    const auto entry = entries.find(std::string{key});
    if (down.contains(std::string{table})) {
      answer.text = "connection refused";
    } else if (entry == entries.end()) {
      answer.outcome = io::TableAnswer::Outcome::NotFound;
    } else {
      answer.outcome = io::TableAnswer::Outcome::Found;
      answer.values = {entry->second};
    }
    if (at_once) return done(answer);
    asio::post(loop_, [answer = std::move(answer), done = std::move(done)] { done(answer); });
  }

  std::map<std::string, std::map<std::string, std::string>> tables;
  std::set<std::string> down;
  std::vector<std::string> asked;
  bool at_once = false;

 private:
  asio::io_context &loop_;
};

template <class T>
T run(asio::io_context &loop, Task<T> task) {
  std::optional<T> out;
  asio::co_spawn(loop, std::move(task), [&](std::exception_ptr, T value) { out = std::move(value); });
  loop.restart();
  loop.run();
  return std::move(*out);
}

}  // namespace mansio::route::testing
