// CampaignField: the header field that has a message's campaign, where `campaign_header` names one. Whoever names his
// campaigns has a turn for each beside others of his tenant, so only clients that we know are asked.
#pragma once

#include <string>
#include <string_view>

#include "kernel/mail/headers.hpp"

namespace mansio::ingress {

class CampaignField {
 public:
  CampaignField() = default;  // looks for nothing
  explicit CampaignField(std::string_view name) : name_(name) {}

  // Feeds the scanner, which has seen all before.
  void feed(std::string_view canonical, ContentScanner &scanner);
  // Of the first such field; "" if there is none, or none that can be a name.
  std::string value() const;

 private:
  std::string name_, header_;
};

}  // namespace mansio::ingress
