#include "plugins/lua/tool/repl.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lua/tool/resolver.hpp"

namespace mansio::lua::tool {
namespace {

using mansio::testing::FakeDnsAnswer;
using mansio::testing::FakeHost;
using mansio::testing::FakeSubmission;
using mansio::testing::FakeSubmitAnswer;
using mansio::testing::FakeTableAnswer;

// Each piece is the key of a lookup, so that it runs as any call does: with its budget, and on a thread that may wait.
// Globals that it makes stay in a table of their own; those of the sandbox are strict.
constexpr std::string_view kScript = R"lua(
local environment = setmetatable({}, {__index = _G})

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    if c == "\n" then return "\\n" elseif c == "\r" then return "\\r" elseif c == "\t" then return "\\t" end
    return c:find("%c") and ("\\x%02x"):format(c:byte()) or "\\" .. c
  end) .. '"'
end

local function ordered(a, b)
  local ka, kb = type(a), type(b)
  if ka ~= kb then return ka < kb end
  if ka == "number" or ka == "string" then return a < b end
  return tostring(a) < tostring(b)
end

local function show(value, depth)
  if type(value) == "string" then return quoted(value) end
  if type(value) ~= "table" or depth > 4 then return tostring(value) end
  local keys, parts = {}, {}
  for key in next, value do keys[#keys + 1] = key end
  table.sort(keys, ordered)
  for i, key in ipairs(keys) do
    local name = ""
    if key ~= i then
      name = type(key) == "string" and key:find("^[%a_][%w_]*$") and key or "[" .. show(key, 5) .. "]"
      name = name .. " = "
    end
    parts[i] = name .. show(rawget(value, key), depth + 1)
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

mansio.provide("lookup", "repl", {
  lookup = function(text)
    local chunk, why = load("return " .. text, "=input", "t", environment)
    if not chunk then chunk, why = load(text, "=input", "t", environment) end
    if not chunk then return {why:sub(-5) == "<eof>" and "more" or "error", why} end
    local results = table.pack(pcall(chunk))
    if not results[1] then return {"error", tostring(results[2])} end
    local said = {"ok"}
    for i = 2, results.n do said[i] = show(results[i], 1) end
    return said
  end,
})
)lua";

// A file without a name, which the engine opens by its descriptor's.
class Script {
 public:
  Script() : fd_(::memfd_create("repl", MFD_CLOEXEC)) {
    if (fd_ < 0 || ::write(fd_, kScript.data(), kScript.size()) != static_cast<ssize_t>(kScript.size()))
      throw std::runtime_error{"no memory for the script"};
  }
  ~Script() { ::close(fd_); }
  Script(const Script &) = delete;
  Script &operator=(const Script &) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

FakeHost::Options options_of(const ReplOrder &order, const Script &script) {
  std::string allow;
  for (const auto &library : order.allow) allow += (allow.empty() ? "" : ",") + library;
  // What a piece leaves behind stays: the state is not made anew.
  std::string secrets;  // in which values may have any character of a line
  for (const auto &setting : order.settings) secrets += setting + '\n';
  FakeHost::Options options{
      {"script", script.path()}, {"state_uses", "0"}, {"state_age", "0s"}, {"allow", allow}, {"secrets", secrets}};
  const auto problems = FakeHost::check(mansio_plugin_entry_1(), options);
  if (!problems.empty()) throw std::runtime_error{problems.substr(0, problems.find_last_not_of('\n') + 1)};
  return options;
}

struct Free {
  void operator()(char *line) const { std::free(line); }
};

class Loop {
 public:
  Loop(const ReplOrder &order, std::FILE *in, std::FILE *out, bool prompt)
      : in_(in), out_(out), prompt_(prompt), host_(mansio_plugin_entry_1(), options_of(order, script_)) {
    const bool dns = order.dns;
    host_.other_dns = [dns](const std::string &name, std::uint16_t type) {
      if (dns) return ask_dns(name, type);
      return FakeDnsAnswer{MANSIO_DEFER, {}, "the DNS is off here; with --dns it is asked"};
    };
    host_.other_tables = [](const std::string &, const std::string &) {
      return FakeTableAnswer{MANSIO_DEFER, {}, "there are no tables here"};
    };
    host_.submit_answer = [](const FakeSubmission &) {
      return FakeSubmitAnswer{MANSIO_DEFER, "there is no queue here"};
    };
  }

  int run() {
    std::string piece;
    while (true) {
      if (prompt_) std::fprintf(out_, "%s", piece.empty() ? "> " : ">> ");
      std::fflush(out_);
      if (!read_line(piece)) break;
      if (piece.find_first_not_of(" \t\n") == piece.npos || evaluate(piece, false)) piece.clear();
    }
    if (!piece.empty()) evaluate(piece, true);
    if (prompt_) std::fprintf(out_, "\n");
    return failed_ && !prompt_ ? 1 : 0;
  }

 private:
  // One more line of the piece; false at the end.
  bool read_line(std::string &piece) {
    char *line = nullptr;
    std::size_t room = 0;
    const auto n = ::getline(&line, &room, in_);
    const std::unique_ptr<char, Free> owned{line};
    if (n < 0) return false;
    std::string_view text{line, static_cast<std::size_t>(n)};
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (!piece.empty()) piece += '\n';
    piece += text;
    return true;
  }

  // False when the piece is not a whole one yet; `last`: no more will come.
  bool evaluate(const std::string &piece, bool last) {
    const auto op = host_.look_up(piece, "repl");
    host_.run_until([&] { return host_.completed(op); }, std::chrono::hours{24 * 365});
    const auto reply = *host_.take(op).last;
    const auto log = std::exchange(host_.log, {});
    const auto kind = reply.values.empty() ? std::string{} : reply.values.front();
    if (kind == "more" && !last) return false;
    std::fprintf(out_, "%s", log.c_str());  // what it printed; of a call that was ended, why
    if (kind == "ok") {
      for (std::size_t i = 1; i < reply.values.size(); ++i)
        std::fprintf(out_, "%s%s", reply.values[i].c_str(), i + 1 < reply.values.size() ? "\t" : "\n");
    } else {
      failed_ = true;
      if (reply.values.size() > 1) std::fprintf(out_, "%s\n", reply.values[1].c_str());
      if (reply.status == MANSIO_DEFER) std::fprintf(out_, "%s\n", reply.text.c_str());
    }
    return true;
  }

  std::FILE *in_, *out_;
  bool prompt_, failed_ = false;
  const Script script_;
  FakeHost host_;
};

}  // namespace

int repl(const ReplOrder &order, std::FILE *in, std::FILE *out, bool prompt) {
  return Loop{order, in, out, prompt}.run();
}

}  // namespace mansio::lua::tool
