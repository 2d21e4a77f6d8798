// RestTable: which plugin instances rest, because their code ended processes that ran it: the supervisor's breakers, as
// the processes see them before they call a plugin. It lies in the memory that the processes of an instance share
// (shared.hpp), where zero bytes are an empty table.
//
// Only the supervisor enters and removes an instance. All else about it is one word that is exchanged whole, so that no
// process's death leaves it half changed:
//
//   resting     until then nobody calls it; afterwards whoever asks first tries it,
//   trying      and until then nobody else does: a try may be one that nobody hears of again
//   recovered   a try went well at that time; everybody calls it
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "kernel/base/clock.hpp"

namespace mansio::process {

class RestTable {
 public:
  enum class Leave : std::uint8_t {
    Free,   // it does not rest
    No,     // it rests, or another process tries it
    Begun,  // this process tries it from now on
    Yours,  // this process tries it already
  };
  struct State {
    enum class Kind : std::uint8_t { Resting, Trying, Recovered } kind = Kind::Resting;
    Nanos time = 0;          // until then; of Recovered: since then
    std::uint32_t slot = 0;  // of Trying: who does
  };

  // May the process of that slot call the instance? A try that begins holds for `patience`. `instance`: a tag of
  // SharedMemory, as in all of these. Times are `mono`.
  Leave ask(std::uint64_t instance, std::uint32_t slot, Nanos now, Nanos patience);
  // The try of that process went well; true: it was one.
  bool recovered(std::uint64_t instance, std::uint32_t slot, Nanos now);
  std::optional<State> state(std::uint64_t instance) const;  // none: it was never told to rest

  // The supervisor's. False: no room, and it does not rest.
  bool rest(std::uint64_t instance, Nanos until);
  void forget(std::uint64_t instance);

 private:
  static constexpr std::uint32_t kEntries = 256;
  struct Entry {
    std::atomic<std::uint64_t> instance;  // 0: free
    std::atomic<std::uint64_t> word;      // microseconds << 8 | kResting, kRecovered or the slot that tries + 1
  };
  const Entry *find(std::uint64_t instance) const;
  Entry *find(std::uint64_t instance) { return const_cast<Entry *>(std::as_const(*this).find(instance)); }

  Entry entries_[kEntries];
  std::atomic<std::uint32_t> used_;  // no entry beyond it is in use: most often there is none, and this is on the way
                                     // of each call into a plugin
};

}  // namespace mansio::process
