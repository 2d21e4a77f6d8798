// filter-pipe: runs a program over each message. Its exit status is the verdict, what it writes the edited message;
// what it cannot mean is a failure of the filter, and never a verdict.
#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "mansio/socket.hpp"
#include "program.hpp"
#include "rewrite.hpp"

namespace {

using namespace mansio::plugin;
using namespace mansio::filter_pipe;

// sysexits(3), and qmail's.
constexpr int kDiscard = 99, kHold = 98;
bool refuses(int status) { return status == 65 || status == 69 || status == 77 || status == 100; }
bool defers(int status) { return status == 75 || status == 111; }

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
  static constexpr Info info{"filter-pipe", "1.0", MANSIO_NEEDS_EXEC, MANSIO_BLOCKING, 10};
  static constexpr mansio_option options[] = {
      {"command", MANSIO_OPT_LIST, MANSIO_OPT_REQUIRED, nullptr,
       "The program, by its absolute path, and its arguments, none of which may hold a comma."},
      {"rewrite", MANSIO_OPT_BOOLEAN, 0, "true",
       "What the program writes takes the message's place; nothing written means nothing changed."},
      {"output_limit", MANSIO_OPT_SIZE, 0, "40M", "A program that writes more is ended, and has failed."},
      {},
  };

  explicit FilterPipe(Host host)
      : command_(host.list("command")),
        rewrite_(host.flag("rewrite")),
        limit_(static_cast<std::size_t>(host.size("output_limit"))) {
    check(host);
    ignore_sigpipe();
  }

  static void check(const Config &config) {
    const auto command = config.list("command");
    if (command.empty() || !command.front().starts_with('/'))
      throw BadConfig{"command",
                      "does not begin with an absolute path, expected [\"/path/to/program\", \"ARGUMENT\", ...]"};
    if (config.integer("output_limit") < 1) throw BadConfig{"output_limit", "is 0, expected a size"};
  }

  Reply end_of_message(Stage &stage) {
    const auto stop = begin(stage.op());
    const auto ran = run_program(
        command_, environment(stage),
        [&](std::uint64_t offset, char *to, std::size_t n) { return stage.read(offset, to, n); }, limit_,
        stage.deadline(), *stop);
    end(stage.op());
    return verdict(stage, ran);
  }

  void cancel(mansio_op op) {
    const std::lock_guard lock{mutex_};
    if (const auto i = running_.find(op.id); i != running_.end()) *i->second = true;
  }

 private:
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

  static std::vector<std::string> environment(const Stage &stage) {
    std::vector<std::string> all{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "QUEUE_ID=" + stage.queue_id()};
    for (const auto &[name, fact] : {std::pair{"SENDER", "sender"},
                                     {"CLIENT_ADDRESS", "client_address"},
                                     {"CLIENT_NAME", "client_name"},
                                     {"HELO_NAME", "helo_name"},
                                     {"LISTENER", "listener"}})
      all.push_back(std::string{name} + '=' + harmless(stage.macro(fact)));
    return all;
  }

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

  std::vector<std::string> command_;
  bool rewrite_;
  std::size_t limit_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<std::atomic<bool>>> running_;
};

}  // namespace

MANSIO_FILTER_PLUGIN(FilterPipe)
