// lua: filters, policies, lookups and transports as scripts of Lua 5.4. See README.md and docs/lua-guide.md.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "mansio/filter.hpp"
#include "plugins/lua/engine.hpp"

namespace {

using namespace mansio::plugin;
namespace lua = mansio::lua;

class Script {
 public:
  static constexpr Info info{"lua", "1.0", MANSIO_NEEDS_NETWORK};  // DNS, and servers
  static constexpr const mansio_option *options = lua::kOptions;

  explicit Script(Host host) : host_(host), engine_(made(&host_, host_)) {}
  // Loads the script, so that `mansio check` tells of what is wrong with it.
  static void check(const Config &config) { made(nullptr, config); }

  std::uint64_t stages() const { return engine_->stages(); }
  void start(Stage stage, Token token) { engine_->begin(std::move(stage), std::move(token)); }
  void lookup(LookupRequest request, Token token) { engine_->begin(std::move(request), std::move(token)); }
  void start(Token token, Delivery delivery) { engine_->begin(std::move(delivery), std::move(token)); }
  void cancel(mansio_op op) { engine_->cancel(op); }

 private:
  static std::unique_ptr<lua::Engine> made(const Host *host, const Config &config) {
    auto settings = lua::read_settings(config);
    const auto path = settings.path;
    try {
      return std::make_unique<lua::Engine>(host, std::move(settings));
    } catch (const lua::LoadError &e) {
      throw BadConfig{"script", "names " + path + ", which cannot be used: " + e.what()};
    }
  }

  Host host_;
  std::unique_ptr<lua::Engine> engine_;
};

// The kinds that watch sessions. Which stages they see is the script's choice.
template <class P>
struct Watch {
  static constexpr bool draft = true;
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
  using Box = detail::Box<P>;

  static std::uint64_t stages(void *self) noexcept { return static_cast<Box *>(self)->plugin.stages(); }
  static void start(void *self, mansio_op op, const mansio_stage *stage) noexcept {
    auto &box = *static_cast<Box *>(self);
    detail::guard(box.host, op, [&] {
      Token token{box.host, op};
      Stage owned{box.host, op, *stage};
      box.plugin.start(std::move(owned), std::move(token));
    });
  }
  static constexpr mansio_filter table{stages, start, detail::cancel<P>, nullptr};
};
template <class P>
struct ScriptFilter : Watch<P> {
  static constexpr const char *id = "mansio.filter/1~draft";
};
template <class P>
struct ScriptPolicy : Watch<P> {
  static constexpr const char *id = "mansio.policy/1~draft";
};

}  // namespace

MANSIO_PLUGIN(Script, ScriptFilter, ScriptPolicy, ::mansio::plugin::LookupKind, ::mansio::plugin::TransportKind)
