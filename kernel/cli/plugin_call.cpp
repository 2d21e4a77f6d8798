#include "kernel/cli/plugin_call.hpp"

#include <boost/json.hpp>
#include <string_view>
#include <utility>

#include "kernel/cli/json_fields.hpp"
#include "kernel/cli/say.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::cli {
namespace {

namespace json = boost::json;

// True: it did what it was told.
bool print_answer(const json::object &answer, bool several) {
  const bool did = truth_of(answer, "ok");
  const auto before = several ? text_of(answer, "process") + ": " : std::string{};
  const auto text = printable(text_of(answer, "text"), true);
  if (!did)
    complain(before + (text.empty() ? "the command failed" : text));
  else if (!text.empty())
    put(before + text + "\n");
  if (const auto *values = answer.if_contains("values"); values && values->is_array())
    for (const auto &value : values->get_array())
      if (value.is_string()) put(before + printable(std::string{value.get_string()}, true) + "\n");
  return did;
}

}  // namespace

int plugin_call_main(const Where &where, const PluginCallOrder &order) {
  auto control = ControlClient::connect(where);
  if (!control) return complain(control.error().text);
  json::array arguments;
  for (const auto &argument : order.arguments) arguments.emplace_back(argument);
  const auto request = json::serialize(json::object{{"command", "plugin-call"},
                                                    {"instance", order.instance},
                                                    {"name", order.command},
                                                    {"arguments", std::move(arguments)}});
  int status = 0;
  const auto asked = control->ask(request, [&](std::string_view line) {
    boost::system::error_code e;
    const auto value = json::parse({line.data(), line.size()}, e);
    if (e || !value.is_object()) return;
    const auto *answers = value.get_object().if_contains("answers");
    if (!answers || !answers->is_array()) return;
    for (const auto &one : answers->get_array())
      if (one.is_object() && !print_answer(one.get_object(), answers->get_array().size() > 1)) status = 1;
  });
  if (!asked) return complain(asked.error().text);
  return status;
}

}  // namespace mansio::cli
