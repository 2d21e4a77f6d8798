// SharedMemory: the one memfd that all processes of an instance map. Lock-free, fixed layout, survives the death
// of any writer; the supervisor clears what a dead process left (release_slot).
//
//  - connection counts by listener and by client of it over all ingress processes, in a fixed open-addressed table:
//    when it is full, a client that cannot be entered is refused (421), never counted wrong;
//  - until when a listener is under stress, which one process notices and all act upon;
//  - one marker per process slot: the message whose plugin code runs right now, read by the supervisor after a
//    death to tell which message killed the worker;
//  - and another: the plugin instance in whose code it is, which tells what killed the process; and which of these
//    rest for it (rests.hpp);
//  - the rates of clients over all ingress processes (rates.hpp);
//  - the numbers that plugins count over all their processes (numbers.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "kernel/base/clock.hpp"
#include "kernel/base/id.hpp"
#include "kernel/base/result.hpp"
#include "kernel/io/fd.hpp"
#include "kernel/process/numbers.hpp"
#include "kernel/process/rates.hpp"
#include "kernel/process/rests.hpp"
#include "kernel/process/slots.hpp"

namespace mansio::process {

using ClientKey = std::array<std::uint8_t, 16>;  // IPv6, or IPv4-mapped

enum class Admission : std::uint8_t { Admitted, ClientLimit, TotalLimit, TableFull };

// Of connections at once, over all slots; 0 = none.
struct ConnectionLimits {
  std::uint32_t client = 0;    // of one client at one listener
  std::uint32_t listener = 0;  // of all clients at one listener
  std::uint32_t total = 0;     // of all clients at all listeners
};

class SharedMemory {
 public:
  static Result<std::unique_ptr<SharedMemory>> create();                 // makes the memfd
  static Result<std::unique_ptr<SharedMemory>> map(io::UniqueFd memfd);  // a child's view
  ~SharedMemory();
  SharedMemory(const SharedMemory &) = delete;
  SharedMemory &operator=(const SharedMemory &) = delete;

  const io::UniqueFd &fd() const;

  // As RateTable's, for a client of a listener.
  std::uint32_t count_event(std::uint32_t slot, std::string_view listener, const ClientKey &client, ClientEvent event,
                            RateTime time);
  std::uint32_t counted_events(std::string_view listener, const ClientKey &client, ClientEvent event,
                               RateTime time) const;

  // Counts a connection for `slot`.
  Admission connect(std::uint32_t slot, std::string_view listener, const ClientKey &client, ConnectionLimits limits);
  void disconnect(std::uint32_t slot, std::string_view listener, const ClientKey &client);
  std::uint32_t connections() const;
  std::uint32_t connections(std::string_view listener) const;

  // Stress of a listener, with the name alone as key; times are `mono` of any process (one clock for all). When it is
  // over, it still has to be ended with relax(). At most 256 listeners may ever come under stress in an instance's
  // life, over all its configurations; others never do.
  Nanos stressed_until(std::string_view listener) const;  // 0: it is not; may be past
  bool stress(std::string_view listener, Nanos until);    // at least so long; true: it begins with this call
  bool relax(std::string_view listener, Nanos now);       // true: it was over, and ends with this call

  // Those of the plugin instance of that name, "policy grey". Borrows from this.
  Numbers numbers(std::uint32_t slot, std::string_view instance);

  void working_on(std::uint32_t slot, MessageId message);  // 0 = nothing
  MessageId marker(std::uint32_t slot) const;

  // What stands for a plugin instance of a configuration, "filter spam", in the following; never 0.
  std::uint64_t instance_tag(std::uint32_t config_epoch, std::string_view instance) const;
  void in_code_of(std::uint32_t slot, std::uint64_t instance);  // 0 = no plugin's
  void hangs(std::uint32_t slot);                               // it is ended because it stands
  struct Code {
    std::uint64_t instance = 0;
    bool hangs = false;
  };
  Code code(std::uint32_t slot) const;
  RestTable &rests();

  void release_slot(std::uint32_t slot);  // its process is dead: forget its counts and markers, and free its locks

 private:
  struct Layout;
  struct Stress;
  struct CodeOf;
  SharedMemory(io::UniqueFd fd, Layout *layout);
  io::UniqueFd fd_;
  Layout *layout_;
};

}  // namespace mansio::process
