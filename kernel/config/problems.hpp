// Where the parser's parts put what they find wrong. They go on after a problem, so that all are reported at once.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernel/config/parse.hpp"
#include "kernel/config/toml.hpp"

namespace mansio::config {

class Problems {
 public:
  void add(const TomlPlace &place, std::string key, std::string text) {
    list_.push_back({place.file ? *place.file : std::string{}, place.line, std::move(key), std::move(text)});
  }
  void add(Problem problem) { list_.push_back(std::move(problem)); }
  std::size_t size() const { return list_.size(); }
  std::vector<Problem> take() { return std::move(list_); }

 private:
  std::vector<Problem> list_;
};

std::string to_string(const TomlPlace &place);  // "FILE:LINE"

}  // namespace mansio::config
