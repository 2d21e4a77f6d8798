// transport-discard: says yes to every recipient and keeps nothing (Postfix's discard(8)). The shortest complete
// transport; docs/plugin-guide.md walks through it.
#include <mansio/plugin.hpp>

namespace {

using namespace mansio::plugin;

class Discard {
 public:
  static constexpr Info info{"transport-discard", "1.0"};
  static constexpr mansio_option options[] = {
      {"text", MANSIO_OPT_TEXT, 0, "discarded", "what the delivery log line says"},
      {},
  };

  explicit Discard(Host host) : text_(host.option("text")) {}

  // Recipients without a result of their own take the status of complete().
  void start(Token token, Delivery) { token.complete(sent(text_).relay("none")); }

 private:
  std::string text_;
};

}  // namespace

MANSIO_TRANSPORT_PLUGIN(Discard)
