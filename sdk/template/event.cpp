// @NAME@: counts what became of mail, and logs what bounced. Replace the functions by what you need; those that the
// class has are the events it is told (mansio/event.hpp).
#include <mansio/event.hpp>

namespace {

using namespace mansio::plugin;

class @CLASS@ {
 public:
  static constexpr Info info{"@NAME@", "0.1"};
  static constexpr mansio_option options[] = {
      {"suffix", MANSIO_OPT_TEXT, 0, "", "What is added to the lines."},
      {},
  };

  explicit @CLASS@(Host host)
      : host_(host), suffix_(host.option("suffix")), sent_(host.counter("sent", "recipients delivered to")) {}

  // On the loop: it must not block. Nobody waits for it, and it changes nothing.
  void delivered(const Event &) { host_.add(sent_); }
  void bounced(const Event &event) {
    host_.info(std::string{event.queue_id()} + " bounced for " + std::string{event.recipient()} + ": " +
               std::string{event.field("text")} + suffix_);
  }

 private:
  Host host_;
  std::string suffix_;
  std::uint32_t sent_;
};

}  // namespace

MANSIO_EVENT_PLUGIN(@CLASS@)
