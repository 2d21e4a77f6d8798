// Transcript: the commands and replies of a session, for a notice to the postmaster. Bounded, and without content:
// what DATA and BDAT carry is not in it, nor what the client says in AUTH.
#pragma once

#include <string>
#include <string_view>

#include "kernel/config/notify.hpp"
#include "kernel/ingress/reply.hpp"

namespace mansio::ingress {

class Transcript {
 public:
  void keep(bool keep) { keep_ = keep; }
  void in(std::string_view line) {
    if (keep_) add(" In:  ", line);
  }
  // `replies`: the session's output, which grows until it is written. Each byte is taken once.
  void out(std::string_view replies);
  void written() { taken_ = 0; }
  void forget();  // nothing so far is worth a notice
  const std::string &text() const { return text_; }

 private:
  void add(std::string_view who, std::string_view line);

  std::string text_;
  std::size_t taken_ = 0;  // of the output that is not written yet
  bool keep_ = false, full_ = false;
};

// Which class of trouble such a reply is a sign of, as Postfix's SMTP server has it; 0: none.
config::NotifyMask trouble_of(const Reply &reply);

}  // namespace mansio::ingress
