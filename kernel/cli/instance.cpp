#include "kernel/cli/instance.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

#include "kernel/config/parse.hpp"

namespace mansio::cli {

Result<std::string> spool_of(const Where &where) {
  if (!where.spool.empty()) return where.spool;
  const auto files = config::direct_files();
  const auto parsed = config::parse_settings(where.config, *files);
  // Mail in the queue can be looked after while somebody is at the configuration.
  const bool known = std::none_of(parsed.problems.begin(), parsed.problems.end(), [](const config::Problem &problem) {
    return problem.key.empty() || problem.key == "include" || problem.key == "spool";
  });
  if (known) return parsed.settings.spool;
  return Error{Status::BadConfig, config::to_string(parsed.problems.front()) +
                                      "\n(--spool DIR says where the spool is without a configuration)"};
}

Result<ControlClient> ControlClient::connect(const Where &where) {
  const auto spool = spool_of(where);
  if (!spool) return spool.error();
  const auto path = *spool + "/control.sock";
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.size() >= sizeof to.sun_path) return Error{Status::Fail, path + ": longer than a socket's path may be"};
  std::memcpy(to.sun_path, path.c_str(), path.size() + 1);
  io::UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!fd) return Error{Status::Fail, std::strerror(errno)};
  if (::connect(fd.get(), reinterpret_cast<sockaddr *>(&to), sizeof to) != 0) {
    const bool absent = errno == ENOENT || errno == ECONNREFUSED;
    return Error{Status::Fail,
                 path + ": " + std::strerror(errno) + (absent ? ". Is Mansio running on this spool?" : "")};
  }
  return ControlClient{std::move(fd)};
}

Result<std::uint64_t> ControlClient::ask(const std::string &request,
                                         const std::function<void(std::string_view)> &line) {
  const auto bytes = request + "\n";
  for (std::size_t done = 0; done < bytes.size();) {
    const auto n = ::send(socket_.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{Status::Fail, std::string{"control socket: "} + std::strerror(errno)};
    done += static_cast<std::size_t>(n);
  }
  char buffer[65536];
  for (std::size_t from = 0;;) {
    for (std::size_t end; (end = input_.find('\n', from)) != std::string::npos; from = end + 1) {
      const std::string_view text{input_.data(), end};
      const auto one = text.substr(from);
      if (!one.starts_with(R"({"result":)")) {
        line(one);
        continue;
      }
      boost::system::error_code e;
      const auto value = boost::json::parse({one.data(), one.size()}, e);
      input_.erase(0, end + 1);
      if (e || !value.is_object()) return Error{Status::Fail, "the answer is not understood"};
      const auto &result = value.get_object();
      if (const auto *error = result.if_contains("error"); error && error->is_string())
        return Error{Status::Fail, std::string{error->get_string()}};
      const auto *affected = result.if_contains("affected");
      return affected && affected->is_int64() ? static_cast<std::uint64_t>(affected->get_int64()) : 0;
    }
    input_.erase(0, from);
    from = 0;
    const auto n = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Error{Status::Fail, "the control process closed the connection"};
    input_.append(buffer, static_cast<std::size_t>(n));
  }
}

}  // namespace mansio::cli
