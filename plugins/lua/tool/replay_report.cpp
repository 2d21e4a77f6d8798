#include "plugins/lua/tool/replay_report.hpp"

#include <boost/json.hpp>
#include <ctime>
#include <string_view>

namespace mansio::lua::tool {
namespace {

constexpr std::size_t kMostMissing = 20;  // that are named

// 2026-11-22T04:33:00.123Z
std::string iso_time(std::int64_t ns) {
  const std::time_t seconds = ns / 1'000'000'000;
  std::tm t{};
  gmtime_r(&seconds, &t);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                t.tm_hour, t.tm_min, t.tm_sec, static_cast<int>(ns % 1'000'000'000 / 1'000'000));
  return text;
}

std::string fact(const Values &facts, std::string_view name) {
  const auto found = facts.find(name);
  return found == facts.end() ? std::string{} : found->second;
}

// Text for JSON, which is UTF-8. Octets that are none, as a recording may have, become '?'.
std::string for_json(std::string_view text) {
  std::string out{text};
  boost::json::error_code error;
  boost::json::parse(boost::json::serialize(boost::json::string{text}), error);  // it takes UTF-8 only
  if (error)
    for (auto &c : out)
      if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  return out;
}

// For a terminal.
std::string one_line_of(std::string_view text) {
  std::string out{text};
  for (auto &c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

const char *plural(std::size_t n) { return n == 1 ? "" : "s"; }

}  // namespace

void ReplayReport::decided(const Comparison &c) {
  ++decisions_;
  if (!c.differs) return;
  ++differing_;
  const auto client = fact(c.facts, "client_address");
  if (json_) {
    const boost::json::object line{{"session", for_json(c.session.id)},
                                   {"at", iso_time(c.at)},
                                   {"listener", for_json(c.session.listener)},
                                   {"client_address", for_json(client)},
                                   {"event", for_json(c.event)},
                                   {"watcher", for_json(c.watcher)},
                                   {"recorded", for_json(to_text(c.then))},
                                   {"now", for_json(to_text(c.now))}};
    std::fprintf(out_, "%s\n", boost::json::serialize(line).c_str());
    return;
  }
  std::fprintf(out_, "%s %s %s (%s)\n  %s\n    recorded  %s\n    now       %s\n", iso_time(c.at).c_str(),
               one_line_of(c.session.id).c_str(), one_line_of(client).c_str(), one_line_of(c.watcher).c_str(),
               one_line_of(c.event).c_str(), to_text(c.then).c_str(), to_text(c.now).c_str());
}

void ReplayReport::sum_up(std::size_t sessions, const std::set<std::string> &missing) {
  if (json_) {
    boost::json::array unanswered;
    for (const auto &question : missing) unanswered.emplace_back(for_json(question));
    const boost::json::object line{{"sessions", sessions},
                                   {"decisions", decisions_},
                                   {"differing", differing_},
                                   {"never_came", never_came_},
                                   {"without_content", without_content_},
                                   {"with_part_of_body", with_part_of_body_},
                                   {"unanswered", std::move(unanswered)}};
    std::fprintf(out_, "%s\n", boost::json::serialize(line).c_str());
    return;
  }
  if (differing_ != 0) std::fprintf(out_, "\n");
  std::fprintf(out_, "%zu session%s, %zu decision%s, %zu differ%s\n", sessions, plural(sessions), decisions_,
               plural(decisions_), differing_, differing_ == 1 ? "s" : "");
  if (never_came_ != 0)
    std::fprintf(out_, "%zu event%s left out: the client is refused before\n", never_came_, plural(never_came_));
  if (without_content_ != 0)
    std::fprintf(out_, "%zu message%s not judged: the content is not in the recording\n", without_content_,
                 plural(without_content_));
  if (with_part_of_body_ != 0)
    std::fprintf(out_, "%zu message%s judged by a part of the body: the rest is not in the recording\n",
                 with_part_of_body_, plural(with_part_of_body_));
  std::size_t named = 0;
  for (const auto &question : missing) {
    if (named == kMostMissing) break;
    std::fprintf(out_, "%s  %s\n", named++ == 0 ? "questions to which the recordings have no answer:\n" : "",
                 one_line_of(question).c_str());
  }
  if (missing.size() > kMostMissing) std::fprintf(out_, "  and %zu more\n", missing.size() - kMostMissing);
}

}  // namespace mansio::lua::tool
