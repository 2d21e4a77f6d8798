#include "kernel/cli/plugin_check.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "kernel/cli/exported_symbols.hpp"
#include "kernel/cli/plugin_course.hpp"
#include "kernel/host/auth.hpp"
#include "kernel/host/event.hpp"
#include "kernel/host/filter.hpp"
#include "kernel/host/lookup.hpp"
#include "kernel/host/option_check.hpp"
#include "kernel/host/rate.hpp"
#include "kernel/host/store.hpp"
#include "kernel/host/transport.hpp"
#include "kernel/io/dns.hpp"
#include "mansio/draft/filter.h"

namespace mansio::cli {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kWhole = 60;  // seconds for everything
constexpr Nanos kLimit = 10 * kSecond;
constexpr auto kSettle = 500ms;  // what is late shows by then
constexpr int kRounds = 40;
constexpr std::uint64_t kAllStages = (std::uint64_t{1} << (MANSIO_STAGE_BOUNCE + 1)) - 1;

// What the host has to say of the plugin, which is what a check is for.
class Findings final : public LogSink {
 public:
  void emit(LogLevel level, std::string_view line) override {
    if (level >= LogLevel::Warn) lines.emplace_back(line.substr(0, line.find('\n')));
  }
  std::vector<std::string> lines;
};

std::size_t entries(const char *directory) {
  std::size_t n = 0;
  std::error_code e;
  for (std::filesystem::directory_iterator i{directory, e}, end; !e && i != end; i.increment(e)) ++n;
  return n;
}
std::size_t descriptors() { return entries("/proc/self/fd"); }
std::size_t threads() { return entries("/proc/self/task"); }

class Check {
 public:
  // `state`: a directory, for one that keeps state.
  Check(const PluginCheck &order, std::string state)
      : order_(order), state_(std::move(state)), dns_(io::Dns::create(loop_, clock_, {})) {}

  int run() {
    const auto loaded = host::load_plugin(order_.file);
    if (!result("loads", loaded ? "" : loaded.error().text)) return 1;
    const auto &plugin = **loaded;
    fmt::print("     {} {}, ABI 1.{}{}\n", plugin.name, plugin.version, plugin.abi_minor,
               plugin.draft_build ? fmt::format(", drafts of build {}", plugin.draft_build) : "");
    symbols();
    result("its name is that of its file", std::filesystem::path{order_.file}.stem() == plugin.name
                                               ? ""
                                               : fmt::format("it calls itself {}", plugin.name));
    table(plugin);
    if (plugin.needs & (MANSIO_NEEDS_STATE | MANSIO_TAKES_STATE)) facts_["state_directory"] = state_;
    const auto judged = host::judge_options(plugin, order_.options, facts_);
    std::string problems;
    for (const auto &p : judged) problems += (problems.empty() ? "" : "; ") + to_string(p);
    if (!problems.empty()) problems += " (give options with --option NAME=VALUE)";
    if (!result("takes its options", problems)) return 1;
    values_ = host::check_table(plugin, order_.options).values;

    const bool lookup = host::offers(plugin, host::kLookupKind);
    const bool transport = host::offers(plugin, host::kTransportKind);
    std::thread{[] {}}.join();  // a sanitizer's runtime has one of its own from the first on
    const auto threads_before = threads();
    if (lookup) life("lookup", [&] { return use_lookup(plugin); });
    if (transport) life("transport", [&] { return use_transport(plugin); });
    bool watches = false;
    for (const auto &[name, kind] : {std::pair{"filter", host::kFilterKind}, {"policy", host::kPolicyKind}}) {
      if (!host::offers(plugin, kind)) continue;
      watches = true;
      life(name, [&, name = name, kind = kind] { return use_filter(plugin, name, kind); });
    }
    const bool told = host::offers(plugin, host::kEventKind);
    if (told) life("event", [&] { return use_event(plugin); });
    const bool rate = host::offers(plugin, host::kRateKind);
    if (rate) life("rate", [&] { return use_rate(plugin); });
    const bool auth = host::offers(plugin, host::kAuthKind);
    if (auth) life("auth", [&] { return use_auth(plugin); });
    const bool store = host::offers(plugin, host::kStoreKind);
    if (store) life("store", [&] { return use_store(plugin); });
    if (!lookup && !transport && !watches && !told && !rate && !auth && !store)
      fmt::print("     its kinds are drafts that are not tried\n");
    else if (!started_ && !failed_)
      result("is one of its kinds with these options", "it is none of them");
    settle();
    result("leaves no thread behind",
           threads() > threads_before ? fmt::format("{} more than before", threads() - threads_before) : "");
    return failed_ ? 1 : 0;
  }

 private:
  bool result(const std::string &what, const std::string &wrong) {
    if (wrong.empty()) {
      fmt::print("ok   {}\n", what);
    } else {
      fmt::print("FAIL {}: {}\n", what, wrong);
      failed_ = true;
    }
    std::fflush(stdout);
    return wrong.empty();
  }

  host::Surroundings around() { return {loop_, clock_, log_, *dns_}; }
  host::InstanceOptions options() const { return {"check", values_, facts_, {}}; }

  void symbols() {
    const auto found = exported_symbols(order_.file);
    std::string wrong;
    if (!found) {
      wrong = found.error().text;
    } else {
      for (const auto &name : *found)
        if (name != "mansio_plugin_entry_1") wrong += (wrong.empty() ? "" : ", ") + name;
      if (!wrong.empty()) wrong += " beside it; link with sdk/plugin.map";
    }
    result("exports its entry alone", wrong);
  }

  void table(const mansio_plugin &plugin) {
    std::string wrong;
    std::set<std::string> names;
    for (const auto *o = plugin.options; o && o->name; ++o) {
      const std::string name{o->name};
      const bool good = !name.empty() && name.find_first_not_of(
                                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "0123456789_") == name.npos;
      if (!good) wrong += fmt::format("\"{}\" is no name; ", name);
      if (!names.insert(name).second) wrong += fmt::format("{} is there twice; ", name);
      if (host::is_of_budgets(name)) wrong += fmt::format("{} is an option of Mansio's and does not get there; ", name);
      if (!o->help || !*o->help) wrong += fmt::format("{} has no help; ", name);
      if ((o->flags & MANSIO_OPT_REQUIRED) && o->fallback)
        wrong += fmt::format("{} is required and has a default; ", name);
    }
    if (!wrong.empty()) wrong.resize(wrong.size() - 2);
    result("has an option table in order", wrong);
    constexpr auto kKnown =
        MANSIO_NEEDS_NETWORK | MANSIO_NEEDS_WRITE | MANSIO_NEEDS_EXEC | MANSIO_NEEDS_STATE | MANSIO_TAKES_STATE;
    result("needs what there is",
           plugin.needs & ~kKnown ? fmt::format("unknown bits {:#x}", plugin.needs & ~kKnown) : "");
  }

  // Whether an instance is there to be tried. A plugin of several kinds need not be all of them with these options.
  template <class Made>
  bool starts(const std::string &kind, const Made &made) {
    if (!made && made.error().status == Status::Unsupported) {
      fmt::print("     as {}: not with these options\n", kind);
      return false;
    }
    if (made) started_ = true;
    of_this_ = findings_.lines.size();
    if (made && use_quietly_) return true;
    return result(fmt::format("as {}: starts", kind), made ? "" : made.error().text);
  }

  // One instance from its creation to its end: twice in a row, and what it holds afterwards it leaks.
  template <class F>
  void life(const std::string &kind, F use) {
    if (!use()) return;
    settle();
    const auto before = descriptors();
    use_quietly_ = true;
    use();
    settle();
    use_quietly_ = false;
    result(fmt::format("as {}: closes what it opens", kind),
           descriptors() > before ? fmt::format("{} descriptors more after a second instance", descriptors() - before)
                                  : "");
    std::string said;
    for (const auto &line : findings_.lines)
      if (line.find("plugin misbehaves") != line.npos) said = line;
    result(fmt::format("as {}: keeps the rules of operations, exceptions and threads", kind), said);
    findings_.lines.clear();
  }

  struct Rounds {
    Course course;
    std::size_t before = 0, after = 0;  // descriptors; `before` is 0 where the rounds were too few to tell
  };

  // An instance's rounds while `round` is true, which gets their number; after so many as are `warm` nothing more
  // should be opened.
  template <class Made, class Round>
  Rounds go_round(const Made &made, int most, int warm, Round round) {
    Rounds rounds{Course{most}};
    for (int n = 0; n < most && rounds.course.goes_on(*made); ++n) {
      if (n == warm) rounds.before = descriptors();
      if (!round(n)) break;
    }
    rounds.after = descriptors();
    settle();
    rounds.course.ends(*made);
    return rounds;
  }

  bool use_lookup(const mansio_plugin &plugin) {
    auto made = host::LookupInstance::create(around(), plugin, options());
    if (!starts("lookup", made)) return false;
    const std::string odd{"\0\xff\r\n%s'\"\\;--", 12};
    std::string unanswered, failed;
    const auto rounds = go_round(*made, kRounds, 5, [&](int) {
      for (const auto &key : {std::string{"check@mansio.invalid"}, std::string{}, std::string(1000, 'k'), odd}) {
        int answers = 0;
        (*made)->lookup(key, kLimit, [&](const io::TableAnswer &answer) {
          ++answers;
          if (answer.failed && failed.empty()) failed = answer.text;
        });
        if (!until([&] { return answers > 0; })) unanswered = fmt::format("a key of {} bytes", key.size());
        if (!in_time()) break;
      }
      return unanswered.empty() && in_time();
    });
    const auto late = timed_out();
    (*made)->lookup("in time", kMillisecond, [](const io::TableAnswer &) {});  // perhaps; it must cope
    settle();
    if (use_quietly_) return true;
    result("as lookup: answers every key", unanswered.empty() ? late : unanswered + " was never answered");
    result("as lookup: answers as a lookup does", late.empty() ? failed : "");
    tell("lookup", rounds, 4 * kRounds, "keys");
    return true;
  }

  bool use_transport(const mansio_plugin &plugin) {
    int completed = 0;
    host::TransportInstance::Events events;
    events.complete = [&](std::uint64_t, const wire::RecipientOutcome &, bool, const std::string &) { ++completed; };
    auto made = host::TransportInstance::create(around(), plugin, options(), std::move(events));
    if (!starts("transport", made)) return false;
    const char text[] = "From: <check@mansio.invalid>\r\nSubject: check\r\n\r\nThis message was made by a check.\r\n";
    const int fd = ::memfd_create("message", MFD_CLOEXEC);
    if (fd < 0 || ::write(fd, text, sizeof text - 1) != static_cast<ssize_t>(sizeof text - 1)) return false;
    int started = 0;
    const auto rounds = go_round(*made, kRounds, 5, [&](int round) {
      wire::Lease lease;
      lease.lease = static_cast<std::uint64_t>(++started);
      lease.id = MessageId{lease.lease};
      lease.sender = "check@mansio.invalid";
      lease.recipients = {{0, "check@mansio.invalid", "", "", 0}};
      lease.deadline = clock_.mono() + kLimit;
      (*made)->start(lease, {{{sizeof(mansio_slice), fd, 0, sizeof text - 1}}, nullptr});
      if (round % 4 == 3) (*made)->cancel(lease.lease);
      return until([&] { return completed == started; }) && in_time();
    });
    const bool all = completed == started;
    made->reset();
    ::close(fd);
    if (use_quietly_) return true;
    result("as transport: completes every delivery", all ? timed_out() : "one was never completed");
    tell("transport", rounds, kRounds, "messages");
    return true;
  }

  // Asks for leases and places as the queue process does, and gives each back.
  bool use_rate(const mansio_plugin &plugin) {
    auto made = host::RateInstance::create(around(), plugin, options());
    if (!starts("rate", made)) return false;
    const std::string odd{"\0\xff\r\n%s'\"\\;--", 12};
    std::string unanswered;
    std::uint64_t number = 0;
    const auto rounds = go_round(*made, kRounds, 5, [&](int) {
      for (const auto &key : {std::string{"check.mansio.invalid"}, std::string{}, std::string(1000, 'k'), odd}) {
        const wire::RateAsk ask{++number, "tenant_rate_limit", key, 10, 100, 10, kLimit};
        const auto units = std::make_shared<std::optional<std::uint32_t>>();  // perhaps too late for us
        (*made)->lease(ask, [units](wire::RateLease &&lease) { *units = lease.units; });
        if (!until([&] { return units->has_value(); })) unanswered = fmt::format("a key of {} bytes", key.size());
        if (!unanswered.empty() || !in_time()) break;
        const auto told = std::make_shared<bool>(false);
        (*made)->give_back({ask.limit, key, units->value()}, [told] { *told = true; });
        if (!until([&] { return *told; })) unanswered = "what was given back";
        for (const std::uint32_t want : {3u, 0u}) {
          const wire::RateHold hold{++number, "process_limit", key, "check.mansio.invalid", 0, want, 10, 0, kLimit};
          const auto said = std::make_shared<bool>(false);
          (*made)->hold(hold, [said](wire::RateLease &&) { *said = true; });
          if (!until([&] { return *said; })) unanswered = "what is said of places";
        }
      }
      return unanswered.empty() && in_time();
    });
    if (use_quietly_) return true;
    result("as rate: answers every question", unanswered.empty() ? timed_out() : unanswered + " was never answered");
    tell("rate", rounds, 4 * kRounds, "questions");
    return true;
  }

  // Whole sessions, each with a message, and what the queue asks of it; every fourth is broken off after MAIL.
  bool use_filter(const mansio_plugin &plugin, const std::string &name, const char *kind) {
    auto made = host::FilterInstance::create(around(), plugin, options(), kind);
    if (!starts(name, made)) return false;
    auto &instance = **made;
    if (!use_quietly_)
      result(fmt::format("as {}: wants to see stages that there are", name),
             (instance.stages() & ~kAllStages) != 0 || instance.stages() == 0
                 ? fmt::format("it asks for {:#x}", instance.stages())
                 : "");
    std::string unanswered;
    const auto rounds = go_round(*made, kRounds, 5, [&](int round) {
      unanswered = session(instance, round);
      return unanswered.empty() && in_time();
    });
    if (use_quietly_) return true;
    result(fmt::format("as {}: answers every stage", name), unanswered.empty() ? timed_out() : unanswered);
    tell(name, rounds, kRounds, "sessions");
    return true;
  }

  // What was not answered; "": all was.
  std::string session(host::FilterInstance &filter, int round) {
    static constexpr std::string_view kText =
        "From: <check@mansio.invalid>\r\nSubject: check\r\n\r\nThis message was made by a check.\r\n";
    const std::pair<std::uint32_t, std::vector<std::string>> stages[] = {
        {MANSIO_STAGE_CONNECT, {"192.0.2.1", "unknown", "25"}},
        {MANSIO_STAGE_HELO, {"check.mansio.invalid"}},
        {MANSIO_STAGE_MAIL, {"check@mansio.invalid", "SIZE=100"}},
        {MANSIO_STAGE_RCPT, {"check@mansio.invalid"}},
        {MANSIO_STAGE_RCPT, {std::string(1000, 'r')}},
        {MANSIO_STAGE_DATA, {}},
        {MANSIO_STAGE_HEADER, {"Subject", " check"}},
        {MANSIO_STAGE_END_OF_HEADERS, {}},
        {MANSIO_STAGE_BODY, {"This message was made by a check.\r\n"}},
        {MANSIO_STAGE_END_OF_MESSAGE, {}},
        {MANSIO_STAGE_DISCONNECT, {}},
        {MANSIO_STAGE_ROUTE, {"check@mansio.invalid"}},
        {MANSIO_STAGE_PRE_DELIVERY, {"check@mansio.invalid", std::string(1000, 'r')}},
        {MANSIO_STAGE_RETRY, {"check@mansio.invalid", "451", "4.2.0", "try again later"}},
        {MANSIO_STAGE_BOUNCE, {"check@mansio.invalid", "", "5.1.1", "no such user"}},
    };
    const MessageId id{static_cast<std::uint64_t>(round + 1)};
    const auto name = fmt::format("check.{}", round);
    for (const auto &[stage, arguments] : stages) {
      std::shared_ptr<host::FilterContent> content;
      if (stage == MANSIO_STAGE_END_OF_MESSAGE) {
        content = std::make_shared<host::FilterContent>();
        auto file = io::Memfd::create("message");
        if (!file || !file->write(kText)) return "no memory for the message";
        content->file = std::move(*file);
      }
      wire::StageCall call;
      call.stage = stage;
      if (stage <= MANSIO_STAGE_DISCONNECT) call.session = name;
      if (stage >= MANSIO_STAGE_HEADER && stage != MANSIO_STAGE_DISCONNECT) call.id = id;
      call.arguments = arguments;
      call.macros = {{"client_address", "192.0.2.1"}, {"helo_name", "check.mansio.invalid"}};
      if (stage > MANSIO_STAGE_DISCONNECT)
        call.macros = {
            {"sender", "check@mansio.invalid"}, {"attempts", "1"}, {"transport", "smtp"}, {"retry_after", "300"}};
      call.length = content ? content->file.size() : 0;
      call.time_limit = call.total_limit = kLimit;
      const auto answered = std::make_shared<bool>(false);  // perhaps too late for us
      const auto number =
          filter.start(std::move(call), std::move(content), [answered](wire::StageResult &&) { *answered = true; });
      if (round % 4 == 3 && stage == MANSIO_STAGE_MAIL) {
        filter.cancel(number);
        filter.abort(name, {});
      }
      if (!until([&] { return *answered; })) return fmt::format("stage {} was never answered", stage);
      if (!in_time()) break;
      if (round % 4 == 3 && stage == MANSIO_STAGE_MAIL) break;
    }
    return {};
  }

  // Every event of some messages, with the fields that the queue gives them, with others and with none.
  bool use_event(const mansio_plugin &plugin) {
    auto made = host::EventInstance::create(around(), plugin, options());
    if (!starts("event", made)) return false;
    Nanos longest = 0;
    const auto rounds = go_round(*made, kRounds, 5, [&](int round) {
      for (std::uint8_t kind = 0; kind < wire::kEventKinds; ++kind) {
        wire::Event event;
        event.kind = static_cast<wire::EventKind>(kind);
        event.time = clock_.wall();
        event.id = MessageId{static_cast<std::uint64_t>(round + 1)};
        if (round % 2 == 0) event.recipient = "check@mansio.invalid";
        if (round % 3 != 2)
          event.details = {{"from", "check@mansio.invalid"}, {"status", "sent"}, {"text", "250 \"ok\"\n\xff\\"}};
        if (event.kind == wire::EventKind::Log) {
          event.id = {};
          event.recipient.clear();
          if (round % 3 != 2) event.details = {{"line", R"({"event":"check"})"}};
        }
        if (round % 3 == 1) event.details.emplace_back("unheard_of", std::string(4000, 'u'));
        const auto begun = clock_.mono();
        (*made)->notify(event);
        longest = std::max(longest, clock_.mono() - begun);
      }
      loop_.restart();
      loop_.poll();
      return true;
    });
    if (use_quietly_) return true;
    result("as event: does not block when it is told",
           longest > kSecond ? fmt::format("it took {:.1f} s over one event", static_cast<double>(longest) / kSecond)
                             : "");
    tell("event", rounds, kRounds * wire::kEventKinds, "events");
    return true;
  }

  // Strangers with odd credentials; every fourth gives up between two steps. Nobody may be let in: whoever is known by
  // such a name and password is known to everyone.
  bool use_auth(const mansio_plugin &plugin) {
    auto made = host::AuthInstance::create(around(), plugin, options());
    if (!starts("auth", made)) return false;
    auto &instance = **made;
    const std::string plain{"\0check@mansio.invalid\0no such password", 38};
    const std::string odd{"\0\xff\r\n\t\0'\"\\;--", 12};
    const auto names = instance.mechanisms(false).empty() ? instance.mechanisms(true) : instance.mechanisms(false);
    std::string unanswered, let_in;
    const auto rounds = go_round(*made, kRounds, 5, [&](int round) {
      std::string_view rest{names};
      while (!rest.empty() && unanswered.empty() && in_time()) {
        const auto name = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(name.size() + 1, rest.size()));
        wire::AuthCall call;
        call.mechanism = name;
        call.exchange = instance.exchange();
        call.client_address = "192.0.2.1";
        call.client_helo = "check.mansio.invalid";
        call.tls = instance.mechanisms(false).empty() ? "" : "TLSv1.3";
        call.time_limit = kLimit;
        call.has_response = round % 2 == 0;
        if (call.has_response) call.response = round % 4 == 0 ? plain : odd;
        for (; call.step < 10; ++call.step) {
          const auto answer = std::make_shared<std::optional<wire::AuthResult>>();  // perhaps too late for us
          instance.start(call, [answer](wire::AuthResult &&r) { *answer = std::move(r); });
          if (!until([&] { return answer->has_value(); })) {
            unanswered = fmt::format("a step of {} was never answered", name);
            break;
          }
          if ((*answer)->outcome == wire::AuthOutcome::Ok) let_in = (*answer)->user;
          if ((*answer)->outcome != wire::AuthOutcome::Continue) break;
          if (round % 4 == 3) {
            instance.forget(call.exchange);
            break;
          }
          call.has_response = true;
          call.response = call.step == 0 && round % 4 == 1 ? std::string{"check"} : odd;
        }
      }
      return unanswered.empty() && in_time();
    });
    if (use_quietly_) return true;
    result("as auth: answers every step", unanswered.empty() ? timed_out() : unanswered);
    result("as auth: lets no stranger in", let_in.empty() ? "" : fmt::format("it takes a stranger for {}", let_in));
    tell("auth", rounds, kRounds, "rounds");
    return true;
  }

  // Keeps messages of a spool that nobody has, as ingress and queue do, and looks for them before and after their end.
  bool use_store(const mansio_plugin &plugin) {
    auto made = host::StoreInstance::create(around(), plugin, options());
    if (!starts("store", made)) return false;
    std::random_device random;
    const auto spool = static_cast<std::uint64_t>(random()) << 32 | random() | 1u;
    std::string wrong;
    std::uint64_t number = 0;
    const auto rounds = go_round(*made, kRounds / 4, 2, [&](int) {
      for (const std::size_t size : {0, 1, 5000, 600 * 1024}) {
        if (!wrong.empty()) break;
        wrong = keep_and_forget(**made, {spool, MessageId{++number}}, size);
        if (!wrong.empty()) wrong = fmt::format("a message of {} bytes: {}", size, wrong);
      }
      return wrong.empty();
    });
    if (use_quietly_) return true;
    result("as store: keeps, gives back and forgets messages", wrong.empty() ? timed_out() : wrong);
    tell("store", rounds, kRounds, "messages");
    return true;
  }

  // What was wrong; "": nothing.
  std::string keep_and_forget(host::StoreInstance &store, const StoreKey &key, std::size_t size) {
    using Done = host::StoreInstance::Done;
    std::string content(size, '\0');
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 131 + i / 256);
    auto fd = std::make_shared<io::UniqueFd>(::memfd_create("message", MFD_CLOEXEC));
    if (::write(fd->get(), content.data(), size) != static_cast<ssize_t>(size)) return "no memory for it";
    host::MessageSource source;
    if (size > 0) source.slices.push_back({sizeof(mansio_slice), fd->get(), 0, size});
    source.keep = fd;
    const auto tell = [&](std::uint64_t sequence, const std::string &record, bool last) {
      return answer_of([&](Done done) { store.outcome({0, key, last, sequence, record, kLimit}, std::move(done)); });
    };
    const auto odd = std::string{"\0\xff\r\n%s'\"\\;--", 12};
    auto said = answer_of([&](Done done) { store.commit(key, std::move(source), size, kLimit, std::move(done)); });
    if (said.status != MANSIO_OK) return "it is not kept: " + said.outcome.text;
    for (const auto &[sequence, record] : {std::pair{std::uint64_t{2}, odd}, {std::uint64_t{1}, std::string{"old"}}})
      if (said = tell(sequence, record, false); said.status != MANSIO_OK)
        return "an outcome is not kept: " + said.outcome.text;
    std::string all;
    do {
      said = answer_of([&](Done done) { store.read(key, all.size(), host::kStorePiece, kLimit, std::move(done)); });
      if (said.status != MANSIO_OK) return "it is not given back: " + said.outcome.text;
      all += said.values[0];
    } while (said.values[0].size() == host::kStorePiece && all.size() <= size);
    if (all != content) return "what is given back is something else";
    if (said.values[1] != odd) return "the newest outcome is not given back";
    if (auto trouble = named(store, key, true); !trouble.empty()) return trouble;
    for (int i = 0; i < 2; ++i)
      if (said = tell(UINT64_MAX, {}, true); said.status != MANSIO_OK)
        return "it is not forgotten: " + said.outcome.text;
    said = answer_of([&](Done done) { store.read(key, 0, host::kStorePiece, kLimit, std::move(done)); });
    if (said.status != MANSIO_NOT_FOUND) return "it is there after its end";
    if (tell(1, "late", false).status != MANSIO_OK) return "an outcome after its end is not OK";
    return named(store, key, false);
  }

  // Goes through all that the store has, two ids at a time at first.
  std::string named(host::StoreInstance &store, const StoreKey &key, bool expected) {
    std::string cursor;
    bool found = false;
    std::uint32_t most = 2;
    do {
      auto said = answer_of([&](host::StoreInstance::Done done) { store.scan(cursor, most, kLimit, std::move(done)); });
      if (said.status != MANSIO_OK) return "what there is is not named: " + said.outcome.text;
      for (std::size_t i = 1; i < said.values.size(); ++i) found = found || said.values[i] == to_string(key);
      cursor = said.values[0];
      most = host::kStoreMostKeys;
    } while (!cursor.empty());
    return found == expected ? "" : expected ? "it is not named" : "it is named after its end";
  }

  // Begins an operation of a store and waits for its answer.
  template <class F>
  host::Answer answer_of(F begin) {
    const auto answer = std::make_shared<std::optional<host::Answer>>();  // perhaps too late for us
    begin([answer](host::Answer &&a) { *answer = std::move(a); });
    if (!until([&] { return answer->has_value(); })) return host::plugin_failure("there was never an answer");
    return std::move(**answer);
  }

  // What any instance may have left behind, after so many of what it was given.
  void tell(const std::string &kind, const Rounds &rounds, int given, const char *what) {
    const auto &[course, before, after] = rounds;
    result(fmt::format("as {}: leaks no descriptor", kind),
           before > 0 && after > before + 8 ? fmt::format("{} more after {} {}", after - before, given, what) : "");
    if (kind != "event") result(fmt::format("as {}: gives no answer late", kind), course.late());
    result(fmt::format("as {}: does not flood the log", kind), course.floods());
    result(fmt::format("as {}: leaves no memory behind", kind), course.memory());
  }

  // False: an operation was ended by its deadline, and so may each be that follows.
  bool in_time() const { return timed_out().empty(); }

  // An operation of this instance that only its deadline ended.
  std::string timed_out() const {
    for (auto i = of_this_; i < findings_.lines.size(); ++i)
      if (findings_.lines[i].find("exceeded its time limit") != std::string::npos)
        return "one was ended by its deadline alone";
    return {};
  }

  template <class P>
  bool until(P done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds{2 * kLimit};
    while (!done() && std::chrono::steady_clock::now() < end) {
      loop_.restart();
      loop_.run_one_for(100ms);
    }
    return done();
  }
  void settle() {
    loop_.restart();
    loop_.run_for(kSettle);
  }

  const PluginCheck &order_;
  const std::string state_;
  host::OptionTexts facts_{{"instance", "check"}, {"myhostname", "check.invalid"}, {"self_addresses", "192.0.2.25"}};
  asio::io_context loop_{1};
  SystemClock clock_;
  Findings findings_;
  Logger log_{findings_, clock_, "check"};
  std::unique_ptr<io::Dns> dns_;
  host::OptionTexts values_;
  std::size_t of_this_ = 0;  // where the findings of the instance in use begin
  bool failed_ = false, use_quietly_ = false, started_ = false;
};

}  // namespace

int plugin_check_main(const PluginCheck &order) {
  const auto file = std::filesystem::absolute(order.file).string();
  std::error_code ignored;
  auto state = (std::filesystem::temp_directory_path(ignored) / "mansio-check.XXXXXX").string();
  if (!::mkdtemp(state.data())) {
    fmt::print("FAIL the check itself: {}: {}\n", state, std::strerror(errno));
    return 1;
  }
  std::fflush(stdout);
  const auto pid = ::fork();
  if (pid == 0) {
    ::alarm(kWhole);  // a plugin that hangs ends the child
    auto absolute = order;
    absolute.file = file;
    int status = 1;
    try {
      status = Check{absolute, state}.run();
    } catch (const std::exception &e) {
      fmt::print("FAIL the check itself: {}\n", e.what());
    }
    std::fflush(stdout);
    ::_exit(status == 0 ? 42 : 1);  // a plugin that calls exit(0) must not look like success
  }
  int status = 0;
  const bool waited = pid > 0 && ::waitpid(pid, &status, 0) == pid;
  std::filesystem::remove_all(state, ignored);
  if (!waited) return 1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 42) {
    fmt::print("{} keeps the rules\n", order.file);
    return 0;
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    fmt::print("FAIL it hangs: not through after {} seconds\n", kWhole);
  else if (WIFSIGNALED(status))
    fmt::print("FAIL it ends its process: {}\n", ::strsignal(WTERMSIG(status)));
  else if (WEXITSTATUS(status) != 1)
    fmt::print("FAIL it ends its process: exit status {}\n", WEXITSTATUS(status));
  return 1;
}

}  // namespace mansio::cli
