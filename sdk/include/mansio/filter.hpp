// mansio/filter.hpp: filters and policies (mansio/draft/filter.h) as C++20, header-only.
//
//   class TagSubject {
//    public:
//     static constexpr mansio::plugin::Info info{"filter-tag", "1.0"};
//     static constexpr mansio_option options[] = {{}};
//     explicit TagSubject(mansio::plugin::Host) {}
//     mansio::plugin::Reply end_of_message(mansio::plugin::Stage &stage) {
//       stage.add_header("X-Seen", "yes");
//       return mansio::plugin::accept();
//     }
//   };
//   MANSIO_FILTER_PLUGIN(TagSubject)
//
// The functions a class has are the stages it sees: connect, helo, starttls, auth, mail, rcpt, data, header,
// end_of_headers, body, end_of_message, disconnect; and of a policy, those of the queue: route, pre_delivery, retry,
// bounce. Each is either `Reply f(Stage &)`, which answers at once (or, with
// MANSIO_BLOCKING, when it likes), or `void f(Stage, Token)`, which answers later, as in mansio/plugin.hpp. Besides, if
// it likes: `void cancel(mansio_op)` and `void abort(std::string_view session, std::string_view queue_id)`.
//
// The kinds are drafts: a plugin loads only where MANSIO_DRAFT_BUILD is the host's.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/draft/filter.h"
#include "mansio/plugin.hpp"

namespace mansio::plugin {

// ---- verdicts ----------------------------------------------------------------------------------------------------
// defer({4, 7, 1}, "come again") is in mansio/host.hpp.

inline Reply accept() { return Reply{MANSIO_OK}; }  // no objection; edits and metadata count
inline Reply skip() { return Reply{MANSIO_SKIP}; }  // as if it were not there: they do not
inline Reply reject(Enhanced enhanced, std::string text) { return Reply{MANSIO_FAIL, enhanced, std::move(text)}; }

// ---- a version of a message --------------------------------------------------------------------------------------

// Edits of headers and body: of a version that Stage::version() has made, or of what all others get.
class Version {
 public:
  Version(const Host &host, mansio_op op, std::uint32_t number) : host_(&host), op_(op), number_(number) {}
  std::uint32_t number() const { return number_; }  // from 1; 0: what those get who have no version

  bool add_header(std::string_view name, std::string_view value) {
    return edit()->add_header(host_->raw(), op_, number_, str(name), str(value)) == MANSIO_OK;
  }
  bool insert_header(std::uint32_t position, std::string_view name, std::string_view value) {
    return edit()->insert_header(host_->raw(), op_, number_, position, str(name), str(value)) == MANSIO_OK;
  }
  bool change_header(std::string_view name, std::uint32_t nth, std::string_view value) {
    return edit()->change_header(host_->raw(), op_, number_, str(name), nth, str(value)) == MANSIO_OK;
  }
  bool delete_header(std::string_view name, std::uint32_t nth) {
    return edit()->delete_header(host_->raw(), op_, number_, str(name), nth) == MANSIO_OK;
  }
  bool replace_body(std::string_view chunk) {  // the first call begins a new one, the others go on
    return edit()->replace_body(host_->raw(), op_, number_, str(chunk)) == MANSIO_OK;
  }

 private:
  const mansio_host_edit *edit() const { return host_->service<mansio_host_edit>("mansio.host.edit/1~draft"); }

  const Host *host_;
  mansio_op op_;
  std::uint32_t number_;
};

// ---- a stage -----------------------------------------------------------------------------------------------------

// mansio_stage, owned, and what may be done to the session and its message meanwhile: until the operation completes,
// from any thread. Edits return false where the host refuses them.
class Stage {
 public:
  Stage(const Host &host, mansio_op op, const mansio_stage &borrowed) : host_(&host), op_(op) {
    const auto s = read_record<mansio_stage>(&borrowed);
    stage_ = s.stage;
    session_ = string(s.session);
    queue_id_ = string(s.queue_id);
    arguments_.reserve(s.n_arguments);
    for (std::size_t i = 0; i < s.n_arguments; ++i) arguments_.push_back(string(s.arguments[i]));
    macros_.reserve(s.n_macros);
    for (std::size_t i = 0; i < s.n_macros; ++i)
      macros_.emplace_back(string(s.macros[i].name), string(s.macros[i].value));
    length_ = s.length;
    deadline_ = s.deadline;
  }

  std::uint32_t stage() const { return stage_; }  // MANSIO_STAGE_*
  mansio_op op() const { return op_; }
  const std::string &session() const { return session_; }
  const std::string &queue_id() const { return queue_id_; }
  std::int64_t deadline() const { return deadline_; }
  // "" beyond the last one.
  std::string_view argument(std::size_t i) const {
    return i < arguments_.size() ? std::string_view{arguments_[i]} : "";
  }
  const std::vector<std::string> &arguments() const { return arguments_; }
  // A fact of session or message, such as "client_address"; "" when it is not known.
  std::string_view macro(std::string_view name) const {
    for (const auto &[known, value] : macros_)
      if (known == name) return value;
    return {};
  }

  // The message, at its end: bytes in canonical form.
  std::uint64_t length() const { return length_; }
  std::int64_t read(std::uint64_t offset, char *to, std::size_t n) const { return host_->read(op_, offset, to, n); }
  // All of it, up to `most` bytes; nothing when it is longer or cannot be read.
  std::optional<std::string> content(std::size_t most = std::size_t{64} << 20) const {
    if (length_ > most) return std::nullopt;
    std::string out(static_cast<std::size_t>(length_), '\0');
    for (std::size_t at = 0; at < out.size();) {
      const auto n = read(at, out.data() + at, out.size() - at);
      if (n <= 0) return std::nullopt;
      at += static_cast<std::size_t>(n);
    }
    return out;
  }

  // Metadata.
  std::optional<std::string> session_value(std::string_view name) const { return value(meta()->session, name); }
  std::optional<std::string> message_value(std::string_view name) const { return value(meta()->message, name); }
  bool set_session(std::string_view name, std::string_view value) {
    return meta()->set_session(host_->raw(), op_, str(name), str(value)) == MANSIO_OK;
  }
  bool set_message(std::string_view name, std::string_view value) {
    return meta()->set_message(host_->raw(), op_, str(name), str(value)) == MANSIO_OK;
  }

  // Edits; they count when the answer is accept().
  bool add_header(std::string_view name, std::string_view value) { return main().add_header(name, value); }
  bool insert_header(std::uint32_t position, std::string_view name, std::string_view value) {
    return main().insert_header(position, name, value);
  }
  bool change_header(std::string_view name, std::uint32_t nth, std::string_view value) {
    return main().change_header(name, nth, value);
  }
  bool delete_header(std::string_view name, std::uint32_t nth) { return main().delete_header(name, nth); }
  bool replace_body(std::string_view chunk) { return main().replace_body(chunk); }
  // One for these of arguments(): it begins as the edits so far have made the message, and those that follow on the
  // stage itself are not for them. Nothing where the host refuses it, as for somebody who has one.
  std::optional<Version> version(const std::vector<std::string> &recipients) {
    std::vector<mansio_str> names;
    names.reserve(recipients.size());
    for (const auto &recipient : recipients) names.push_back(str(recipient));
    const auto number = edit()->version(host_->raw(), op_, names.data(), names.size());
    if (number == 0) return std::nullopt;
    return Version{*host_, op_, number};
  }
  bool set_sender(std::string_view address) { return edit()->set_sender(host_->raw(), op_, str(address)) == MANSIO_OK; }
  bool add_recipient(std::string_view address) {
    return edit()->add_recipient(host_->raw(), op_, str(address)) == MANSIO_OK;
  }
  bool delete_recipient(std::string_view address) {
    return edit()->delete_recipient(host_->raw(), op_, str(address)) == MANSIO_OK;
  }
  bool hold(std::string_view reason) { return edit()->hold(host_->raw(), op_, str(reason)) == MANSIO_OK; }
  bool discard(std::string_view reason) { return edit()->discard(host_->raw(), op_, str(reason)) == MANSIO_OK; }
  bool redirect(std::string_view address) { return edit()->redirect(host_->raw(), op_, str(address)) == MANSIO_OK; }

  // Of the queue, as hold(), discard() and redirect(); see mansio/draft/filter.h for the stages.
  bool route(std::string_view transport, std::string_view nexthop = {}) {
    return edit()->route(host_->raw(), op_, str(transport), str(nexthop)) == MANSIO_OK;
  }
  bool set_source_pool(std::string_view pool) {
    return edit()->set_source_pool(host_->raw(), op_, str(pool)) == MANSIO_OK;
  }

  void progress() const {  // still at it: the time limit begins anew
    host_->service<mansio_host_progress>("mansio.host.progress/1~draft")->progress(host_->raw(), op_);
  }

 private:
  Version main() const { return {*host_, op_, 0}; }
  const mansio_host_meta *meta() const { return host_->service<mansio_host_meta>("mansio.host.meta/1~draft"); }
  const mansio_host_edit *edit() const { return host_->service<mansio_host_edit>("mansio.host.edit/1~draft"); }
  template <class F>
  std::optional<std::string> value(F get, std::string_view name) const {
    const auto n = get(host_->raw(), op_, str(name), nullptr, 0);
    if (n < 0) return std::nullopt;
    std::string out(static_cast<std::size_t>(n), '\0');
    get(host_->raw(), op_, str(name), out.data(), out.size());
    return out;
  }

  const Host *host_;
  mansio_op op_;
  std::uint32_t stage_ = 0;
  std::string session_, queue_id_;
  std::vector<std::string> arguments_;
  std::vector<std::pair<std::string, std::string>> macros_;
  std::uint64_t length_ = 0;
  std::int64_t deadline_ = 0;
};

// ---- glue --------------------------------------------------------------------------------------------------------

namespace detail {

// One function of P that may be there, in either form.
#define MANSIO_STAGE_FUNCTION(NAME)                                                                         \
  struct Calls_##NAME {                                                                                     \
    template <class P>                                                                                      \
    static constexpr bool at_once = requires(P &p, Stage &s) {                                              \
      { p.NAME(s) } -> std::same_as<Reply>;                                                                 \
    };                                                                                                      \
    template <class P>                                                                                      \
    static constexpr bool later = requires(P &p, Stage s, Token t) { p.NAME(std::move(s), std::move(t)); }; \
    template <class P>                                                                                      \
    static void run(P &plugin, Stage stage, Token token) {                                                  \
      if constexpr (at_once<P>)                                                                             \
        token.complete(plugin.NAME(stage));                                                                 \
      else if constexpr (later<P>)                                                                          \
        plugin.NAME(std::move(stage), std::move(token));                                                    \
      else                                                                                                  \
        token.complete(skip());                                                                             \
    }                                                                                                       \
  };
MANSIO_STAGE_FUNCTION(connect)
MANSIO_STAGE_FUNCTION(helo)
MANSIO_STAGE_FUNCTION(starttls)
MANSIO_STAGE_FUNCTION(auth)
MANSIO_STAGE_FUNCTION(mail)
MANSIO_STAGE_FUNCTION(rcpt)
MANSIO_STAGE_FUNCTION(data)
MANSIO_STAGE_FUNCTION(header)
MANSIO_STAGE_FUNCTION(end_of_headers)
MANSIO_STAGE_FUNCTION(body)
MANSIO_STAGE_FUNCTION(end_of_message)
MANSIO_STAGE_FUNCTION(disconnect)
MANSIO_STAGE_FUNCTION(route)
MANSIO_STAGE_FUNCTION(pre_delivery)
MANSIO_STAGE_FUNCTION(retry)
MANSIO_STAGE_FUNCTION(bounce)
#undef MANSIO_STAGE_FUNCTION

// In the order of MANSIO_STAGE_*.
template <class P, class... Calls>
struct Stages {
  using Run = void (*)(P &, Stage, Token);
  static constexpr std::array<Run, sizeof...(Calls)> run{&Calls::template run<P>...};
  static constexpr std::uint64_t wanted() {
    std::uint64_t bits = 0, bit = 1;
    ((bits |= Calls::template at_once<P> || Calls::template later<P> ? bit : 0, bit <<= 1), ...);
    return bits;
  }
};
template <class P>
using AllStages = Stages<P, Calls_connect, Calls_helo, Calls_starttls, Calls_auth, Calls_mail, Calls_rcpt, Calls_data,
                         Calls_header, Calls_end_of_headers, Calls_body, Calls_end_of_message, Calls_disconnect,
                         Calls_route, Calls_pre_delivery, Calls_retry, Calls_bounce>;

template <class P>
struct WatchingKind {
  static constexpr bool draft = true;
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
  static_assert(AllStages<P>::wanted() != 0, "the class has no function of a stage; see mansio/filter.hpp");

  static std::uint64_t stages(void *) noexcept { return AllStages<P>::wanted(); }
  static void start(void *self, mansio_op op, const mansio_stage *stage) noexcept {
    auto &box = *static_cast<Box<P> *>(self);
    guard(box.host, op, [&] {
      Token token{box.host, op};
      Stage owned{box.host, op, *stage};
      const auto at = owned.stage();
      if (at >= AllStages<P>::run.size()) return token.complete(skip());
      AllStages<P>::run[at](box.plugin, std::move(owned), std::move(token));
    });
  }
  static void abort(void *self, mansio_str session, mansio_str queue_id) noexcept {
    auto &box = *static_cast<Box<P> *>(self);
    if constexpr (requires { box.plugin.abort(view(session), view(queue_id)); })
      guard(box.host, mansio_op{}, [&] { box.plugin.abort(view(session), view(queue_id)); });
  }
  static constexpr mansio_filter table{stages, start, cancel<P>, abort};
};

}  // namespace detail

template <class P>
struct FilterKind : detail::WatchingKind<P> {
  static constexpr const char *id = "mansio.filter/1~draft";
};
template <class P>
struct PolicyKind : detail::WatchingKind<P> {
  static constexpr const char *id = "mansio.policy/1~draft";
};

}  // namespace mansio::plugin

#define MANSIO_FILTER_PLUGIN(Class) MANSIO_PLUGIN(Class, ::mansio::plugin::FilterKind)
#define MANSIO_POLICY_PLUGIN(Class) MANSIO_PLUGIN(Class, ::mansio::plugin::PolicyKind)
