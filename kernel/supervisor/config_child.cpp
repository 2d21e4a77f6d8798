#include "kernel/supervisor/config_child.hpp"

#include <pthread.h>
#include <pwd.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <optional>

#include "kernel/config/parse.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/process/memfd.hpp"
#include "kernel/process/privilege.hpp"
#include "kernel/route/check.hpp"
#include "kernel/supervisor/checked.hpp"
#include "kernel/wire/process_messages.hpp"

namespace mansio::supervisor {
namespace {

constexpr std::uint64_t kLargestFile = 16ull << 20;  // a configuration or secret beyond this is a mistake

// One question at a time to the supervisor; the loop runs until the answer is there.
class Supervisor {
 public:
  explicit Supervisor(io::UniqueFd fd) : channel_(io::Channel::create(loop_, std::move(fd))) {
    channel_->start([this](io::Message &m) { on_message(m); }, [this](std::string_view) { gone_ = true; });
  }
  ~Supervisor() { channel_->close(); }

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
    if (opened_->error != 0) return Error{Status::Fail, std::strerror(opened_->error)};
    if (!fd_) return Error{Status::Busy, "too many open files"};
    return std::move(fd_);
  }
  Result<std::vector<std::string>> glob(const std::string &pattern) {
    globbed_.reset();
    channel_->send(wire::Glob{++request_, pattern});
    if (!wait([this] { return globbed_.has_value(); })) return Error{Status::Internal, "the supervisor is gone"};
    if (globbed_->error != 0) return Error{Status::Fail, std::strerror(globbed_->error)};
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
  explicit SupervisorFiles(Supervisor &supervisor) : supervisor_(supervisor) {}
  Result<std::string> read(const std::string &path) override {
    auto fd = supervisor_.open(path);
    if (!fd) return fd.error();
    const auto size = ::lseek(fd->get(), 0, SEEK_END);
    if (size < 0 || static_cast<std::uint64_t>(size) > kLargestFile) return Error{Status::Fail, "file too large"};
    return process::read_exactly(*fd, static_cast<std::uint64_t>(size));
  }
  Result<std::vector<std::string>> glob(const std::string &pattern) override { return supervisor_.glob(pattern); }

 private:
  Supervisor &supervisor_;
};

struct User {
  std::int64_t uid = 65534, gid = 65534;  // nobody
};
std::optional<User> find_user(const std::string &name) {
  passwd entry{}, *found = nullptr;
  std::string buffer(16384, '\0');
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return std::nullopt;
  return User{found->pw_uid, found->pw_gid};
}

Result<std::string> drop() {
  process::Privileges keep;
  if (::geteuid() == 0) {
    const auto nobody = find_user("nobody").value_or(User{});
    keep.uid = nobody.uid;
    keep.gid = nobody.gid;
  }
  keep.network = false;
  keep.readable.push_back("/");
  return process::drop_privileges(keep);
}

void check_plugins(const config::Settings &settings, Checked &checked) {
  for (const auto &t : settings.transports) {
    checked.needs.push_back(0);
    const auto plugin = host::load_plugin(checked.plan.plugin_dir + "/" + t.plugin + ".so");
    if (!plugin) {
      checked.problems.push_back("transport." + t.name + ": " + plugin.error().text);
      continue;
    }
    checked.needs.back() = (*plugin)->needs;
    if (const auto options = host::check_options(**plugin, t.options); !options)
      checked.problems.push_back("transport." + t.name + ": " + options.error().text);
    // Roles ask for files that plugins name, too; which options are paths is the plugin's to say.
    for (const auto &option : host::options_of(**plugin))
      if (const auto given = t.options.find(option.name);
          option.type == config::PluginOption::Type::Path && given != t.options.end())
        checked.plan.files.push_back(given->second);
  }
}

Checked check(const wire::ConfigRequest &order, Supervisor &supervisor, bool as_root) {
  Checked checked;
  SupervisorFiles files{supervisor};
  auto parsed = config::parse_settings(order.path, files);
  for (const auto &p : parsed.problems) checked.problems.push_back(config::to_string(p));
  if (checked.problems.empty())
    for (const auto &p : route::check_routes(parsed, order.path)) checked.problems.push_back(config::to_string(p));
  if (!checked.problems.empty()) return checked;
  if (!order.spool.empty()) parsed.settings.spool = order.spool;
  checked.plan = config::make_plan(parsed.settings);
  if (checked.plan.plugin_dir.empty()) checked.plan.plugin_dir = default_plugin_dir();
  checked.snapshot = std::move(parsed.snapshot);
  if (as_root) {
    if (const auto user = find_user(checked.plan.user)) {
      checked.uid = user->uid;
      checked.gid = user->gid;
    } else {
      checked.problems.push_back("user: there is no user \"" + checked.plan.user +
                                 "\"; create it (useradd --system), or name another one that owns nothing else");
    }
  }
  check_plugins(parsed.settings, checked);
  return checked;
}

}  // namespace

int run_config_child(io::UniqueFd fd) {
  Supervisor supervisor{std::move(fd)};
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
