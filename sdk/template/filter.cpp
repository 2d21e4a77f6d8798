// @NAME@: adds a header field to every message. Replace end_of_message() by what you need; the functions that the class
// has are the stages it sees (mansio/filter.hpp).
#include <mansio/filter.hpp>

namespace {

using namespace mansio::plugin;

class @CLASS@ {
 public:
  static constexpr Info info{"@NAME@", "0.1"};
  static constexpr mansio_option options[] = {
      {"value", MANSIO_OPT_TEXT, 0, "seen", "What the field says."},
      {},
  };

  explicit @CLASS@(Host host) : value_(host.option("value")) {}

  // The whole message is here: stage.content() is it. What is changed counts with accept().
  Reply end_of_message(Stage &stage) {
    stage.add_header("X-@CLASS@", value_);
    return accept();
  }

 private:
  std::string value_;
};

}  // namespace

MANSIO_FILTER_PLUGIN(@CLASS@)
