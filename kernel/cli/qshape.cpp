#include "kernel/cli/qshape.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <ctime>
#include <limits>

#include "kernel/cli/repaint.hpp"
#include "kernel/cli/say.hpp"
#include "kernel/queue/shape.hpp"

namespace mansio::cli {
namespace {

namespace json = boost::json;

constexpr unsigned kTopOfTerminal = 20;

// "deferred", or the path of Postfix's directory of that name.
std::string queue_name(const std::string &given) {
  const auto end = given.find_last_not_of('/');
  const auto path = given.substr(0, end == std::string::npos ? 0 : end + 1);
  return path.substr(path.rfind('/') + 1);
}

std::string request_of(const ShapeOrder &order) {
  std::string states;
  for (const auto &queue : order.queues) states += (states.empty() ? "" : ",") + queue;
  const json::object match{{"state", states},
                           {"by", order.destinations ? "destination"
                                  : order.senders    ? "sender"
                                                     : "recipient"},
                           {"buckets", std::to_string(order.form.buckets)},
                           {"width", fmt::format("{:.15g}", order.form.minutes)},
                           {"linear", order.form.linear ? "true" : "false"}};
  return json::serialize(json::object{{"command", "queue"}, {"verb", "qshape"}, {"all", true}, {"match", match}});
}

Result<ShapeTable> ask(ControlClient &control, const ShapeOrder &order) {
  ShapeTable table{order.form};
  const auto asked = control.ask(request_of(order), [&](std::string_view line) { table.add(line); });
  if (!asked) return asked.error();
  return table;
}

std::string heading(const ShapeOrder &order, const std::string &rest) {
  std::string out = "mansio qshape";
  for (const auto &queue : order.queues) out += " " + queue;
  return fmt::format("{} every {:g} s, {}\n\n", out, order.every, rest);
}

// As Postfix's takes them: what is not above 0 stands for the default.
template <typename T>
void add_number(CLI::App &command, const std::string &names, T &to, T least, T most, const std::string &what) {
  const auto take = [&to, least, most, names](const double &given) {
    if (given > 0 && (given < static_cast<double>(least) || given > static_cast<double>(most)))
      throw CLI::ValidationError{names, fmt::format("{:.15g} is not from {} to {}", given, least, most)};
    if (given > 0) to = static_cast<T>(given);
  };
  command.add_option_function<double>(names, take, what)
      ->default_str(fmt::format("{}", to))
      ->type_name(CLI::detail::type_name<T>());
}

// The queue process may be away for a moment: the picture says so and the next one is tried.
int watch(const Where &where, ShapeOrder order) {
  Repaint screen;
  const auto top = order.form.top;
  do {
    const auto size = screen.size();
    order.form.width = std::max(order.form.width, size.columns);
    const auto room = size.rows > 4 ? size.rows - 4 : 1;  // heading, blank, head of the table, and the cursor's line
    order.form.top = top != 0 ? std::min(top, room) : room;
    auto control = ControlClient::connect(where);
    const auto table = control ? ask(*control, order) : Result<ShapeTable>{control.error()};
    const auto now = std::time(nullptr);
    screen.paint(heading(order, fmt::format("{:%H:%M:%S}", fmt::localtime(now))) +
                 (table ? table->text() : table.error().text + "\n"));
  } while (screen.wait(order.every));
  return 0;
}

}  // namespace

void add_shape_options(CLI::App &command, ShapeOrder &order) {
  auto &form = order.form;
  command.add_option("queues", order.queues,
                     "queues to count: incoming, active, deferred, hold, corrupt; without: incoming and active; "
                     "maildrop is taken and always empty, as there is no such queue");
  command.add_flag("-s,--sender", order.senders, "count messages by the sender's domain, not recipients by theirs");
  command.add_flag("-p,--parents", form.parents, "count parent domains too; their names begin with a dot");
  constexpr auto kAny = std::numeric_limits<unsigned>::max();
  add_number(command, "-m,--min-subdomains", form.min_subdomains, 1u, kAny,
             "subdomains a parent domain must have to be shown");
  add_number(command, "-b,--buckets", form.buckets, 1u, queue::Buckets::kMost,
             fmt::format("number of age buckets, at most {}; the last takes whatever is older", queue::Buckets::kMost));
  add_number(command, "-t,--minutes", form.minutes, 0.001, 1'000'000.0,
             "minutes of the first bucket; 0.5 is half a minute");
  command.add_flag("-l,--linear", form.linear, "buckets of one width, instead of each twice the one before");
  add_number(command, "-w,--width", form.width, 1u, 100'000u, "columns of the output, above 80");
  command.add_option("-n,--top", form.top, "lines to show on a terminal (default 20; 0: all); elsewhere all are");
  // The whole is counted before a terminal could show a part.
  command.add_option_function<unsigned>(
      "-N,--interval", [](unsigned) {}, "taken for compatibility: there are no results in between to show");
  command.add_flag("--destinations", order.destinations, "count recipients by next hop, as the scheduler does")
      ->excludes("--sender");
  auto *as_json = command.add_flag("--json", order.json, "JSON lines instead of a table");
  command.add_flag("--watch", order.watch, "paint the terminal again and again; ends with Ctrl-C")->excludes(as_json);
  command.add_option("--every", order.every, "seconds between two pictures of --watch")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  if (::isatty(STDOUT_FILENO) != 0) form.top = kTopOfTerminal;
}

int qshape_main(const Where &where, ShapeOrder order) {
  if (::isatty(STDOUT_FILENO) == 0) {
    order.form.top = 0;
    if (order.watch) return complain("qshape --watch paints a terminal, and this is none");
  }
  for (auto &queue : order.queues) {
    queue = queue_name(queue);
    constexpr std::string_view known[] = {"incoming", "active", "deferred", "hold", "corrupt", "maildrop"};
    if (std::find(std::begin(known), std::end(known), queue) == std::end(known))
      return complain("no such queue: " + queue + " (there are incoming, active, deferred, hold and corrupt)");
  }
  if (order.queues.empty()) order.queues = {"incoming", "active"};
  if (order.watch) return watch(where, std::move(order));
  auto control = ControlClient::connect(where);
  if (!control) return complain(control.error().text);
  const auto table = ask(*control, order);
  if (!table) return complain(table.error().text);
  put(order.json ? table->json() : table->text());
  return 0;
}

}  // namespace mansio::cli
