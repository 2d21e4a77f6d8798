#include "kernel/supervisor/config_load.hpp"

#include <cerrno>
#include <chrono>
#include <optional>

#include "kernel/io/channel.hpp"
#include "kernel/process/memfd.hpp"
#include "kernel/supervisor/files.hpp"
#include "kernel/wire/process_messages.hpp"

namespace mansio::supervisor {
namespace {

constexpr auto kLimit = std::chrono::seconds{60};

void open_for(io::Channel &channel, const wire::OpenFile &ask) {
  auto file = open_regular(ask.path);
  std::vector<io::UniqueFd> fds;
  if (file.fd) fds.push_back(std::move(file.fd));
  channel.send(wire::OpenedFile{ask.request, file.error}, std::move(fds));
}

void glob_for(io::Channel &channel, const wire::Glob &ask) {
  auto found = glob_paths(ask.pattern);
  if (!channel.send(wire::Globbed{ask.request, found.error, std::move(found.paths)}))
    channel.send(wire::Globbed{ask.request, E2BIG, {}});  // more names than a message holds
}

Result<Checked> read_answer(io::Message &m) {
  const auto done = decode<wire::ConfigDone>(m.payload);
  if (!done || m.fds.empty()) return Error{Status::Internal, "the configuration process sent no answer"};
  const auto bytes = process::read_exactly(m.fds[0], done->size);
  if (!bytes) return bytes.error();
  auto checked = decode<Checked>(*bytes);
  if (!checked || (checked->problems.empty() && checked->needs.size() != checked->plan.transports.size()))
    return Error{Status::Internal, "the configuration process sent a malformed answer"};
  return std::move(*checked);
}

}  // namespace

Task<Result<Checked>> load_config(asio::io_context &loop, Launcher &launcher, std::string path, std::string spool) {
  auto pair = io::channel_pair();
  if (!pair) co_return pair.error();
  std::optional<Result<Checked>> answer;
  std::optional<Exit> exit;
  bool closed = false;
  asio::steady_timer wake{loop};
  const auto channel = io::Channel::create(loop, std::move(pair->first));
  channel->start(
      [&](io::Message &m) {
        if (m.type == wire::OpenFile::kType) {
          if (const auto ask = decode<wire::OpenFile>(m.payload)) open_for(*channel, *ask);
        } else if (m.type == wire::Glob::kType) {
          if (const auto ask = decode<wire::Glob>(m.payload)) glob_for(*channel, *ask);
        } else if (m.type == wire::ConfigDone::kType) {
          answer = read_answer(m);
        }
      },
      [&](std::string_view) {
        closed = true;
        wake.cancel();
      });
  auto launched = launcher.launch(wire::RoleKind::Config, "config", std::move(pair->second), [&](const Exit &e) {
    exit = e;
    wake.cancel();
  });
  if (!launched) {
    channel->close();
    co_return launched.error();
  }
  channel->send(wire::ConfigRequest{std::move(path), std::move(spool), launcher.threads()});

  using Steady = std::chrono::steady_clock;
  auto look_again = Steady::now() + kLimit;
  ErrorCode ignored;
  while (!(closed && exit)) {
    if (Steady::now() >= look_again) {
      answer = Error{Status::Internal, "the configuration process did not finish"};
      if (!(*launched)->kill()) break;
      look_again = Steady::now() + std::chrono::seconds{1};
    }
    wake.expires_at(look_again);
    co_await wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  channel->close();
  if (!answer) co_return Error{Status::Internal, "the configuration process ended: " + to_string(*exit)};
  co_return std::move(*answer);
}

}  // namespace mansio::supervisor
