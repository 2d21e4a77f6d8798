// A JSON object under construction, on one line; knows only what the queue's answers to operators need.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "kernel/base/log.hpp"

namespace mansio::queue {

class Json {
 public:
  Json &open(char c) { return comma(), out_ += c, first_ = true, *this; }
  Json &close(char c) { return out_ += c, first_ = false, *this; }
  Json &key(std::string_view k) {
    comma();
    append_json_string(out_, k);
    out_ += ':';
    first_ = true;
    return *this;
  }
  Json &text(std::string_view v) { return comma(), append_json_string(out_, v), *this; }
  template <class T>
  Json &number(T v) {
    return comma(), out_ += fmt::format("{}", v), *this;
  }
  Json &boolean(bool v) { return comma(), out_ += v ? "true" : "false", *this; }
  std::string line() && { return std::move(out_) + "\n"; }

 private:
  void comma() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  std::string out_;
  bool first_ = true;
};

}  // namespace mansio::queue
