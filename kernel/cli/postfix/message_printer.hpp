// MessagePrinter: a message as postcat(1) prints one of Postfix's: a record a line, envelope, header section and body
// as asked for. Content comes with CR LF and is printed with LF.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "kernel/mail/envelope.hpp"

namespace mansio::cli::postfix {

struct PrintForm {
  bool envelope = false, header = false, body = false;
  bool names = false;    // -f: whose record it is
  bool types = false;    // -d: Postfix's number of each record's type
  bool offsets = false;  // -o: where it lies in the segment
};

class MessagePrinter {
 public:
  MessagePrinter(const PrintForm &form, std::string name, std::function<void(std::string_view)> out)
      : form_(form), name_(std::move(name)), out_(std::move(out)) {}

  // `waits`: the recipients that are not done; null: nobody knows.
  void envelope(const Envelope &envelope, std::uint64_t offset, const std::multiset<std::string> *waits);
  void begin_content(std::uint64_t offset);
  void content(std::string_view bytes);  // in any pieces
  void end();

 private:
  void record(char type, std::string_view text);
  void attribute(std::string_view name, std::string_view value);
  void line(std::string_view text);

  PrintForm form_;
  std::string name_;
  std::function<void(std::string_view)> out_;
  std::uint64_t offset_ = 0;
  std::string pending_;  // of the line under way
  bool in_header_ = true, first_ = true;
};

}  // namespace mansio::cli::postfix
