// mansio/plugin.hpp: the C ABI (mansio/abi.h) as C++20, header-only, for plugin authors.
//
// A plugin is a class and one macro:
//
//   class Shout {
//    public:
//     static constexpr mansio::plugin::Info info{"lookup-shout", "1.0"};
//     static constexpr mansio_option options[] = {{"suffix", MANSIO_OPT_TEXT, 0, "!", "what is added"}, {}};
//     explicit Shout(mansio::plugin::Host host) : suffix_(host.option("suffix")) {}
//     mansio::plugin::Reply lookup(std::string_view table, std::string_view key) {
//       return key.empty() ? mansio::plugin::not_found() : mansio::plugin::found(std::string{key} + suffix_);
//     }
//     ...
//   };
//   MANSIO_LOOKUP_PLUGIN(Shout)
//
// Three styles, for every kind:
//  - at once, as here. With MANSIO_BLOCKING in `info` it may block: the host then calls it on threads of its own, up to
//    max_concurrency of them, so what the class shares it must guard;
//  - on the loop: take a Token, use the host's reactor (mansio/loop.hpp has coroutines for it), answer later;
//  - on threads of your own: take a Token, answer from there.
//
// The glue here is the one place where exceptions meet C: a constructor or check that throws BadConfig refuses the
// configuration, an exception out of lookup() or start() completes the operation with MANSIO_INTERNAL (which the host
// takes as "try later"), one out of a callback is logged.
#pragma once

#include "mansio/host.hpp"

namespace mansio::plugin {

struct Info {
  const char *name;  // "transport-maildir"
  const char *version;
  std::uint32_t needs = 0;                // MANSIO_NEEDS_*
  std::uint32_t threading = MANSIO_LOOP;  // or MANSIO_BLOCKING
  std::uint32_t max_concurrency = 0;      // of MANSIO_BLOCKING; 0 = as the host likes
};

// ---- what start() gets -------------------------------------------------------------------------------------------

struct Recipient {
  std::string address;
  std::string original;  // as the client gave it; "" when the same
  std::string orcpt;     // "rfc822;user@example.com", decoded; "" when not given
  std::uint8_t notify = 0;
};

struct Origin {                                  // who brought the message into the mail system
  std::uint32_t source = MANSIO_ORIGIN_UNKNOWN;  // MANSIO_ORIGIN_*
  std::uint32_t port = 0;
  std::string address, name, helo, protocol, ident;  // "" = not known
};

struct Sasl {                            // of the client that we had the message from (RFC 4954)
  std::string method, username, sender;  // "" = none
};

// mansio_delivery, owned, so that it may outlive start().
struct Delivery {
  std::uint32_t flags = 0;  // MANSIO_MSG_*
  std::string queue_id, sender, nexthop;
  std::vector<Recipient> recipients;
  std::uint64_t length = 0;
  std::uint32_t ret = 0;  // MANSIO_RET_*
  std::string envid, client_address, client_name, client_helo, source_pool, tls_policy;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::int64_t arrival = 0;   // wall ns
  std::int64_t deadline = 0;  // monotonic ns
  Origin origin;
  std::uint32_t attempts = 0;  // made before this one
  Sasl sasl;

  Delivery() = default;
  explicit Delivery(const mansio_delivery &borrowed) {
    const auto d = read_record<mansio_delivery>(&borrowed);
    flags = d.flags;
    queue_id = view(d.queue_id);
    sender = view(d.sender);
    nexthop = view(d.nexthop);
    recipients.reserve(d.n_recipients);
    for (std::size_t i = 0; i < d.n_recipients; ++i) {
      const auto r = read_record<mansio_recipient>(d.recipients, i, d.recipient_stride);
      recipients.push_back({string(r.address), string(r.original), string(r.orcpt), r.notify});
    }
    length = d.length;
    ret = d.ret;
    envid = view(d.envid);
    client_address = view(d.client_address);
    client_name = view(d.client_name);
    client_helo = view(d.client_helo);
    source_pool = view(d.source_pool);
    tls_policy = view(d.tls_policy);
    for (std::size_t i = 0; i < d.n_metadata; ++i)
      metadata.emplace_back(string(d.metadata[i].name), string(d.metadata[i].value));
    arrival = d.arrival;
    deadline = d.deadline;
    origin = {d.origin_source,       d.origin_port,         string(d.origin_address),
              string(d.origin_name), string(d.origin_helo), string(d.origin_protocol),
              string(d.origin_ident)};
    attempts = d.attempts;
    sasl = {string(d.sasl_method), string(d.sasl_username), string(d.sasl_sender)};
  }
  bool has(std::uint32_t flag) const { return (flags & flag) != 0; }
};

// mansio_lookup_request, owned.
struct LookupRequest {
  std::string table, key;
  std::int64_t deadline = 0;  // monotonic ns

  LookupRequest() = default;
  explicit LookupRequest(const mansio_lookup_request &borrowed) {
    const auto r = read_record<mansio_lookup_request>(&borrowed);
    table = view(r.table);
    key = view(r.key);
    deadline = r.deadline;
  }
};

// ---- the duty to answer ------------------------------------------------------------------------------------------

// An operation that waits for its answer. Move it to wherever the answer will be known; any thread may complete it. One
// that is dropped unanswered completes with MANSIO_INTERNAL, so a lost callback is an error at once and not at the
// deadline. It must not outlive the plugin's instance.
class Token {
 public:
  Token(const Host &host, mansio_op op) noexcept : host_(&host), op_(op) {}
  Token(Token &&other) noexcept : host_(other.host_), op_(std::exchange(other.op_, mansio_op{0})) {}
  Token &operator=(Token &&other) noexcept {
    if (this != &other) {
      drop();
      host_ = other.host_;
      op_ = std::exchange(other.op_, mansio_op{0});
    }
    return *this;
  }
  ~Token() { drop(); }

  void complete(const Reply &reply) noexcept {
    if (op_.id) host_->complete(std::exchange(op_, mansio_op{0}), reply);
  }
  void rcpt(std::size_t index, const Reply &reply) const noexcept {  // of a delivery
    if (op_.id) host_->rcpt(op_, index, reply);
  }
  bool alive() const noexcept { return op_.id && host_->alive(op_); }  // false: cancelled, or too late
  mansio_op op() const noexcept { return op_; }                        // 0 once completed

 private:
  void drop() noexcept {
    if (!op_.id) return;
    mansio_reply r{};
    r.size = sizeof r;
    r.status = MANSIO_INTERNAL;
    r.text = str("the plugin forgot to answer");
    host_->complete(std::exchange(op_, mansio_op{0}), r);
  }

  const Host *host_;
  mansio_op op_;
};

// ---- glue --------------------------------------------------------------------------------------------------------

namespace detail {

template <class P>
struct Box {
  Host host;
  P plugin;
  explicit Box(const mansio_host *raw) : host(raw), plugin(host) {}
};

// Runs `f`; what it throws is logged. (Its token, unwound, has completed the operation then.)
template <class F>
void guard(const Host &host, mansio_op op, F f) noexcept {
  try {
    f();
  } catch (const std::exception &e) {
    host.error(e.what(), op);
  } catch (...) {
    host.error("unknown exception", op);
  }
}

template <class P>
void cancel(void *self, mansio_op op) noexcept {
  auto &box = *static_cast<Box<P> *>(self);
  if constexpr (requires { box.plugin.cancel(op); }) guard(box.host, op, [&] { box.plugin.cancel(op); });
}

}  // namespace detail

// Kind lookup. P has `Reply lookup(std::string_view table, std::string_view key)` or `void lookup(LookupRequest,
// Token)`, and if it likes `void cancel(mansio_op)`.
template <class P>
struct LookupKind {
  static constexpr const char *id = "mansio.lookup/1";
  static constexpr bool draft = false;
  static void start(void *self, mansio_op op, const mansio_lookup_request *request) noexcept {
    auto &box = *static_cast<detail::Box<P> *>(self);
    if constexpr (requires(Token t) { box.plugin.lookup(LookupRequest{}, std::move(t)); }) {
      detail::guard(box.host, op, [&] { box.plugin.lookup(LookupRequest{*request}, Token{box.host, op}); });
    } else {
      detail::guard(box.host, op, [&] {
        Token token{box.host, op};
        token.complete(box.plugin.lookup(view(request->table), view(request->key)));
      });
    }
  }
  static constexpr mansio_lookup table{start, detail::cancel<P>};
};

// Kind transport. P has `void start(Token, Delivery)` and if it likes `void cancel(mansio_op)`.
template <class P>
struct TransportKind {
  static constexpr const char *id = "mansio.transport/1";
  static constexpr bool draft = false;
  static void start(void *self, mansio_op op, const mansio_delivery *delivery) noexcept {
    auto &box = *static_cast<detail::Box<P> *>(self);
    detail::guard(box.host, op, [&] {
      Token token{box.host, op};
      box.plugin.start(std::move(token), Delivery{*delivery});
    });
  }
  static constexpr mansio_transport table{start, detail::cancel<P>};
};

// The plugin of class P with these kinds. P: static info and options, P(Host), and if it likes static void check(const
// Config &), which throws what the constructor would throw for the values of the options; and bool
// offers(std::string_view kind) const, which is false for the id of a kind that it is not with these options.
template <class P, template <class> class... Kinds>
struct Glue {
  using Box = detail::Box<P>;

  static mansio_status create(const mansio_host *raw, void **self) noexcept {
    try {
      *self = new Box{raw};
      return MANSIO_OK;
    } catch (const Problems::Reported &) {
      return MANSIO_BAD_CONFIG;
    } catch (const BadConfig &e) {
      say(raw, e);
      return MANSIO_BAD_CONFIG;
    } catch (const std::exception &e) {
      say(raw, e.what());
    } catch (...) {
      say(raw, "unknown exception while starting");
    }
    return MANSIO_INTERNAL;
  }
  static void check(const mansio_host *raw) noexcept {
    if constexpr (requires(const Config &config) { P::check(config); }) {
      try {
        P::check(Config{raw});
      } catch (const Problems::Reported &) {
      } catch (const BadConfig &e) {
        say(raw, e);
      } catch (const std::exception &e) {
        say(raw, BadConfig{std::string{"cannot be checked: "} + e.what()});
      } catch (...) {
        say(raw, BadConfig{"cannot be checked: unknown exception"});
      }
    }
  }
  static void destroy(void *self) noexcept { delete static_cast<Box *>(self); }
  static const void *get([[maybe_unused]] void *self, const char *iface) noexcept {
    const void *table = nullptr;
    ((std::string_view{iface} == Kinds<P>::id ? void(table = &Kinds<P>::table) : void()), ...);
    if constexpr (requires(const P &p) { p.offers(std::string_view{}); }) {
      auto &box = *static_cast<Box *>(self);
      bool offered = false;
      if (table) detail::guard(box.host, mansio_op{}, [&] { offered = box.plugin.offers(iface); });
      if (!offered) return nullptr;
    }
    return table;
  }
  static const mansio_plugin *entry() noexcept {
    static constexpr const char *kinds[] = {Kinds<P>::id..., nullptr};
    static constexpr mansio_plugin plugin{sizeof(mansio_plugin),
                                          0,
                                          draft_build(),
                                          P::info.needs,
                                          P::info.threading,
                                          P::info.max_concurrency,
                                          P::info.name,
                                          P::info.version,
                                          kinds,
                                          P::options,
                                          create,
                                          destroy,
                                          get,
                                          check};
    return &plugin;
  }

 private:
  // A kind that is a draft says of which build it is, and so does a plugin that uses a draft service.
  template <class Kind>
  static constexpr std::uint32_t build_of() {
    if constexpr (Kind::draft)
      return Kind::draft_build;
    else
      return 0;
  }
  // So does a plugin that uses services which are drafts: `static constexpr std::uint32_t draft_build`.
  static constexpr std::uint32_t draft_build() {
    std::uint32_t own = 0;
    if constexpr (requires { P::draft_build; }) own = P::draft_build;
    return (build_of<Kinds<P>>() | ... | own);
  }

  static void say(const mansio_host *raw, const char *text) noexcept {
    const auto *log = static_cast<const mansio_host_log *>(raw->get(raw, "mansio.host.log/1"));
    if (log) log->log(raw, MANSIO_LOG_ERROR, mansio_op{}, str(text));
  }
  static void say(const mansio_host *raw, const BadConfig &bad) noexcept {
    const auto *problem = static_cast<const mansio_host_problem *>(raw->get(raw, "mansio.host.problem/1"));
    if (problem) problem->report(raw, str(bad.option), str(bad.text));
  }
};

}  // namespace mansio::plugin

// MANSIO_PLUGIN(Class, kinds...): the entry.
#define MANSIO_PLUGIN(Class, ...)                                             \
  extern "C" MANSIO_EXPORT const mansio_plugin *mansio_plugin_entry_1(void) { \
    return ::mansio::plugin::Glue<Class, __VA_ARGS__>::entry();               \
  }
#define MANSIO_LOOKUP_PLUGIN(Class) MANSIO_PLUGIN(Class, ::mansio::plugin::LookupKind)
#define MANSIO_TRANSPORT_PLUGIN(Class) MANSIO_PLUGIN(Class, ::mansio::plugin::TransportKind)
