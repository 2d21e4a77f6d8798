// Header rewriting: addresses of a message's own header fields in their canonical form, for messages of clients that
// may relay here. Others' messages stay as they were written: their headers are not ours to change.
//
// The header section is held back until all of it is there; content after it flows on.
#pragma once

#include <string>
#include <string_view>

#include "kernel/mail/headers.hpp"
#include "kernel/route/canonical.hpp"

namespace mansio::ingress {

// `section`: field lines with their line ends. An error means that a table could not say.
Task<Result<std::string>> rewrite_header(route::Search &search, const route::Canonical &canonical, std::string section);

// The beginning of a message, until its header section is complete.
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
