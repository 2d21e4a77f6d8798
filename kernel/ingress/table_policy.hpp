// TablePolicy: what becomes of a recipient where tables have a say: who may send (access tables), which domains are
// ours, whether the recipient exists, whose aliases it is, where each of them goes, and who gets a copy. It is asked
// instead of Policy, and only where the settings name tables at all: without any, RCPT waits for nothing.
//
// A table that cannot say means 451 and nothing else; what it could not say is logged here.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/ingress/environment.hpp"
#include "kernel/ingress/message_effects.hpp"
#include "kernel/route/aliases.hpp"
#include "kernel/route/canonical.hpp"
#include "kernel/route/relay.hpp"
#include "kernel/route/route_finder.hpp"
#include "kernel/route/screening.hpp"

namespace mansio::ingress {

struct TableQuestion {
  const Service &service;
  const Client &client;
  std::string_view helo, sender, recipient;  // as the client gave them
  bool first = false;                        // no recipient of this message was accepted before
};

struct TableVerdict {
  std::optional<Reply> refusal;
  bool hang_up = false;
  std::vector<Target> targets;  // who gets it in the recipient's place
  std::vector<Target> copies;   // who gets it besides, without the sender's knowing
  std::string sender;           // as the message has it from now on
  MessageEffects effects;
};

class TablePolicy {
 public:
  TablePolicy(const config::Settings &settings, std::span<const std::string> own_addresses, asio::io_context &loop,
              const Clock &clock, Logger &log, io::Tables &tables);
  // Is any table named that has a say here?
  static bool needed(const config::Settings &settings);

  Task<TableVerdict> recipient(TableQuestion question, route::ScreeningMemory &memory) const;
  // The header section of a message with its addresses rewritten; an error is for the log, and means 451.
  Task<Result<std::string>> header(std::string section) const;
  bool rewrites_headers() const { return canonical_.for_headers(); }
  // Of mail that is made here.
  Task<TableVerdict> postmaster(const Service &service, std::string sender) const;

  struct Counters {
    std::uint64_t questions = 0;  // to tables
    std::uint64_t later = 0;      // recipients that could not be decided
  };
  const Counters &counters() const { return counters_; }

 private:
  struct Asked;  // one recipient on its way
  // Each of these says whether the recipient may go on; if not, the verdict has a refusal.
  Task<bool> owned(Asked &asked) const;
  Task<bool> screened(Asked &asked, route::ScreeningMemory &memory) const;
  Task<bool> admitted(Asked &asked) const;
  Task<bool> rewritten(Asked &asked) const;
  Task<bool> expanded(Asked &asked) const;
  Task<bool> exists(Asked &asked, const std::string &address) const;
  Task<bool> routed(Asked &asked) const;
  Task<bool> with_copies(Asked &asked) const;
  Task<bool> copied(Asked &asked, std::string to) const;
  Task<bool> copied_by(Asked &asked, const route::AddressMap &map, std::string address) const;
  Task<bool> rewritten_as(Asked &asked, route::AddressClass what, std::string &address) const;
  bool apply(Asked &asked, const route::Screened &said) const;
  bool apply_remembered(Asked &asked, std::optional<route::Screened> &said, bool is_new) const;
  void log_notes(const Asked &asked, const route::Screened &said) const;
  bool later(Asked &asked, const std::string &why) const;
  bool unknown(Asked &asked, std::uint32_t code) const;

  const config::Settings &settings_;
  asio::io_context &loop_;
  const Clock &clock_;
  Logger &log_;
  io::Tables &tables_;

  route::RelayPolicy relay_;
  route::RouteTable routes_;
  route::DomainTables domains_;
  route::RouteFinder finder_;
  route::Aliases aliases_;
  route::Canonical canonical_;
  route::AddressMap sender_bcc_, recipient_bcc_, local_recipients_, relay_recipients_;
  std::map<std::string, route::AccessLists, std::less<>> access_;  // by listener
  std::map<std::string, route::AddressMap, std::less<>> logins_;   // the same, those that have any
  mutable Counters counters_;
};

}  // namespace mansio::ingress
