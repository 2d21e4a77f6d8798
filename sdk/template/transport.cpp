// @NAME@: takes every message and keeps nothing. Replace start() by what you need.
#include <mansio/plugin.hpp>

namespace {

using namespace mansio::plugin;

class @CLASS@ {
 public:
  static constexpr Info info{"@NAME@", "0.1"};
  static constexpr mansio_option options[] = {
      {"say", MANSIO_OPT_TEXT, 0, "taken", "What the log says of each delivery."},
      {},
  };

  explicit @CLASS@(Host host) : host_(host), say_(host.option("say")) {}

  // Answer each recipient with token.rcpt() as soon as its fate is known, or all with complete(): sent(), defer() to try
  // again later, bounce() to return the mail. host_.read(token.op(), ...) reads the message.
  void start(Token token, Delivery delivery) {
    host_.debug("delivering to " + delivery.recipients.front().address, token.op());
    token.complete(sent(say_).relay("local"));
  }

 private:
  Host host_;
  std::string say_;
};

}  // namespace

MANSIO_TRANSPORT_PLUGIN(@CLASS@)
