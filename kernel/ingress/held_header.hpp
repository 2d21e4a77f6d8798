// The beginning of a message, until its header section is complete: the header of a message whose addresses are to be
// rewritten is held back until all of it is there; content after it flows on.
#pragma once

#include <string>
#include <string_view>

#include "kernel/mail/headers.hpp"

namespace mansio::ingress {

class HeldHeader {
 public:
  void feed(std::string_view bytes) {
    scanner_.feed(bytes);
    text_ += bytes;
  }
  bool complete() const { return !scanner_.in_header(); }
  std::size_t size() const { return text_.size(); }
  std::string section() const { return std::string{header_section(text_)}; }
  std::string rest() const { return text_.substr(header_section(text_).size()); }  // from the empty line on

 private:
  ContentScanner scanner_;
  std::string text_;
};

}  // namespace mansio::ingress
