// @NAME@: refuses recipients of one domain. Replace rcpt() by what you need; the functions that the class has are the
// stages it sees (mansio/filter.hpp).
#include <mansio/filter.hpp>

namespace {

using namespace mansio::plugin;

class @CLASS@ {
 public:
  static constexpr Info info{"@NAME@", "0.1"};
  static constexpr mansio_option options[] = {
      {"refuse", MANSIO_OPT_TEXT, 0, "refused.example", "The domain whose recipients are refused."},
      {},
  };

  explicit @CLASS@(Host host) : refuse_(host.option("refuse")) {}

  // accept(), skip() when you have no opinion, defer() for "try again later", or reject().
  Reply rcpt(Stage &stage) {
    if (stage.argument(0).ends_with("@" + refuse_)) return reject({5, 7, 1}, "not for " + refuse_);
    return accept();
  }

 private:
  std::string refuse_;
};

}  // namespace

MANSIO_POLICY_PLUGIN(@CLASS@)
