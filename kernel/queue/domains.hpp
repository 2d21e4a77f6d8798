// Domains: which domains the senders and recipients of the mail in the index have, interned and counted, so that
// qshape(1)'s question is answered from memory. Two bytes a message: there are numbers for 65,534 names at a time, of
// mail beyond these the envelope is read. A name nobody waits for any more is forgotten: senders choose them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mansio::queue {

using DomainId = std::uint16_t;
inline constexpr DomainId kNoDomain = 0;
inline constexpr DomainId kInEnvelope = UINT16_MAX;  // of several domains, or there is no number left

// What qshape(1) counts an address under: its domain in lower case, or all of it if it has none; the null sender is
// MAILER-DAEMON.
std::string shape_name(std::string_view address);
bool has_shape_name(std::string_view address, std::string_view name);

class Domains {
 public:
  DomainId take(std::string name);  // one reference
  void drop(DomainId id);           // nothing for the two above
  std::string_view name(DomainId id) const { return entries_[id].name ? *entries_[id].name : std::string_view{}; }
  std::size_t size() const { return by_name_.size(); }

 private:
  struct Entry {
    const std::string *name = nullptr;  // in by_name_
    std::uint32_t references = 0;
  };
  std::vector<Entry> entries_ = std::vector<Entry>(1);
  std::vector<DomainId> free_;
  std::unordered_map<std::string, DomainId> by_name_;
};

}  // namespace mansio::queue
