// filter-pipe: runs a program over each message. Its exit status is the verdict, what it writes the edited message;
// what it cannot mean is a failure of the filter, and never a verdict.
#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "mansio/socket.hpp"
#include "plugins/pipe-common/account.hpp"
#include "plugins/pipe-common/surroundings.hpp"
#include "program.hpp"
#include "rewrite.hpp"

namespace {

using namespace mansio::plugin;
using namespace mansio::filter_pipe;
namespace pipe = mansio::pipe;

// sysexits(3), and qmail's.
constexpr int kDiscard = 99, kHold = 98;
bool refuses(int status) { return status == 65 || status == 69 || status == 77 || status == 100; }
bool defers(int status) { return status == 75 || status == 111; }

// What a program hears in its environment, and the names of these facts.
constexpr std::pair<std::string_view, std::string_view> kFacts[] = {{"SENDER", "sender"},
                                                                    {"CLIENT_ADDRESS", "client_address"},
                                                                    {"CLIENT_NAME", "client_name"},
                                                                    {"HELO_NAME", "helo_name"},
                                                                    {"LISTENER", "listener"}};
constexpr std::string_view kQueueId = "QUEUE_ID";

std::string first_line(const std::string &text) { return text.substr(0, text.find_first_of("\r\n")); }

// Addresses and names a client chose: nothing of them may surprise a shell script.
std::string harmless(std::string_view text) {
  std::string out{text};
  for (auto &c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

class FilterPipe {
 public:
  // Network: a program may need it, as spamc does, and cannot ask for it.
  static constexpr Info info{"filter-pipe", "1.0", MANSIO_NEEDS_EXEC | MANSIO_NEEDS_WRITE | MANSIO_NEEDS_NETWORK,
                             MANSIO_BLOCKING, 10};
  static constexpr mansio_option options[] = {
      {"command", MANSIO_OPT_LIST, MANSIO_OPT_REQUIRED, nullptr,
       "The program, by its absolute path, and its arguments, none of which may hold a comma."},
      {"user", MANSIO_OPT_TEXT, 0, "", "Whom the program runs as, `user` or `user:group`; see below."},
      {"directory", MANSIO_OPT_PATH, 0, "/", "Working directory of the program."},
      {"environment", MANSIO_OPT_LIST, 0, "PATH=/usr/local/bin:/usr/bin:/bin,LC_ALL=C",
       "What the program has in its environment besides what it hears of the message: NAME=VALUE, or NAME for the "
       "value that Mansio itself was started with. PATH is always set."},
      {"rewrite", MANSIO_OPT_BOOLEAN, 0, "true",
       "What the program writes takes the message's place; nothing written means nothing changed."},
      {"output_limit", MANSIO_OPT_SIZE, 0, "40M", "A program that writes more is ended, and has failed."},
      {},
  };

  explicit FilterPipe(Host host)
      : program_(read_program(host)),
        rewrite_(host.flag("rewrite")),
        limit_(static_cast<std::size_t>(host.size("output_limit"))) {
    program_.account = pipe::account_to_become(host.option("user"));
    ignore_sigpipe();
  }

  static void check(const Config &config) { read_program(config); }

  Reply end_of_message(Stage &stage) {
    const auto stop = begin(stage.op());
    const auto ran = run_program(
        program_for(stage), [&](std::uint64_t offset, char *to, std::size_t n) { return stage.read(offset, to, n); },
        limit_, stage.deadline(), *stop);
    end(stage.op());
    return verdict(stage, ran);
  }

  void cancel(mansio_op op) {
    const std::lock_guard lock{mutex_};
    if (const auto i = running_.find(op.id); i != running_.end()) *i->second = true;
  }

 private:
  // Throws BadConfig, with all that is wrong.
  static pipe::Program read_program(const Config &config) {
    pipe::Program program;
    program.errors_apart = true;
    Problems problems{config};
    problems.of([&] {
      program.argv = config.list("command");
      if (program.argv.empty() || !program.argv.front().starts_with('/'))
        throw BadConfig{"command",
                        "does not begin with an absolute path, expected [\"/path/to/program\", \"ARGUMENT\", ...]"};
    });
    problems.of([&] { pipe::parse_account(config.option("user")); });
    problems.of([&] { program.directory = pipe::read_directory(config.option("directory")); });
    problems.of([&] {
      program.environment = pipe::read_environment(config.list("environment"));
      for (const auto &entry : program.environment)
        if (const auto name = entry.substr(0, entry.find('=')); says_itself(name))
          throw BadConfig{"environment",
                          "holds \"" + name + "\", expected another name: this one tells of the message"};
    });
    problems.of([&] {
      if (config.integer("output_limit") < 1) throw BadConfig{"output_limit", "is 0, expected a size"};
    });
    problems.end();
    return program;
  }
  static bool says_itself(std::string_view name) {
    return name == kQueueId ||
           std::any_of(std::begin(kFacts), std::end(kFacts), [&](const auto &fact) { return fact.first == name; });
  }

  pipe::Program program_for(const Stage &stage) const {
    auto program = program_;
    program.environment.push_back(std::string{kQueueId} + '=' + stage.queue_id());
    for (const auto &[name, fact] : kFacts)
      program.environment.push_back(std::string{name} + '=' + harmless(stage.macro(fact)));
    return program;
  }

  Reply verdict(Stage &stage, const Ran &ran) const {
    switch (ran.end) {
      case Ran::End::Refused:
        return failure(ran.why);
      case Ran::End::TimedOut:
        return failure("it was ended after its time");
      case Ran::End::TooMuch:
        return failure("it wrote more than output_limit");
      case Ran::End::Killed:
        return failure("it was ended by signal " + std::to_string(ran.status));
      case Ran::End::Exited:
        break;
    }
    const auto said = first_line(ran.error.empty() && ran.status != 0 ? ran.output : ran.error);
    if (refuses(ran.status)) return reject({5, 7, 1}, said);
    if (defers(ran.status)) return defer({4, 7, 1}, said);
    if (ran.status == kDiscard) return stage.discard(said), accept();
    if (ran.status == kHold) return stage.hold(said), accept();
    if (ran.status != 0) return failure("it ended with status " + std::to_string(ran.status) + ": " + said);
    if (!rewrite_ || ran.output.empty()) return accept();
    if (!ran.complete) return failure("something that it started still writes");
    const auto before = stage.content();
    if (!before) return failure("the message cannot be read");
    return rewrite(stage, *before, ran.output) ? accept() : failure("it wrote what is no message");
  }
  static Reply failure(const std::string &why) { return Reply{MANSIO_INTERNAL, {}, why}; }

  std::shared_ptr<std::atomic<bool>> begin(mansio_op op) {
    auto stop = std::make_shared<std::atomic<bool>>(false);
    const std::lock_guard lock{mutex_};
    running_[op.id] = stop;
    return stop;
  }
  void end(mansio_op op) {
    const std::lock_guard lock{mutex_};
    running_.erase(op.id);
  }

  pipe::Program program_;
  bool rewrite_;
  std::size_t limit_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<std::atomic<bool>>> running_;
};

}  // namespace

MANSIO_FILTER_PLUGIN(FilterPipe)
