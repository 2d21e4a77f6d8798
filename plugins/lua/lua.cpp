// lua: filters, policies, lookups, transports, AUTH, rates and what is told of events as scripts of Lua 5.4. See
// README.md and docs/lua-guide.md.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "mansio/auth.hpp"
#include "mansio/event.hpp"
#include "mansio/filter.hpp"
#include "mansio/rate.hpp"
#include "plugins/lua/engine.hpp"

namespace {

using namespace mansio::plugin;
namespace lua = mansio::lua;

constexpr const char *kFilterKind = "mansio.filter/1~draft", *kPolicyKind = "mansio.policy/1~draft";

class Script {
 public:
  // DNS, and servers; and where it has a process of its own, a directory.
  static constexpr Info info{"lua", "1.0", MANSIO_NEEDS_NETWORK | MANSIO_TAKES_STATE};
  static constexpr const mansio_option *options = lua::kOptions;

  explicit Script(Host host) : host_(host), engine_(made(&host_, host_)) {
    if (const auto *const auth = engine_->provided(lua::ProvideKind::Auth)) mechanisms_ = auth->mechanisms;
  }
  // Loads the script, so that `mansio check` tells of what is wrong with it.
  static void check(const Config &config) {
    const auto engine = made(nullptr, config);
    const auto &settings = engine->settings();
    if (const auto missing = engine->missing(settings.kind); !missing.empty()) throw unusable(settings.path, missing);
  }

  std::uint64_t stages() const { return engine_->stages(); }
  void start(Stage stage, Token token) { engine_->begin(std::move(stage), std::move(token)); }
  void abort(std::string_view session, std::string_view queue_id) { engine_->abort(session, queue_id); }
  void lookup(LookupRequest request, Token token) { engine_->begin(std::move(request), std::move(token)); }
  void start(Token token, Delivery delivery) { engine_->begin(std::move(delivery), std::move(token)); }
  void step(AuthStep step, Token token) { engine_->begin(std::move(step), std::move(token)); }
  void forget(std::uint64_t exchange) { engine_->forget_exchange(exchange); }
  void lease(LeaseRequest request, Token token) { engine_->begin(std::move(request), std::move(token)); }
  void give_back(std::string_view limit, std::string_view key, std::uint32_t unused) {
    engine_->give_back(limit, key, unused);
  }
  std::uint64_t events() const { return engine_->events(); }
  void notify(const Event &event) { engine_->tell(event); }
  void cancel(mansio_op op) { engine_->cancel(op); }

  // The same in clear and with TLS: tls_auth_only of the listener says whether it is offered in clear.
  std::string_view mechanisms(bool) const { return mechanisms_; }
  // An instance does not start whose script is for something else. Tables and transports are asked all the same where
  // nobody says what it is for, as under `mansio lua test`: there one script may be several.
  bool offers(std::string_view id) const {
    const auto kind = table_of(id);
    const auto missing = engine_->missing(kind);
    if (missing.empty()) return true;
    const auto &wanted = engine_->settings().kind;
    if (kind == wanted) host_.error(missing);
    return wanted.empty() && (id == LookupKind<Script>::id || id == TransportKind<Script>::id);
  }

 private:
  // "mansio.lookup/1" is of tables [lookup.NAME].
  static std::string_view table_of(std::string_view id) {
    id.remove_prefix(std::min(id.size(), std::string_view{"mansio."}.size()));
    return id.substr(0, id.find('/'));
  }
  static BadConfig unusable(const std::string &path, const std::string &why) {
    return {"script", "names " + path + ", which cannot be used: " + why};
  }
  static std::unique_ptr<lua::Engine> made(const Host *host, const Config &config) {
    auto settings = lua::read_settings(config);
    const auto path = settings.path;
    try {
      return std::make_unique<lua::Engine>(host, std::move(settings));
    } catch (const lua::LoadError &e) {
      throw unusable(path, e.what());
    }
  }

  Host host_;
  std::unique_ptr<lua::Engine> engine_;
  std::string mechanisms_;
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
  static void abort(void *self, mansio_str session, mansio_str queue_id) noexcept {
    auto &box = *static_cast<Box *>(self);
    detail::guard(box.host, mansio_op{}, [&] { box.plugin.abort(view(session), view(queue_id)); });
  }
  static constexpr mansio_filter table{stages, start, detail::cancel<P>, abort};
};
template <class P>
struct ScriptFilter : Watch<P> {
  static constexpr const char *id = kFilterKind;
};
template <class P>
struct ScriptPolicy : Watch<P> {
  static constexpr const char *id = kPolicyKind;
};

}  // namespace

MANSIO_PLUGIN(Script, ScriptFilter, ScriptPolicy, ::mansio::plugin::LookupKind, ::mansio::plugin::TransportKind,
              ::mansio::plugin::AuthKind, ::mansio::plugin::RateKind, ::mansio::plugin::EventKind)
