// transport-error: delivers nothing and says why, as Postfix's error(8) and retry(8) do. The reason is the route's next
// hop, or the instance's own. Options and behaviour: README.md.
#include <string>
#include <string_view>

#include "mansio/plugin.hpp"
#include "plugins/transport-common/reason.hpp"

namespace {

using namespace mansio::plugin;

enum class Action { AsCoded, Bounce, Defer };

Action parse_action(const std::string &text) {
  if (text.empty()) return Action::AsCoded;
  if (text == "bounce") return Action::Bounce;
  if (text == "defer") return Action::Defer;
  throw BadConfig{"action", "is \"" + text + "\", expected \"bounce\", \"defer\" or \"\""};
}

std::string parse_text(std::string text) {
  const auto reason = mansio::transport::parse_reason(text);
  if (text.empty() || (reason && reason->text.empty()))
    throw BadConfig{"text", "is \"" + text + "\", expected a reason such as \"5.1.1 no such user\""};
  return text;
}

// The code says what becomes of the mail where the configuration leaves it to that; without code it bounces.
Reply reply(Action action, std::string_view text) {
  const auto reason = mansio::transport::parse_reason(text);
  const bool deferred = action == Action::Defer || (action == Action::AsCoded && reason && reason->enhanced.cls == 4);
  auto enhanced = reason ? reason->enhanced : Enhanced{};
  enhanced.cls = deferred ? 4 : 5;
  std::string shown{reason ? reason->text : text};
  return deferred ? defer(enhanced, std::move(shown)) : bounce(enhanced, std::move(shown));
}

class TransportError {
 public:
  static constexpr Info info{"transport-error", "1.0"};
  static constexpr mansio_option options[] = {
      {"text", MANSIO_OPT_TEXT, 0, "5.0.0 mail for this address is not delivered",
       "The reason, with or without an enhanced status code before it, where the route gives none as its next hop."},
      {"action", MANSIO_OPT_TEXT, 0, "",
       "What becomes of the mail: bounce, defer, or as the reason's code says (5.x.y bounces, 4.x.y defers, none "
       "bounces)."},
      {}};

  explicit TransportError(const Host &host)
      : text_(parse_text(host.option("text"))), action_(parse_action(host.option("action"))) {}
  static void check(const Config &config) {
    Problems problems{config};
    problems.of([&] { parse_text(config.option("text")); });
    problems.of([&] { parse_action(config.option("action")); });
    problems.end();
  }

  void start(Token token, const Delivery &delivery) const {
    token.complete(reply(action_, delivery.nexthop.empty() ? text_ : delivery.nexthop).relay("none"));
  }

 private:
  std::string text_;
  Action action_;
};

}  // namespace

MANSIO_TRANSPORT_PLUGIN(TransportError)
