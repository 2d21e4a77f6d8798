#include "plugins/lookup-socketmap/client.hpp"

#include <utility>

#include "plugins/lookup-socketmap/protocol.hpp"

namespace mansio::lookup {
namespace {

// The longest answer, as in Postfix.
constexpr std::size_t kLimit = 100'000;

Deadline after(std::chrono::nanoseconds time) {
  return std::chrono::steady_clock::now() + std::chrono::duration_cast<Deadline::duration>(time);
}

}  // namespace

SocketmapClient::SocketmapClient(Socket socket, std::string name, std::chrono::nanoseconds timeout)
    : socket_(std::move(socket)), name_(std::move(name)), timeout_(timeout) {}

std::unique_ptr<SocketmapClient> SocketmapClient::connect(const Endpoint &to, std::chrono::nanoseconds timeout,
                                                          std::string &why) {
  auto socket = Socket::connect(to, after(timeout), why);
  if (!socket) return nullptr;
  return std::unique_ptr<SocketmapClient>{new SocketmapClient{std::move(socket), to.name(), timeout}};
}

std::optional<Answer> SocketmapClient::ask(std::string_view map, std::string_view key, std::string &why) {
  const auto broken = [&](const std::string &what) { return why = name_ + ": " + what, std::nullopt; };
  const auto deadline = after(timeout_);
  std::string problem;
  if (!socket_.write(netstring(std::string{map} + ' ' + std::string{key}), deadline, problem)) return broken(problem);
  std::string bytes;
  for (;;) {
    if (!socket_.read(bytes, deadline, problem)) return broken(problem);
    const auto found = parse_netstring(bytes, kLimit);
    if (found.state == Netstring::State::Partial) continue;
    // More than the one answer is not in step with the questions.
    if (found.state == Netstring::State::Bad || found.size != bytes.size()) return broken("its answer is no netstring");
    auto answer = parse_answer(found.content);
    if (!answer) return broken("its answer begins with none of OK, NOTFOUND, TEMP, TIMEOUT and PERM");
    return answer;
  }
}

}  // namespace mansio::lookup
