// @NAME@: answers every key with itself and a suffix. Replace lookup() by what you need.
#include <mansio/plugin.hpp>

namespace {

using namespace mansio::plugin;

class @CLASS@ {
 public:
  static constexpr Info info{"@NAME@", "0.1"};
  static constexpr mansio_option options[] = {
      {"suffix", MANSIO_OPT_TEXT, 0, "!", "What is added to the key."},
      {},
  };

  explicit @CLASS@(Host host) : suffix_(host.option("suffix")) {}

  // One of three outcomes: found(), not_found(), or defer("why") when you cannot say. A server that is down must never
  // look like a key that does not exist.
  Reply lookup(std::string_view /*table*/, std::string_view key) {
    if (key.empty()) return not_found();
    return found(std::string{key} + suffix_);
  }

 private:
  std::string suffix_;
};

}  // namespace

MANSIO_LOOKUP_PLUGIN(@CLASS@)
