// Screening: what the access tables of a listener say of a client, its HELO name, a sender and a recipient. Each is
// asked for in RCPT, so that a refusal is in the log with the recipient, and each once: what was said of the client
// holds for the session, or until the client has authenticated; of HELO and of MAIL until the next.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/route/access.hpp"
#include "kernel/route/search.hpp"

namespace mansio::route {

struct AccessEffects {
  bool discard = false, hold = false;
  std::string redirect;          // an address; "" = none
  std::vector<std::string> bcc;  // addresses
  std::string prepend;           // header fields with their line ends
  std::string filter;            // "transport:nexthop"; "" = none

  void add(const AccessEffects &more);
};

struct Screened {
  std::optional<Refusal> refusal;
  bool hang_up = false;  // with the refusal (421, 521)
  bool later = false;    // a table could not say, or said nonsense: not to be remembered
  std::optional<Refusal> defer_if_permit, defer_if_reject;
  AccessEffects effects;
  struct Note {
    bool warning;
    std::string table, text;
  };
  std::vector<Note> notes;  // for the log
};

// What has been said so far in a session.
struct ScreeningMemory {
  std::optional<Screened> client, helo, sender;
};

// The lists of one listener. The settings outlive it.
class AccessLists {
 public:
  AccessLists() = default;
  AccessLists(const config::Settings &settings, const config::Smtpd &smtpd);
  bool empty() const { return client_.empty() && helo_.empty() && sender_.empty() && recipient_.empty(); }

  Task<Screened> client(Search &search, AccessClient client, std::string name, std::string address) const;
  Task<Screened> helo(Search &search, AccessClient client, std::string name) const;
  Task<Screened> sender(Search &search, AccessClient client, std::string address) const;
  Task<Screened> recipient(Search &search, AccessClient client, std::string address) const;

 private:
  Task<Screened> screen(Search &search, AccessClient client, const MapList &maps, Keys keys, AccessSubject subject,
                        std::string who) const;

  MapList client_, helo_, sender_, recipient_;
  const config::Settings *settings_ = nullptr;
  AccessCodes codes_;
  std::string delimiters_, null_key_;
  bool plain_parents_ = true;
};

}  // namespace mansio::route
