// Any bytes as a configuration: problems or settings, never a crash; and settings that were accepted survive the way
// through their snapshot unchanged.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kernel/base/codec.hpp"
#include "kernel/config/parse.hpp"
#include "kernel/config/plan.hpp"
#include "kernel/route/relay.hpp"
#include "kernel/route/route_table.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::settings {
namespace {

// The input is every file there is; "a.toml" and "b.toml" in the same directory hold a fixed text.
class OneFile final : public config::Files {
 public:
  explicit OneFile(std::string_view text) : text_(text) {}
  Result<std::string> read(const std::string &path) override {
    if (path == "/f/mansio.toml") return std::string{text_};
    if (path.ends_with("secret")) return std::string{"s3cret\n"};
    return std::string{"[smtpd]\nbanner = \"x\"\n"};
  }
  Result<std::vector<std::string>> glob(const std::string &) override { return std::vector<std::string>{"/f/a.toml"}; }

 private:
  std::string_view text_;
};

}  // namespace

MANSIO_FUZZ_TARGET("settings-fuzz", data, size) {
  OneFile files{{reinterpret_cast<const char *>(data), size}};
  const auto parsed = config::parse_settings("/f/mansio.toml", files);
  for (const auto &problem : parsed.problems) {
    if (to_string(problem).empty()) std::abort();
  }
  if (!parsed.problems.empty()) return 0;
  const auto again = config::parse_snapshot(parsed.snapshot);
  if (!again || !(*again == parsed.settings)) std::abort();

  const auto plan = config::make_plan(parsed.settings);
  if (decode<config::Plan>(encode(plan)) != plan) std::abort();
  const route::RouteTable table{parsed.settings};
  const route::RelayPolicy policy{parsed.settings};
  for (const auto &domain : parsed.settings.mydestination) {
    if (policy.decide(false, "postmaster@" + domain).verdict != route::RelayVerdict::Accept) std::abort();
    (void)table.route("", "user@" + domain);
  }
  return 0;
}

}  // namespace mansio::fuzz::settings
