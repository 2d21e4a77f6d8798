#include "kernel/cli/spool_restore.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <chrono>
#include <thread>

#include "kernel/base/without_controls.hpp"
#include "kernel/cli/json_fields.hpp"
#include "kernel/cli/say.hpp"

namespace mansio::cli {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr auto kLook = 200ms;

StoreSummary summary_of(const json::object &o) {
  StoreSummary s;
  s.found = true;
  s.connected = truth_of(o, "connected");
  s.looked_through = truth_of(o, "looked_through");
  s.spool = text_of(o, "spool");
  if (const auto *spools = object_of(o, "spools"))
    for (const auto &[name, messages] : *spools) s.spools.emplace_back(std::string{name}, number_of(*spools, name));
  if (const auto *restore = object_of(o, "restore")) {
    s.running = truth_of(*restore, "running");
    s.restored = number_of(*restore, "restored");
    s.done_already = number_of(*restore, "done_already");
    s.damaged = number_of(*restore, "damaged");
    s.waiting = number_of(*restore, "waiting");
    s.problem = without_controls(text_of(*restore, "problem"));
  }
  return s;
}

Result<StoreSummary> look(ControlClient &control, const std::string &store) {
  std::string lines;
  const auto asked = control.ask(R"({"command":"queue","verb":"stores"})",
                                 [&](std::string_view line) { lines += std::string{line} + "\n"; });
  if (!asked) return asked.error();
  auto summary = store_summary(lines, store);
  if (!summary.found) return Error{Status::Fail, fmt::format("there is no [store.{}]", store)};
  return summary;
}

// Once it is known what the store has.
Result<StoreSummary> look_through(ControlClient &control, const std::string &store) {
  for (bool said = false;;) {
    auto summary = look(control, store);
    if (!summary) return summary;
    if (summary->looked_through) return summary;
    if (!summary->connected) return Error{Status::Fail, "the store's process is not there; the log says why"};
    if (!std::exchange(said, true)) put("the store is being looked through\n", stderr);
    std::this_thread::sleep_for(kLook);
  }
}

void print_spools(const StoreSummary &store) {
  for (const auto &[name, messages] : store.spools)
    put(fmt::format("{}  {} message{}{}\n", name, messages, messages == 1 ? "" : "s",
                    name == store.spool ? "  (this spool)" : ""));
}

int wait_for_end(ControlClient &control, const std::string &store) {
  std::string problem;
  for (;;) {
    const auto summary = look(control, store);
    if (!summary) return complain(summary.error().text);
    if (!summary->problem.empty() && summary->problem != problem) {
      problem = summary->problem;
      put("mansio: " + problem + "\n", stderr);
    }
    if (summary->running) {
      std::this_thread::sleep_for(kLook);
      continue;
    }
    put(fmt::format("{} message{} restored, {} had been delivered\n", summary->restored,
                    summary->restored == 1 ? "" : "s", summary->done_already));
    if (summary->damaged == 0) return 0;
    return complain(fmt::format("{} damaged: the log names them, and they stay in the store", summary->damaged));
  }
}

}  // namespace

StoreSummary store_summary(std::string_view lines, std::string_view store) {
  while (!lines.empty()) {
    const auto line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    boost::system::error_code e;
    const auto value = json::parse({line.data(), line.size()}, e);
    if (!e && value.is_object() && text_of(value.get_object(), "store") == store) return summary_of(value.get_object());
  }
  return {};
}

Result<std::string> spool_meant(const StoreSummary &store) {
  std::string others;
  std::size_t n = 0;
  for (const auto &[name, messages] : store.spools) {
    if (name == store.spool) continue;
    others += (n++ == 0 ? "" : ", ") + name;
  }
  if (n == 1) return others;
  if (n == 0) return Error{Status::Fail, "the store has no mail of another spool"};
  return Error{Status::Fail, "the store has mail of several spools: --from says of which (" + others + ", or all)"};
}

int restore_main(const Where &where, const SpoolRestore &order) {
  auto control = ControlClient::connect(where);
  if (!control) return complain(control.error().text);
  auto from = order.from;
  if (order.list || from.empty()) {
    const auto store = look_through(*control, order.store);
    if (!store) return complain(store.error().text);
    if (order.list) return print_spools(*store), 0;
    const auto meant = spool_meant(*store);
    if (!meant) return complain(meant.error().text);
    from = *meant;
  }
  json::object match{{"store", order.store}, {"from", from}};
  if (order.hold) match["hold"] = "yes";
  const auto request = json::serialize(json::object{{"command", "queue"}, {"verb", "restore"}, {"match", match}});
  const auto begun = control->ask(request, [](std::string_view) {});
  if (!begun) return complain(begun.error().text);
  return wait_for_end(*control, order.store);
}

}  // namespace mansio::cli
