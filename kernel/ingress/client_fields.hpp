// ClientFields: the header fields by which whoever sends a message says which campaign it is of and how urgent, where
// `campaign_header` and `priority_header` name some. Whoever names his campaigns has a turn for each beside others of
// his tenant, so only clients that we know are asked for one; a priority everybody may lower.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernel/mail/headers.hpp"

namespace mansio::ingress {

class ClientFields {
 public:
  ClientFields() = default;  // looks for nothing
  // Names of fields, "" for none. `known`: the client is in mynetworks, has authenticated or is one of QMQP's.
  ClientFields(std::string_view campaign, std::string_view priority, bool known)
      : campaign_(known ? campaign : std::string_view{}), priority_(priority), known_(known) {}

  // Feeds the scanner, which has seen all before.
  void feed(std::string_view canonical, ContentScanner &scanner);
  // Of the first such field; "" if there is none, or none that can be a name.
  std::string campaign() const;
  // Of the first such field, -9 to 9 and for a client that is not known 0 at most; nothing if there is none that says
  // one.
  std::optional<int> priority() const;

 private:
  std::string campaign_, priority_;  // names
  bool known_ = false;
  std::string header_;
};

}  // namespace mansio::ingress
