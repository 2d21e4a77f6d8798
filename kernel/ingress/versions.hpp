// Versions of a message: what some of its recipients get in the place of what the others get, as a filter wanted it
// (docs/decisions/0074-versions-of-a-message.md). A version is a message of its own from the filter behind that one on:
// it has its own id, recipients, content and verdicts, and becomes a message in the queue. It is committed together
// with the others, or none of them is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/ingress/filter_session.hpp"
#include "kernel/ingress/filtered_message.hpp"
#include "kernel/mail/edits.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/mail/headers.hpp"
#include "kernel/spool/writer.hpp"

namespace mansio::ingress {

struct Version {
  MessageId id;
  Envelope envelope;
  FilterSession::Word word;                  // what filters have said of it
  std::size_t next = 0;                      // the first filter that is to see it
  std::unique_ptr<FilteredMessage> content;  // until it has a draft
  std::unique_ptr<spool::Draft> draft;       // none in the end: versions of it have all of its recipients
  ContentScanner scanner;                    // has seen all of the draft
};

// As filters name recipients: as RCPT or another filter did, or by the address that came of it.
bool names(const Recipient &recipient, std::string_view name);
// Each of them once, as it was given.
std::vector<std::string> given_names(const std::vector<Recipient> &recipients);

struct Split {
  Envelope envelope;
  EditList edits;  // of its content
};
// Takes out of `envelope` the recipients to whom `edits` give a version, and returns the versions that somebody gets.
// Those with the same edits are one, and one with those of the message itself is none. No address is in two of them:
// who has a version by one of the names that lead there has it by the others, too.
std::vector<Split> split(Envelope &envelope, const std::vector<Edit> &edits, const std::vector<EditList> &lists);

}  // namespace mansio::ingress
