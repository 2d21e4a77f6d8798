#include "plugins/lua/tool/replay.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "plugins/lua/tool/recording.hpp"
#include "plugins/lua/tool/replay_report.hpp"
#include "plugins/lua/tool/session_replay.hpp"

namespace mansio::lua::tool {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// All sessions in one time. What is to happen next happens: an event at its time, or a script that waits goes on; a
// session whose script takes longer than the one that was recorded is late, and the others are not.
class Timeline {
 public:
  Timeline(Candidates &candidates, std::int64_t begin) : candidates_(candidates), now_(begin) {}

  void add(SessionReplay &session) {
    if (!session.over()) due_.emplace(session.due(), &session);
  }
  void run() {
    while (!due_.empty() || !waiting_.empty()) {
      const auto event = due_.empty() ? kNever : due_.begin()->first;
      const auto wake = wakes_at();
      go_to(std::min(event, wake));
      if (wake <= event) continue;
      auto &session = *due_.extract(due_.begin()).mapped();
      session.begin(now_);
      go_on(session);
    }
  }

 private:
  struct Waiting {
    SessionReplay *session;
    Candidate *who;
    std::uint64_t op;
    std::int64_t until;  // the host waits no longer
  };

  std::int64_t wakes_at() {
    auto at = kNever;
    for (const auto &w : waiting_) {
      auto &host = w.who->host();
      if (host.completed(w.op)) return now_;
      at = std::min({at, w.until, host.next_timer().value_or(kNever)});
    }
    return at;
  }

  void go_to(std::int64_t at) {
    now_ = std::max(now_, at);
    candidates_.each([this](Candidate &candidate) { candidate.go_to(now_); });
    auto waiting = std::exchange(waiting_, {});
    for (auto &w : waiting) {
      w.who->settle(w.op);
      if (!w.who->host().completed(w.op) && now_ >= w.until) w.who->host().cancel(w.op);
      if (w.who->host().completed(w.op)) {
        w.session->answered(w.who->host().take(w.op));
      } else if (now_ >= w.until) {
        w.session->not_answered("no answer in time");
      } else {
        waiting_.push_back(w);
        continue;
      }
      go_on(*w.session);
    }
  }

  void go_on(SessionReplay &session) {
    while (const auto question = session.ask()) {
      auto &host = question->who->host();
      question->who->go_to(now_);
      const auto op = host.show(question->stage);
      question->who->settle(op);
      if (!host.completed(op)) {
        waiting_.push_back({&session, question->who, op, host.now() + question->stage.time_limit.count()});
        return;
      }
      session.answered(host.take(op));
    }
    if (!session.over()) due_.emplace(std::max(session.due(), now_), &session);
  }

  Candidates &candidates_;
  std::int64_t now_;
  std::multimap<std::int64_t, SessionReplay *> due_;  // by the time of their next event
  std::list<Waiting> waiting_;
};

std::vector<std::string> files_of(const std::vector<std::string> &paths) {
  std::vector<std::string> files;
  for (const auto &path : paths) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    std::filesystem::directory_iterator walk{path, error};
    for (; !error && walk != std::filesystem::directory_iterator{}; walk.increment(error))
      if (walk->path().extension() == ".jsonl") found.push_back(walk->path().string());
    if (error) throw std::runtime_error{path + ": " + error.message()};
    if (found.empty()) throw std::runtime_error{path + " has no file *.jsonl"};
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

std::vector<RecordedSession> read_all(const ReplayOrder &order) {
  std::vector<RecordedSession> all;
  for (const auto &path : files_of(order.recordings)) {
    std::ifstream in{path, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (!in.is_open() || in.bad()) throw std::runtime_error{path + " cannot be read"};
    try {
      for (auto &session : read_recording(text))
        if (order.sessions.empty() || order.sessions.contains(session.id)) all.push_back(std::move(session));
    } catch (const RecordingError &e) {
      throw std::runtime_error{path + ": " + e.what()};
    }
  }
  if (all.empty())
    throw std::runtime_error{order.sessions.empty() ? "no session was recorded" : "there is no such session"};
  std::stable_sort(all.begin(), all.end(), [](const auto &a, const auto &b) { return a.at < b.at; });
  return all;
}

// Whose place a script without a name takes.
std::string only_script(const std::vector<RecordedSession> &sessions) {
  std::set<std::string> names;
  for (const auto &session : sessions)
    for (const auto &watcher : session.watchers)
      if (watcher.plugin == "lua") names.insert(watcher.name);
  if (names.empty()) return "filter.replay";
  if (names.size() == 1) return *names.begin();
  std::string all;
  for (const auto &name : names) all += (all.empty() ? "" : ", ") + name;
  throw std::runtime_error{"several scripts were recorded: " + all + "; --as NAME says whose place this one takes"};
}

Answers answers_of(const std::vector<RecordedSession> &sessions) {
  Answers answers;
  for (const auto &session : sessions)
    for (const auto &event : session.events)
      for (const auto &said : event.said)
        for (const auto &told : said.told) answers.add(event.at, told);
  answers.sort();
  return answers;
}

}  // namespace

int replay(const ReplayOrder &order, std::FILE *out, std::FILE *trouble) {
  try {
    const auto sessions = read_all(order);
    auto orders = order.candidates;
    for (auto &candidate : orders)
      if (candidate.name.empty()) candidate.name = only_script(sessions);
    Candidates candidates{std::move(orders), answers_of(sessions), order.dns};
    ReplayReport report{out, order.json};
    const auto begin = std::max<std::int64_t>(sessions.front().at, 1);
    // What is wrong with a script is told before anything runs.
    for (const auto &candidate : candidates.orders()) Candidates{{candidate}, {}, false}.at(candidate, "", begin);
    std::vector<std::unique_ptr<SessionReplay>> replays;
    Timeline timeline{candidates, begin};
    for (const auto &session : sessions) {
      replays.push_back(std::make_unique<SessionReplay>(session, candidates, report));
      timeline.add(*replays.back());
    }
    timeline.run();
    report.sum_up(sessions.size(), candidates.missing());
    return report.differing() == 0 ? 0 : 1;
  } catch (const std::exception &e) {
    std::fprintf(trouble, "%s\n", e.what());
    return 2;
  }
}

}  // namespace mansio::lua::tool
