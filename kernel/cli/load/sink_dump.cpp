#include "kernel/cli/load/sink_dump.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>

#include "kernel/base/clock.hpp"
#include "kernel/mail/trace.hpp"

namespace mansio::cli::load {
namespace {

Error bad(const std::string &path, std::string_view why) {
  return {Status::BadConfig, fmt::format("{}: {}", path, why), {}};
}

// The envelope in fields before the header section.
Result<void> to_directory(const std::string &directory, const TakenMessage &m, std::uint64_t number) {
  const auto name = fmt::format("{:09}.{}", number, ::getpid());
  std::ofstream out{directory + "/tmp/" + name, std::ios::binary};
  out << "X-Sink-Helo: " << m.helo << "\r\nX-Sink-TLS: " << (m.tls ? "yes" : "no")
      << "\r\nX-Sink-Command: " << (m.bdat ? "BDAT" : "DATA") << "\r\nX-Sink-Sender: <" << m.sender << "> "
      << m.sender_parameters << "\r\n";
  for (const auto &recipient : m.recipients)
    out << "X-Sink-Recipient: <" << recipient.address << "> " << recipient.parameters << "\r\n";
  out << m.content;
  out.close();
  std::error_code error;
  std::filesystem::rename(directory + "/tmp/" + name, directory + "/new/" + name, error);
  if (error || !out) return bad(directory + "/new/" + name, "cannot be written");
  return {};
}

std::string expand(const std::string &pattern, std::time_t now) {
  std::tm local{};
  ::localtime_r(&now, &local);
  char path[4096];
  const auto n = std::strftime(path, sizeof path, pattern.c_str(), &local);
  return {path, n};
}

std::string with_parameters(const std::string &address, const std::string &parameters) {
  return fmt::format("<{}>{}{}", address, parameters.empty() ? "" : " ", parameters);
}

}  // namespace

std::string dumped_text(const DumpOptions &options, const TakenMessage &m, std::string_view id, std::string_view date) {
  auto out = options.start;
  out += fmt::format("X-Client-Addr: {}\nX-Client-Proto: {}\n", m.client_address, m.protocol);
  if (!m.helo.empty()) out += fmt::format("X-Helo-Args: {}\n", m.helo);
  out += fmt::format("X-Mail-Args: {}\n", with_parameters(m.sender, m.sender_parameters));
  for (const auto &recipient : m.recipients)
    out += fmt::format("X-Rcpt-Args: {}\n", with_parameters(recipient.address, recipient.parameters));
  out +=
      fmt::format("Received: from {} ([{}])\n\tby {} (mansio sink) with {} id {};\n\t{}\n",
                  m.helo.empty() ? m.client_address : m.helo, m.client_address, options.hostname, m.protocol, id, date);
  for (std::size_t at = 0; at < m.content.size(); ++at) {
    if (m.content[at] != '\r' || at + 1 == m.content.size() || m.content[at + 1] != '\n') out.push_back(m.content[at]);
  }
  return out + '\n';
}

std::string unescape(std::string_view text) {
  constexpr std::string_view kNames = "abfnrtv\\", kMeanings = "\a\b\f\n\r\t\v\\";
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      out.push_back(text[at]);
      continue;
    }
    const char c = text[++at];
    if (const auto known = kNames.find(c); known != std::string_view::npos) {
      out.push_back(kMeanings[known]);
    } else if (c >= '0' && c <= '7') {
      int value = 0;
      std::size_t digits = 0;
      for (; digits < 3 && at + digits < text.size() && text[at + digits] >= '0' && text[at + digits] <= '7'; ++digits)
        value = value * 8 + (text[at + digits] - '0');
      out.push_back(static_cast<char>(value));
      at += digits - 1;
    } else {
      out.append({'\\', c});
    }
  }
  return out;
}

Result<void> prepare_dumps(const DumpOptions &options) {
  if (options.directory.empty()) return {};
  std::error_code error;
  for (const auto *part : {"/tmp", "/new", "/cur"}) {
    if (!error) std::filesystem::create_directories(options.directory + part, error);
  }
  if (error) return bad(options.directory, error.message());
  return {};
}

Result<void> dump(const DumpOptions &options, const TakenMessage &message, std::uint64_t number) {
  if (!options.directory.empty()) {
    if (auto done = to_directory(options.directory, message, number); !done) return done;
  }
  if (options.one_each.empty() && options.together.empty()) return {};
  const auto id = fmt::format("{:08x}", std::random_device{}());
  const auto text = dumped_text(options, message, id, rfc5322_date(SystemClock{}.wall()));
  for (const auto *pattern : {&options.one_each, &options.together}) {
    if (pattern->empty()) continue;
    auto path = expand(*pattern, std::time(nullptr));
    if (path.empty()) return bad(*pattern, "makes no file name");
    if (pattern == &options.one_each) path += id;
    std::error_code error;
    if (const auto parent = std::filesystem::path{path}.parent_path(); !parent.empty())
      std::filesystem::create_directories(parent, error);
    std::ofstream out{path, std::ios::binary | std::ios::app};
    out << text;
    out.close();
    if (!out) return bad(path, "cannot be written");
  }
  return {};
}

}  // namespace mansio::cli::load
