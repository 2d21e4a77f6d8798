// The host's vtables (abi.h): each function finds its Instance and calls it. Nothing thrown in here (memory, at worst)
// gets back into the plugin: that is what noexcept ends.
#include <cstring>
#include <string_view>

#include "kernel/host/instance.hpp"

namespace mansio::host {
namespace {

constexpr mansio_host_log kLog{[](const mansio_host *host, int level, mansio_op op, mansio_str text) noexcept {
  instance_of(host).log(level, op.id, view(text));
}};

constexpr mansio_host_config kConfig{
    [](const mansio_host *host, const char *name) noexcept { return instance_of(host).option(name); },
    [](const mansio_host *host, const char *name) noexcept { return instance_of(host).fact(name); },
};

constexpr mansio_host_problem kProblem{[](const mansio_host *host, mansio_str option, mansio_str text) noexcept {
  instance_of(host).problem(view(option), view(text));
}};

constexpr mansio_host_op kOp{
    [](const mansio_host *host, mansio_op op, std::uint32_t index, const mansio_reply *reply) noexcept {
      instance_of(host).answer(op.id, index, reply);
    },
    [](const mansio_host *host, mansio_op op, const mansio_reply *reply) noexcept {
      instance_of(host).answer(op.id, -1, reply);
    },
    [](const mansio_host *host, mansio_op op) noexcept { return instance_of(host).alive(op.id) ? 1 : 0; },
};

constexpr mansio_host_reactor kReactor{
    [](const mansio_host *host, int fd, int events, mansio_ready_fn ready, void *arg) noexcept -> mansio_status {
      return instance_of(host).watch(fd, events, ready, arg) ? MANSIO_OK : MANSIO_FAIL;
    },
    [](const mansio_host *host, int fd) noexcept { instance_of(host).forget(fd); },
    [](const mansio_host *host, std::int64_t after, mansio_timer_fn fire, void *arg) noexcept {
      return instance_of(host).timer(after, fire, arg);
    },
    [](const mansio_host *host, std::uint64_t timer) noexcept { instance_of(host).cancel_timer(timer); },
    [](const mansio_host *host, mansio_timer_fn run, void *arg) noexcept { instance_of(host).post(run, arg); },
    [](const mansio_host *host) noexcept { return instance_of(host).now(); },
};

constexpr mansio_host_dns kDns{[](const mansio_host *host, mansio_str name, std::uint16_t type, mansio_dns_fn done,
                                  void *arg) noexcept { instance_of(host).query(view(name), type, done, arg); }};

constexpr mansio_host_lookup kLookup{
    [](const mansio_host *host, mansio_str table, mansio_str key, mansio_lookup_fn done, void *arg) noexcept {
      instance_of(host).look_up(view(table), view(key), done, arg);
    }};

constexpr mansio_host_metrics kMetrics{
    [](const mansio_host *host, std::uint32_t type, const char *name, const char *help) noexcept {
      return instance_of(host).metrics().define(type, name ? name : "", help ? help : "");
    },
    [](const mansio_host *host, std::uint32_t metric, std::int64_t by) noexcept {
      instance_of(host).metrics().add(metric, by);
    },
    [](const mansio_host *host, std::uint32_t metric, std::int64_t value) noexcept {
      instance_of(host).metrics().set(metric, value);
    },
};

constexpr mansio_host_message kMessage{
    [](const mansio_host *host, mansio_op op) noexcept { return instance_of(host).message_length(op.id); },
    [](const mansio_host *host, mansio_op op, std::uint64_t offset, char *to, std::size_t n) noexcept {
      return instance_of(host).message_read(op.id, offset, to, n);
    },
    [](const mansio_host *host, mansio_op op, mansio_slice *to, std::size_t max, std::size_t stride) noexcept {
      return instance_of(host).message_slices(op.id, to, max, stride);
    },
};

}  // namespace

const void *service(const char *iface) {
  const std::string_view id{iface ? iface : ""};
  if (id == "mansio.host.log/1") return &kLog;
  if (id == "mansio.host.config/1") return &kConfig;
  if (id == "mansio.host.problem/1") return &kProblem;
  if (id == "mansio.host.op/1") return &kOp;
  if (id == "mansio.host.reactor/1") return &kReactor;
  if (id == "mansio.host.dns/1") return &kDns;
  if (id == "mansio.host.lookup/1") return &kLookup;
  if (id == "mansio.host.metrics/1") return &kMetrics;
  if (id == "mansio.host.message/1") return &kMessage;
  return draft_service(id);
}

}  // namespace mansio::host
