// The vtables of the draft services (mansio/draft/services.h) that there are: each function finds its Instance and
// calls it. As in services.cpp, nothing thrown in here gets back into the plugin.
#include <string_view>

#include "kernel/host/instance.hpp"
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
  if (version != 0) return MANSIO_UNSUPPORTED;
  const auto work = instance_of(host).work(op.id);
  return work ? work->edit({kind, number, std::string{view(name)}, std::string{view(value)}}) : MANSIO_FAIL;
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
    [](const mansio_host *, mansio_op, const mansio_str *, std::size_t) noexcept -> std::uint32_t { return 0; },
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
  if (id == "mansio.host.submit/1~draft") return &kSubmit;
  if (id == "mansio.host.control/1~draft") return &kControl;
  if (id == "mansio.host.rate/1~draft") return &kTakes;
  return nullptr;
}

}  // namespace mansio::host
