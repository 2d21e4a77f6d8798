// mansio/event.hpp: plugins that are told what became of messages, and the lines of the log (mansio/draft/event.h), as
// C++20, header-only.
//
//   class CountBounces {
//    public:
//     static constexpr mansio::plugin::Info info{"event-count", "1.0"};
//     static constexpr mansio_option options[] = {{}};
//     explicit CountBounces(mansio::plugin::Host host) : host_(host), seen_(host.counter("seen", "bounces")) {}
//     void bounced(const mansio::plugin::Event &event) {
//       host_.add(seen_);
//       if (event.field("dsn") == "5.7.1") host_.info("refused by policy: " + std::string{event.recipient()});
//     }
//     ...
//   };
//   MANSIO_EVENT_PLUGIN(CountBounces)
//
// The functions that a class has are the events it is told: inserted, routed, delivering, delivered, deferred, bounced,
// removed, and log, whose field "line" is one of the log. Or it has one for all of messages,
// `void notify(const Event &)`, and, if it wants others than those, `std::uint64_t events()` with the event_bit() of
// each that it wants.
//
// They are called on the loop [loop], must not block, and return nothing: nobody waits for them. What they throw is
// logged. A plugin that takes longer than events come misses some.
//
// The kind is a draft: a plugin loads only where MANSIO_DRAFT_BUILD is the host's.
#pragma once

#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "mansio/draft/event.h"
#include "mansio/plugin.hpp"

namespace mansio::plugin {

// "inserted"; "" for one that this SDK does not know.
constexpr std::string_view event_name(std::uint32_t event) {
  constexpr std::string_view names[] = {"inserted", "routed",  "delivering", "delivered",
                                        "deferred", "bounced", "removed",    "log"};
  return event < std::size(names) ? names[event] : std::string_view{};
}
constexpr std::uint64_t event_bit(std::uint32_t event) { return std::uint64_t{1} << event; }

// mansio_event, borrowed: it and all that it gives are there until the function that got it returns.
class Event {
 public:
  explicit Event(const mansio_event &borrowed) : event_(read_record<mansio_event>(&borrowed)) {}

  std::uint32_t event() const { return event_.event; }  // MANSIO_EVENT_*
  std::string_view name() const { return event_name(event_.event); }
  std::int64_t time() const { return event_.time; }  // wall ns
  std::string_view queue_id() const { return view(event_.queue_id); }
  std::string_view recipient() const { return view(event_.recipient); }  // "" where it concerns the whole message
  std::span<const mansio_pair> fields() const { return {event_.fields, event_.n_fields}; }
  std::string_view field(std::string_view name) const {  // "" where it is not there
    for (const auto &f : fields())
      if (view(f.name) == name) return view(f.value);
    return {};
  }

 private:
  mansio_event event_;
};

namespace detail {

#define MANSIO_EVENT_FUNCTION(NAME)                                                    \
  struct Tells_##NAME {                                                                \
    template <class P>                                                                 \
    static constexpr bool wanted = requires(P &p, const Event &e) { p.NAME(e); };      \
    template <class P>                                                                 \
    static void run([[maybe_unused]] P &plugin, [[maybe_unused]] const Event &event) { \
      if constexpr (wanted<P>) plugin.NAME(event);                                     \
    }                                                                                  \
  };
MANSIO_EVENT_FUNCTION(inserted)
MANSIO_EVENT_FUNCTION(routed)
MANSIO_EVENT_FUNCTION(delivering)
MANSIO_EVENT_FUNCTION(delivered)
MANSIO_EVENT_FUNCTION(deferred)
MANSIO_EVENT_FUNCTION(bounced)
MANSIO_EVENT_FUNCTION(removed)
MANSIO_EVENT_FUNCTION(log)
#undef MANSIO_EVENT_FUNCTION

// In the order of MANSIO_EVENT_*.
template <class P, class... Tells>
struct Told {
  static constexpr bool all = requires(P &p, const Event &e) { p.notify(e); };
  static constexpr std::uint64_t wanted() {
    std::uint64_t bits = 0, bit = 1;
    ((bits |= all || Tells::template wanted<P> ? bit : 0, bit <<= 1), ...);
    return bits;
  }
  static void run(P &plugin, const Event &event) {
    if constexpr (all) {
      plugin.notify(event);
    } else {
      std::uint32_t number = 0;
      ((number++ == event.event() ? Tells::run(plugin, event) : void()), ...);
    }
  }
};
template <class P>
using AllEvents = Told<P, Tells_inserted, Tells_routed, Tells_delivering, Tells_delivered, Tells_deferred,
                       Tells_bounced, Tells_removed, Tells_log>;

}  // namespace detail

template <class P>
struct EventKind {
  static constexpr const char *id = "mansio.event/1~draft";
  static constexpr bool draft = true;
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
  static_assert(detail::AllEvents<P>::wanted() != 0, "the class has no function of an event; see mansio/event.hpp");

  static std::uint64_t events([[maybe_unused]] void *self) noexcept {
    auto bits = detail::AllEvents<P>::wanted();
    if constexpr (requires(P &p) { p.events(); }) {
      auto &box = *static_cast<detail::Box<P> *>(self);
      detail::guard(box.host, mansio_op{}, [&] { bits &= box.plugin.events(); });
    } else if constexpr (detail::AllEvents<P>::all) {
      bits &= ~event_bit(MANSIO_EVENT_LOG);  // there are many of them, which one has to ask for
    }
    return bits;
  }
  static void notify(void *self, const mansio_event *event) noexcept {
    auto &box = *static_cast<detail::Box<P> *>(self);
    detail::guard(box.host, mansio_op{}, [&] { detail::AllEvents<P>::run(box.plugin, Event{*event}); });
  }
  static constexpr mansio_event_sink table{events, notify};
};

}  // namespace mansio::plugin

#define MANSIO_EVENT_PLUGIN(Class) MANSIO_PLUGIN(Class, ::mansio::plugin::EventKind)
