#include "kernel/control/session.hpp"

#include <algorithm>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <iterator>

#include "kernel/control/metrics.hpp"

namespace mansio::control {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestRequest = 64 * 1024;  // the queue's messages are no longer
constexpr std::size_t kMostArguments = 32 * 1024;   // octets, of a plugin's command

bool text_of(const json::object &from, std::string_view key, std::string &to) {
  const auto *v = from.if_contains(key);
  if (!v || !v->is_string()) return false;
  to = std::string{v->get_string()};
  return true;
}

class Session {
 public:
  Session(std::shared_ptr<LocalSocket> socket, Bridge &bridge, Logger &log, Client client, Access access)
      : socket_(std::move(socket)), bridge_(bridge), log_(log), by_(describe(client)), access_(access) {}

  Task<> run() {
    std::string input;
    for (;;) {
      ErrorCode e;
      const auto n = co_await asio::async_read_until(*socket_, asio::dynamic_buffer(input, kLongestRequest), '\n',
                                                     asio::redirect_error(asio::use_awaitable, e));
      if (e) co_return;
      const auto line = input.substr(0, n);
      input.erase(0, n);
      const auto request = parse_request(line);
      if (!request)
        co_await fail(request.error().text);
      else
        co_await answer(*request);
      if (broken_) co_return;
    }
  }

 private:
  // The buffer is a parameter, held by the frame: the write borrows it.
  Task<> write(std::string bytes) {
    if (broken_) co_return;
    ErrorCode e;
    co_await asio::async_write(*socket_, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, e));
    if (e) broken_ = true;
  }
  Task<> fail(std::string why) {
    std::string out = R"({"result":"error","error":)";
    append_json_string(out, why);
    co_await write(out + "}\n");
  }
  Task<> ok(std::uint64_t affected) {
    co_await write(R"({"result":"ok","affected":)" + std::to_string(affected) + "}\n");
  }

  Task<> answer(const Request &request) {
    if (access_ != Access::Full && request.command != "status" && request.command != "metrics") {
      log_.warn("operator refused", {{"by", by_}, {"command", request.command}});
      co_return co_await fail("not permitted: only root, the user Mansio runs as and members of its group may do this");
    }
    if (request.command == "queue") co_return co_await queue(request.queue);
    if (request.command == "status") co_return co_await status();
    if (request.command == "metrics") co_return co_await metrics();
    if (request.command == "plugin-call") co_return co_await plugin_call(request.plugin);
    log_.info("operator command", {{"by", by_}, {"command", request.command}});
    const auto question = bridge_.ask_supervisor(request.command);
    while (!question->done) co_await question->change();
    if (!question->error.empty()) co_return co_await fail(supervisor_error(question->error));
    co_await ok(0);
  }

  static std::string supervisor_error(const std::string &text) {
    boost::system::error_code e;
    const auto v = json::parse(text, e);
    if (!e && v.is_object())
      if (std::string why; text_of(v.get_object(), "error", why)) return why;
    return text;
  }

  Task<> queue(wire::QueueCommand command) {
    if (!command.reads())
      log_.info("operator command",
                {{"by", by_}, {"command", "queue " + command.verb}, {"ids", command.ids.size()}, {"all", command.all}});
    command.by = by_;
    const auto question = bridge_.ask_queue(std::move(command));
    for (;;) {
      while (!question->lines.empty()) {
        auto lines = std::move(question->lines.front());
        question->lines.pop_front();
        co_await write(std::move(lines));
        bridge_.took_lines(*question);
        if (broken_) co_return;
      }
      if (question->done) break;
      co_await question->change();
    }
    if (!question->error.empty()) co_return co_await fail(question->error);
    co_await ok(question->affected);
  }

  Task<> plugin_call(std::vector<std::string> arguments) {
    log_.info("operator command",
              {{"by", by_}, {"command", "plugin-call"}, {"instance", arguments[0]}, {"name", arguments[1]}});
    const auto question = bridge_.ask_supervisor("plugin-call", std::move(arguments));
    while (!question->done) co_await question->change();
    if (!question->error.empty()) co_return co_await fail(supervisor_error(question->error));
    co_await write(question->json + "\n");
    co_await ok(0);
  }

  Task<> status() {
    const auto processes = bridge_.ask_supervisor("processes");
    wire::QueueCommand summary;
    summary.verb = "summary";
    const auto queue = bridge_.ask_queue(std::move(summary));
    while (!processes->done) co_await processes->change();
    while (!queue->done && queue->lines.empty()) co_await queue->change();
    std::string text = queue->lines.empty() ? std::string{"null"} : queue->lines.front();
    while (text.ends_with('\n')) text.pop_back();
    if (!processes->error.empty()) co_return co_await fail(processes->error);
    co_await write(R"({"supervisor":)" + processes->json + R"(,"queue":)" + text + "}\n");
    co_await ok(0);
  }

  Task<> metrics() {
    const auto question = bridge_.ask_supervisor("stats");
    while (!question->done) co_await question->change();
    if (!question->error.empty()) co_return co_await fail(question->error);
    std::string out = R"({"metrics":)";
    append_json_string(out, prometheus_text(question->stats));
    co_await write(out + "}\n");
    co_await ok(0);
  }

  std::shared_ptr<LocalSocket> socket_;
  Bridge &bridge_;
  Logger &log_;
  std::string by_;
  Access access_;
  bool broken_ = false;
};

}  // namespace

Result<Request> parse_request(std::string_view line) {
  const auto bad = [](std::string text) { return Error{Status::Fail, std::move(text)}; };
  boost::system::error_code e;
  const auto value = json::parse({line.data(), line.size()}, e);
  if (e || !value.is_object()) return bad("the request is not one JSON object");
  const auto &object = value.get_object();
  Request request;
  if (!text_of(object, "command", request.command)) return bad("the request has no command");
  constexpr std::string_view commands[] = {"status", "metrics", "queue", "reload", "stop", "reopen-log", "plugin-call"};
  if (std::find(std::begin(commands), std::end(commands), request.command) == std::end(commands))
    return bad("unknown command: " + request.command);
  if (request.command == "plugin-call") {
    std::string instance, name;
    if (!text_of(object, "instance", instance) || !text_of(object, "name", name))
      return bad("a call needs an instance and the name of a command");
    request.plugin = {std::move(instance), std::move(name)};
    const auto *arguments = object.if_contains("arguments");
    if (arguments && !arguments->is_array()) return bad("arguments is not an array");
    std::size_t bytes = 0;
    if (arguments)
      for (const auto &argument : arguments->get_array()) {
        if (!argument.is_string()) return bad("an argument is not a string");
        bytes += argument.get_string().size() + 8;
        request.plugin.emplace_back(argument.get_string());
      }
    if (bytes > kMostArguments) return bad("the arguments are too long");
    return request;
  }
  if (request.command != "queue") return request;
  if (!text_of(object, "verb", request.queue.verb)) return bad("a queue command needs a verb");
  if (const auto *ids = object.if_contains("ids")) {
    if (!ids->is_array()) return bad("ids is not an array");
    for (const auto &id : ids->get_array()) {
      if (!id.is_string()) return bad("an id is not a string");
      request.queue.ids.emplace_back(id.get_string());
    }
  }
  if (const auto *all = object.if_contains("all")) {
    if (!all->is_bool()) return bad("all is neither true nor false");
    request.queue.all = all->get_bool();
  }
  if (const auto *report = object.if_contains("report")) {
    if (!report->is_bool()) return bad("report is neither true nor false");
    request.queue.report = report->get_bool();
  }
  if (const auto *match = object.if_contains("match")) {
    if (!match->is_object()) return bad("match is not an object");
    for (const auto &[key, v] : match->get_object()) {
      if (!v.is_string()) return bad("match." + std::string{key} + " is not a string");
      request.queue.match.emplace_back(std::string{key}, std::string{v.get_string()});
    }
  }
  return request;
}

Task<> serve(std::shared_ptr<LocalSocket> socket, Bridge &bridge, Logger &log, Client client, Access access) {
  Session session{std::move(socket), bridge, log, std::move(client), access};
  co_await session.run();
}

}  // namespace mansio::control
