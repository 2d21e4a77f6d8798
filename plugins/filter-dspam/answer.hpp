// What DSPAM's daemon says, line by line: replies to commands, and the answer after the final dot, which is one of
//
//   X-DSPAM-Result: bob@example.com; result="Spam"; class="Spam"; probability=1.0000; confidence=0.97; signature=4f6a
//   .                                                          --deliver=summary; a message may follow the first line
//
//   X-Daemon-Classification: SPAM                              --stdout: and the message, with X-DSPAM- fields
//
//   250 2.6.0 <bob> Message accepted for delivery: SPAM        otherwise: it delivered the message itself; of 3.10.2
//                                                              also: it did not look at it, or knew no such signature
//
// Pure. What is none of these is Bad, never a verdict.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mansio::dspam {

struct Verdict {
  bool spam = false;
  std::string word;                     // DSPAM's class: "Spam", "Innocent", "Whitelisted", ...
  std::string probability, confidence;  // decimal numbers; "" = not said
  std::string signature;                // "" = none
};

// A signature as DSPAM makes them: letters, digits and commas.
bool is_signature(std::string_view text);

enum class Read { More, Done, Bad };

// The reply to a command: lines "250-..." and one "250 ...".
class CommandReply {
 public:
  // A line without its end. Done: `code` and `text` are those of the last line.
  Read take(std::string_view line);
  int code() const { return code_; }
  const std::string &text() const { return text_; }  // without the code; printable
  bool offers_process_mode() const { return process_mode_; }

 private:
  int code_ = 0;
  std::size_t lines_ = 0;
  bool process_mode_ = false;
  std::string text_;
};

// The answer about one user.
class Answer {
 public:
  enum class Kind {
    None,     // DSPAM did not look at the message: it failed, or the user has opted out
    Verdict,  // `verdict`
    Taken,    // it says that it took the message: it has delivered or quarantined it itself, or done nothing with it
    Refused,  // `code` and `text`
  };
  Read take(std::string_view line);

  Kind kind() const { return kind_; }
  const dspam::Verdict &verdict() const { return verdict_; }
  int code() const { return reply_.code(); }
  const std::string &text() const { return reply_.text(); }
  // Of Done: nothing more of it comes, so the connection can be used again.
  bool complete() const { return complete_; }

 private:
  enum class State { Begin, Summary, Message };
  Read begin(std::string_view line);
  Read summary(std::string_view line);
  Read field(std::string_view line);
  Read done(Kind what, bool whole);

  State state_ = State::Begin;
  Kind kind_ = Kind::None;
  dspam::Verdict verdict_;
  std::string word_;     // of a message's X-DSPAM-Result in the line before; "" = it was none
  bool marked_ = false;  // the fields that come are DSPAM's
  CommandReply reply_;
  std::size_t lines_ = 0;
  bool complete_ = false;
};

}  // namespace mansio::dspam
