// What becomes of spam, for one recipient and for a message with several. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::dspam {

enum class Action { Accept, Tag, Quarantine, Reject };  // from the mildest to the severest

// "tag", "quarantine", "reject", "accept", and DSPAM's "deliver".
std::optional<Action> parse_action(std::string_view text);

// What one recipient wants; the filter's options are the defaults.
struct Preferences {
  bool enabled = true;
  Action action = Action::Tag;
  std::string subject;  // put before the subject of tagged mail; "" = nothing

  // "spamAction=tag,spamSubject=[SPAM],enable=no": DSPAM's names, and `enable`, the opposite of its optOut. Names of
  // DSPAM's that mean nothing here are left to it. Returns what is wrong, "" = nothing.
  std::string apply(std::string_view text);
};

// Printable ASCII on one line, which may stand in a header.
bool is_subject_prefix(std::string_view text);

// What one recipient's DSPAM makes of the message.
struct Opinion {
  bool spam = false;
  Action action = Action::Accept;  // if it is spam
};

enum class Mixed { First, Any, All };
std::optional<Mixed> parse_mixed(std::string_view text);  // "first", "any", "all"

// The opinion that counts for the message as a whole, which has one body for all:
//   First: the first recipient's;
//   Any:   of those that call it spam, the one with the severest action; the first where none does;
//   All:   the first that does not call it spam; where all do, the one with the mildest action.
std::size_t decide(Mixed rule, const std::vector<Opinion> &opinions);  // not empty

}  // namespace mansio::dspam
