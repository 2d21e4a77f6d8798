// The vtables of the draft services (mansio/draft/services.h) that there are: each function finds its Instance and
// calls it. As in services.cpp, nothing thrown in here gets back into the plugin.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/host/instance.hpp"
#include "kernel/host/stage_rules.hpp"
#include "kernel/host/stage_work.hpp"
#include "mansio/draft/services.h"

namespace mansio::host {
namespace {

std::int64_t meta(const mansio_host *host, mansio_op op, bool of_message, mansio_str name, char *to, std::size_t n) {
  const auto work = instance_of(host).work(op.id);
  return work ? work->meta(of_message, view(name), to, n) : -1;
}

mansio_status set_meta(const mansio_host *host, mansio_op op, bool of_message, mansio_str name, mansio_str value) {
  const auto work = instance_of(host).work(op.id);
  return work ? work->set_meta(of_message, view(name), view(value)) : MANSIO_FAIL;
}

mansio_status edit(const mansio_host *host, mansio_op op, std::uint32_t version, EditKind kind, std::uint32_t number,
                   mansio_str name, mansio_str value) {
  const auto work = instance_of(host).work(op.id);
  return work ? work->edit({kind, number, std::string{view(name)}, std::string{view(value)}, version}) : MANSIO_FAIL;
}

std::uint32_t make_version(const mansio_host *host, mansio_op op, const mansio_str *recipients, std::size_t n) {
  const auto work = instance_of(host).work(op.id);
  if (!work || n > kMostEdits) return 0;
  std::vector<std::string> names;
  names.reserve(n);
  for (std::size_t i = 0; i < n; ++i) names.emplace_back(view(recipients[i]));
  return work->version(std::move(names));
}

constexpr mansio_host_meta kMeta{
    [](const mansio_host *host, mansio_op op, mansio_str name, char *to, std::size_t n) noexcept {
      return meta(host, op, false, name, to, n);
    },
    [](const mansio_host *host, mansio_op op, mansio_str name, char *to, std::size_t n) noexcept {
      return meta(host, op, true, name, to, n);
    },
    [](const mansio_host *host, mansio_op op, mansio_str name, mansio_str value) noexcept {
      return set_meta(host, op, false, name, value);
    },
    [](const mansio_host *host, mansio_op op, mansio_str name, mansio_str value) noexcept {
      return set_meta(host, op, true, name, value);
    },
};

constexpr mansio_host_edit kEdit{
    [](const mansio_host *host, mansio_op op, std::uint32_t version, mansio_str name, mansio_str value) noexcept {
      return edit(host, op, version, EditKind::AddHeader, 0, name, value);
    },
    [](const mansio_host *host, mansio_op op, std::uint32_t version, std::uint32_t position, mansio_str name,
       mansio_str value) noexcept { return edit(host, op, version, EditKind::InsertHeader, position, name, value); },
    [](const mansio_host *host, mansio_op op, std::uint32_t version, mansio_str name, std::uint32_t nth,
       mansio_str value) noexcept { return edit(host, op, version, EditKind::ChangeHeader, nth, name, value); },
    [](const mansio_host *host, mansio_op op, std::uint32_t version, mansio_str name, std::uint32_t nth) noexcept {
      return edit(host, op, version, EditKind::DeleteHeader, nth, name, {});
    },
    [](const mansio_host *host, mansio_op op, mansio_str address) noexcept {
      return edit(host, op, 0, EditKind::SetSender, 0, {}, address);
    },
    [](const mansio_host *host, mansio_op op, mansio_str address) noexcept {
      return edit(host, op, 0, EditKind::AddRecipient, 0, {}, address);
    },
    [](const mansio_host *host, mansio_op op, mansio_str address) noexcept {
      return edit(host, op, 0, EditKind::DeleteRecipient, 0, {}, address);
    },
    [](const mansio_host *host, mansio_op op, std::uint32_t version, mansio_str chunk) noexcept {
      return edit(host, op, version, EditKind::ReplaceBody, 0, {}, chunk);
    },
    [](const mansio_host *host, mansio_op op, mansio_str reason) noexcept {
      return edit(host, op, 0, EditKind::Hold, 0, {}, reason);
    },
    [](const mansio_host *host, mansio_op op, mansio_str reason) noexcept {
      return edit(host, op, 0, EditKind::Discard, 0, {}, reason);
    },
    [](const mansio_host *host, mansio_op op, const mansio_str *recipients, std::size_t n) noexcept {
      return make_version(host, op, recipients, n);
    },
    [](const mansio_host *host, mansio_op op, mansio_str address) noexcept {
      return edit(host, op, 0, EditKind::Redirect, 0, {}, address);
    },
    [](const mansio_host *host, mansio_op op, mansio_str transport, mansio_str nexthop) noexcept {
      return edit(host, op, 0, EditKind::Route, 0, transport, nexthop);
    },
    [](const mansio_host *host, mansio_op op, mansio_str pool) noexcept {
      return edit(host, op, 0, EditKind::SourcePool, 0, {}, pool);
    },
};

constexpr mansio_host_progress kProgress{
    [](const mansio_host *host, mansio_op op) noexcept { instance_of(host).progress(op.id); }};

// ---- numbers -----------------------------------------------------------------------------------------------------

process::Numbers *numbers(const mansio_host *host, mansio_str name) {
  constexpr std::size_t kLongestName = 128;
  return name.n >= 1 && name.n <= kLongestName ? instance_of(host).numbers() : nullptr;
}
bool good_length(std::int64_t length) { return length >= 1 && length <= process::kLongestNumber; }
bool good_rate(std::int64_t interval, std::int64_t burst) {
  return interval >= 1 && burst >= 1 && burst <= process::kLongestNumber / interval;
}

constexpr mansio_host_numbers kNumbers{
    [](const mansio_host *host, mansio_str name, std::int64_t n, std::int64_t *value) noexcept -> mansio_status {
      auto *const all = numbers(host, name);
      const auto then = all ? all->add(view(name), n) : std::nullopt;
      *value = then.value_or(0);
      return then ? MANSIO_OK : MANSIO_FAIL;
    },
    [](const mansio_host *host, mansio_str name) noexcept -> std::int64_t {
      const auto *const all = numbers(host, name);
      return all ? all->read(view(name)) : 0;
    },
    [](const mansio_host *host, mansio_str name, std::int64_t length, mansio_str key, std::uint64_t n,
       double *count) noexcept -> mansio_status {
      *count = static_cast<double>(n);
      auto *const all = numbers(host, name);
      if (!all || !good_length(length)) return MANSIO_FAIL;
      const auto then = all->add_to_window(view(name), length, view(key), n, instance_of(host).now());
      if (then) *count = *then;
      return then ? MANSIO_OK : MANSIO_DEFER;
    },
    [](const mansio_host *host, mansio_str name, std::int64_t length, mansio_str key) noexcept -> double {
      const auto *const all = numbers(host, name);
      if (!all || !good_length(length)) return 0;
      return all->count_in_window(view(name), length, view(key), instance_of(host).now());
    },
    [](const mansio_host *host, mansio_str name, std::int64_t interval, std::int64_t burst, mansio_str key,
       std::int64_t n, std::int64_t *wait) noexcept -> mansio_status {
      *wait = 0;
      auto *const all = numbers(host, name);
      if (!all || !good_rate(interval, burst) || n < 0 || n > burst) return MANSIO_FAIL;
      *wait = all->take(view(name), {interval, burst}, view(key), n, instance_of(host).now());
      return *wait == 0 ? MANSIO_OK : MANSIO_DEFER;
    },
    [](const mansio_host *host, mansio_str name, std::int64_t interval, std::int64_t burst,
       mansio_str key) noexcept -> std::int64_t {
      const auto *const all = numbers(host, name);
      if (!all || !good_rate(interval, burst)) return 0;
      return all->available(view(name), {interval, burst}, view(key), instance_of(host).now());
    },
};

constexpr mansio_host_submit kSubmit{[](const mansio_host *host, const mansio_submission *mail, mansio_submit_fn done,
                                        void *arg) noexcept { instance_of(host).submit(mail, done, arg); }};

constexpr mansio_host_control kControl{
    [](const mansio_host *host, const char *name, const char *help, mansio_command_fn run, void *arg) noexcept {
      return instance_of(host).command(name, help, run, arg);
    }};

constexpr mansio_host_rate kTakes{
    [](const mansio_host *host, mansio_str limit, mansio_str key, std::uint32_t want, mansio_rate_fn done,
       void *arg) noexcept { instance_of(host).take_permits(view(limit), view(key), want, done, arg); }};

}  // namespace

const void *draft_service(std::string_view id) {
  if (id == "mansio.host.meta/1~draft") return &kMeta;
  if (id == "mansio.host.edit/1~draft") return &kEdit;
  if (id == "mansio.host.progress/1~draft") return &kProgress;
  if (id == "mansio.host.numbers/1~draft") return &kNumbers;
  if (id == "mansio.host.submit/1~draft") return &kSubmit;
  if (id == "mansio.host.control/1~draft") return &kControl;
  if (id == "mansio.host.rate/1~draft") return &kTakes;
  return nullptr;
}

}  // namespace mansio::host
