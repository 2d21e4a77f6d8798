// Who of a delivery's recipients still waits for an answer. Final answers go to the host at once; a temporary
// refusal is kept while another server may still do better.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "mansio/plugin.hpp"

namespace mansio::smtp {

class Ledger {
 public:
  Ledger(plugin::Host host, mansio_op op, std::size_t recipients) : host_(host), op_(op), entries_(recipients) {}

  void settle(std::uint32_t i, const plugin::Reply &reply) {
    if (std::exchange(entries_[i].settled, true)) return;
    host_.rcpt(op_, i, reply);
  }
  // `reply` defers unless a later server takes the recipient.
  void soften(std::uint32_t i, const plugin::Reply &reply) {
    if (last_server_) return settle(i, reply);
    entries_[i].soft = reply;
  }
  void last_server(bool yes) { last_server_ = yes; }

  bool settled(std::uint32_t i) const { return entries_[i].settled; }
  std::vector<std::uint32_t> pending() const {
    std::vector<std::uint32_t> left;
    for (std::uint32_t i = 0; i < entries_.size(); ++i)
      if (!entries_[i].settled) left.push_back(i);
    return left;
  }
  // Everyone left takes what a server said of him, else `reply`.
  void settle_rest(const plugin::Reply &reply) {
    for (std::uint32_t i = 0; i < entries_.size(); ++i)
      if (!entries_[i].settled) settle(i, entries_[i].soft ? plugin::Reply{*entries_[i].soft} : reply);
  }

 private:
  struct Entry {
    bool settled = false;
    std::optional<plugin::Reply> soft;
  };
  plugin::Host host_;
  mansio_op op_;
  std::vector<Entry> entries_;
  bool last_server_ = false;
};

}  // namespace mansio::smtp
