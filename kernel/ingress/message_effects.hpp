// What access tables and BCC maps do to a message as a whole, gathered from its recipients and applied when it is
// taken.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/mail/envelope.hpp"

namespace mansio::ingress {

// An address to deliver to.
struct Target {
  std::string address;
  Route route;  // empty: its route refuses; the queue finds that out when it routes it again, and returns the mail
};

struct MessageEffects {
  bool discard = false;            // taken, and dropped
  bool hold = false;               // taken, and not delivered before someone releases it
  std::optional<Target> redirect;  // to nobody else
  std::string prepend;             // header fields with their line ends
  std::string filter;              // "transport:nexthop" that it goes to first; "": where the listener says

  void add(MessageEffects &&more);
};

// `targets` in the place of the recipient that `asked` has the parameters of, then `copies`, of whose fate nobody
// hears.
void add_recipients(Envelope &envelope, const Recipient &asked, std::vector<Target> &&targets,
                    std::vector<Target> &&copies);
// The envelope as it is committed: each recipient once, redirected, held.
void settle(MessageEffects &effects, Envelope &envelope);

}  // namespace mansio::ingress
