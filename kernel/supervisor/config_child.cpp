#include "kernel/supervisor/config_child.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>

#include "kernel/config/parse.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/process/memfd.hpp"
#include "kernel/process/privilege.hpp"
#include "kernel/supervisor/checked.hpp"
#include "kernel/supervisor/judge.hpp"
#include "kernel/wire/process_messages.hpp"
#include "mansio/abi.h"

namespace mansio::supervisor {
namespace {

constexpr std::uint64_t kLargestFile = 16ull << 20;  // a configuration or secret beyond this is a mistake

// In the words of config::direct_files(), so that a start says what `mansio check` says.
Error unreadable(int error) { return {Status::BadConfig, std::string{"cannot be read: "} + std::strerror(error)}; }

// One question at a time to the supervisor; the loop runs until the answer is there.
class SupervisorLink {
 public:
  explicit SupervisorLink(io::UniqueFd fd) : channel_(io::Channel::create(loop_, std::move(fd))) {
    channel_->start([this](io::Message &m) { on_message(m); }, [this](std::string_view) { gone_ = true; });
  }
  ~SupervisorLink() { channel_->close(); }

  bool wait(const std::function<bool()> &there) {
    while (!there() && !gone_) {
      if (loop_.stopped()) loop_.restart();
      if (loop_.run_one() == 0) return false;
    }
    return there();
  }
  std::optional<wire::ConfigRequest> order() {
    wait([this] { return order_.has_value(); });
    return order_;
  }
  Result<io::UniqueFd> open(const std::string &path) {
    opened_.reset();
    channel_->send(wire::OpenFile{++request_, path});
    if (!wait([this] { return opened_.has_value(); })) return Error{Status::Internal, "the supervisor is gone"};
    if (opened_->error == EISDIR || opened_->error == EINVAL) return Error{Status::BadConfig, "is not a regular file"};
    if (opened_->error != 0) return unreadable(opened_->error);
    if (!fd_) return Error{Status::Busy, "too many open files"};
    return std::move(fd_);
  }
  Result<std::vector<std::string>> glob(const std::string &pattern) {
    globbed_.reset();
    channel_->send(wire::Glob{++request_, pattern});
    if (!wait([this] { return globbed_.has_value(); })) return Error{Status::Internal, "the supervisor is gone"};
    if (globbed_->error != 0) return unreadable(globbed_->error);
    return globbed_->paths;
  }
  bool answer(const Checked &checked) {
    const auto bytes = encode(checked);
    auto fd = process::sealed_memfd("mansio-checked", bytes);
    if (!fd) return false;
    std::vector<io::UniqueFd> fds;
    fds.push_back(std::move(*fd));
    channel_->send(wire::ConfigDone{bytes.size()}, std::move(fds));
    return wait([this] { return channel_->queued_bytes() == 0; });
  }

 private:
  void on_message(io::Message &m) {
    if (m.type == wire::ConfigRequest::kType) order_ = decode<wire::ConfigRequest>(m.payload);
    if (m.type == wire::OpenedFile::kType) {
      fd_ = m.fds.empty() ? io::UniqueFd{} : std::move(m.fds[0]);
      opened_ = decode<wire::OpenedFile>(m.payload);
    }
    if (m.type == wire::Globbed::kType) globbed_ = decode<wire::Globbed>(m.payload);
  }

  asio::io_context loop_{1};
  std::shared_ptr<io::Channel> channel_;
  std::optional<wire::ConfigRequest> order_;
  std::optional<wire::OpenedFile> opened_;
  std::optional<wire::Globbed> globbed_;
  io::UniqueFd fd_;
  std::uint32_t request_ = 0;
  bool gone_ = false;
};

class SupervisorFiles final : public config::Files {
 public:
  explicit SupervisorFiles(SupervisorLink &supervisor) : supervisor_(supervisor) {}
  Result<std::string> read(const std::string &path) override {
    auto fd = supervisor_.open(path);
    if (!fd) return fd.error();
    const auto size = ::lseek(fd->get(), 0, SEEK_END);
    if (size < 0 || static_cast<std::uint64_t>(size) > kLargestFile)
      return Error{Status::BadConfig, "is larger than 16 MiB"};
    return process::read_exactly(*fd, static_cast<std::uint64_t>(size));
  }
  Result<std::vector<std::string>> glob(const std::string &pattern) override { return supervisor_.glob(pattern); }

 private:
  SupervisorLink &supervisor_;
};

Result<std::string> drop() {
  process::Privileges keep;
  if (::geteuid() == 0) {
    User nobody{65534, 65534};
    find_user("nobody", nobody);
    keep.uid = nobody.uid;
    keep.gid = nobody.gid;
  }
  keep.network = false;
  keep.readable.push_back("/");
  return process::drop_privileges(keep);
}

Checked check(const wire::ConfigRequest &order, SupervisorLink &supervisor, bool as_root) {
  Checked checked;
  SupervisorFiles files{supervisor};
  auto judged = judge(order.path, files, as_root);
  for (const auto &p : judged.problems) checked.problems.push_back(config::to_string(p));
  if (!checked.problems.empty()) return checked;
  auto &parsed = judged.parsed;
  if (!order.spool.empty()) parsed.settings.spool = order.spool;
  checked.plan = config::make_plan(parsed.settings);
  checked.plan.plugin_dir = judged.plugin_dir;
  checked.plan.files.insert(checked.plan.files.end(), judged.files.begin(), judged.files.end());
  checked.uid = judged.uid;
  checked.gid = judged.gid;
  const auto &settings = parsed.settings;
  // A plugin with a process of its own may ask a table that runs in whatever process asks, as those in ingress do.
  std::uint32_t tables_need = 0;
  for (std::size_t i = 0; i < settings.lookups.size(); ++i)
    if (settings.lookups[i].budget.isolation == config::Isolation::InProcess)
      tables_need |= judged.lookup_needs[i] & MANSIO_NEEDS_NETWORK;
  for (auto &host : checked.plan.hosts) {
    for (std::size_t i = 0; i < settings.transports.size(); ++i)
      if (!host.transport.empty() && settings.transports[i].name == host.transport) host.needs = judged.needs[i];
    for (std::size_t i = 0; i < settings.lookups.size(); ++i)
      if (!host.lookup.empty() && settings.lookups[i].name == host.lookup) host.needs = judged.lookup_needs[i];
    for (std::size_t i = 0; i < settings.filters.size(); ++i)
      if (!host.filter.empty() && settings.filters[i].name == host.filter) host.needs = judged.filter_needs[i];
    for (std::size_t i = 0; i < settings.policies.size(); ++i)
      if (!host.policy.empty() && settings.policies[i].name == host.policy) host.needs = judged.policy_needs[i];
    for (std::size_t i = 0; i < settings.events.size(); ++i)
      if (!host.event.empty() && settings.events[i].name == host.event) host.needs = judged.event_needs[i];
    for (std::size_t i = 0; i < settings.rates.size(); ++i)
      if (!host.rate.empty() && settings.rates[i].name == host.rate) host.needs = judged.rate_needs[i];
    for (std::size_t i = 0; i < settings.auths.size(); ++i)
      if (!host.auth.empty() && settings.auths[i].name == host.auth) host.needs = judged.auth_needs[i];
    for (std::size_t i = 0; i < settings.stores.size(); ++i)
      if (!host.store.empty() && settings.stores[i].name == host.store) host.needs = judged.store_needs[i];
    host.needs |= tables_need;
  }
  checked.needs = std::move(judged.needs);
  checked.snapshot = std::move(parsed.snapshot);
  return checked;
}

}  // namespace

int run_config_child(io::UniqueFd fd) {
  SupervisorLink supervisor{std::move(fd)};
  const auto order = supervisor.order();
  if (!order) return 1;
  const bool as_root = ::geteuid() == 0;
  ::pthread_setname_np(::pthread_self(), "config");
  if (!order->threaded) {
    if (const auto dropped = drop(); !dropped) {
      Checked refused;
      refused.problems.push_back("cannot drop privileges: " + dropped.error().text);
      supervisor.answer(refused);
      return 1;
    }
  }
  // With --single the roles keep the user they are started as.
  auto checked = check(*order, supervisor, as_root && !order->threaded);
  return supervisor.answer(checked) ? 0 : 1;
}

}  // namespace mansio::supervisor
