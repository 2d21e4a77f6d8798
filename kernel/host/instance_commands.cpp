// The commands of an instance: those that its plugin named in create(), and how they are called.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "kernel/host/instance.hpp"

namespace mansio::host {
namespace {

constexpr std::size_t kMostCommands = 100, kLongestCommandName = 64, kLongestCommandHelp = 500;
constexpr std::size_t kMostAnswered = 24 * 1024;  // octets of an answer; the rest is left out

bool is_command_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestCommandName && name.front() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == name.npos;
}

}  // namespace

mansio_status Instance::command(const char *name, const char *help, mansio_command_fn what, void *arg) {
  if (!name || !what || !on_loop() || !beginning_) return MANSIO_FAIL;
  if (!is_command_name(name) || commands_.contains(name) || commands_.size() >= kMostCommands) return MANSIO_FAIL;
  commands_.emplace(
      name, NamedCommand{std::string{std::string_view{help ? help : ""}.substr(0, kLongestCommandHelp)}, what, arg});
  return MANSIO_OK;
}

void Instance::call_command(const wire::PluginCall &asked, const std::function<void(wire::PluginCalled &&)> &done) {
  wire::PluginCalled none;
  const auto found = commands_.find(asked.command);
  if (found == commands_.end() || beginning_ || ending_) {
    none.status = wire::CalledStatus::NoCommand;
    for (const auto &[name, known] : commands_)
      none.values.push_back(known.help.empty() ? name : name + ": " + known.help);
    return done(std::move(none));
  }
  Operation operation;
  operation.command = true;
  operation.done = [done](Answer &&answer) {
    wire::PluginCalled said;
    said.status = answer.status == MANSIO_OK ? wire::CalledStatus::Ok : wire::CalledStatus::Failed;
    said.text = std::move(answer.outcome.text);
    std::size_t bytes = 0;
    for (auto &value : answer.values) {
      bytes += value.size() + 8;
      if (bytes > kMostAnswered) {
        said.values.emplace_back("...");
        break;
      }
      said.values.push_back(std::move(value));
    }
    done(std::move(said));
  };
  const auto op = open(std::move(operation), nullptr, clock_.mono() + asked.time_limit);
  if (op == 0) {
    none.status = wire::CalledStatus::Failed;
    none.text = "it has too much to do";
    return done(std::move(none));
  }
  run(op, [&, named = found->second] {
    std::vector<mansio_str> arguments;
    arguments.reserve(asked.arguments.size());
    for (const auto &argument : asked.arguments) arguments.push_back(str(argument));
    named.run(named.arg, mansio_op{op}, arguments.data(), arguments.size());
  });
}

}  // namespace mansio::host
