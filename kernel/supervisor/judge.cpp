#include "kernel/supervisor/judge.hpp"

#include <pwd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "kernel/host/option_check.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/io/certificate.hpp"
#include "kernel/mail/dsn_template.hpp"
#include "kernel/process/privilege.hpp"
#include "kernel/route/check.hpp"
#include "kernel/supervisor/checked.hpp"

namespace mansio::supervisor {
namespace {

class Judge {
 public:
  Judge(const std::string &path, config::Files &files) : path_(path), files_(files) {
    out_.parsed = config::parse_settings(path, files);
    out_.problems = out_.parsed.problems;
    const auto &settings = out_.parsed.settings;
    out_.plugin_dir = settings.plugin_dir.empty() ? default_plugin_dir() : settings.plugin_dir;
  }

  Judgement run(bool as_root) {
    const auto &settings = out_.parsed.settings;
    if (as_root) user(settings.user);
    certificate("smtpd", settings.smtpd);
    for (const auto &listener : settings.listeners) {
      const auto of = "listener." + listener.name;
      if (given(of + ".tls_cert_file") || given(of + ".tls_key_file")) certificate(of, listener.smtpd);
    }
    bounce_template(settings.queue.bounce_template_file);
    // A route table made of what is left after a mistake would tell of ways that nobody meant.
    if (std::none_of(out_.problems.begin(), out_.problems.end(), concerns_routes)) {
      for (auto &problem : route::check_routes(out_.parsed, path_)) out_.problems.push_back(std::move(problem));
    }
    for (const auto &transport : settings.transports) judge_transport(transport);
    for (const auto &lookup : settings.lookups) judge_lookup(lookup);
    for (const auto &filter : settings.filters)
      out_.filter_needs.push_back(judge_filter("filter.", filter, host::kFilterKind));
    for (const auto &policy : settings.policies)
      out_.policy_needs.push_back(judge_filter("policy.", policy, host::kPolicyKind));
    for (const auto &event : settings.events)
      out_.event_needs.push_back(
          judge_plugin("event." + event.name, event.name, event.plugin, event.options, host::kEventKind, true));
    for (const auto &rate : settings.rates)
      out_.rate_needs.push_back(
          judge_plugin("rate." + rate.name, rate.name, rate.plugin, rate.options, host::kRateKind, true));
    for (const auto &auth : settings.auths) out_.auth_needs.push_back(judge_auth(auth));
    for (const auto &store : settings.stores)
      out_.store_needs.push_back(
          judge_plugin("store." + store.name, store.name, store.plugin, store.options, host::kStoreKind, true));
    return std::move(out_);
  }

 private:
  bool given(const std::string &key) const { return out_.parsed.places.contains(key); }

  static bool concerns_routes(const config::Problem &problem) {
    static constexpr std::string_view others[] = {"log.",   "smtpd.", "listener.", "queue.", "segments.", "dns.",
                                                  "event.", "rate.",  "auth.",     "store.", "user"};
    return std::none_of(std::begin(others), std::end(others),
                        [&](std::string_view other) { return problem.key.starts_with(other); });
  }

  // Reported at `key` or, when that is not in the files, at its table.
  void add(const std::string &key, std::string text) {
    const auto &places = out_.parsed.places;
    auto place = places.find(key);
    if (place == places.end()) place = places.find(key.substr(0, key.rfind('.')));
    if (place == places.end()) {
      out_.problems.push_back({path_, 0, key, std::move(text)});
    } else {
      out_.problems.push_back({place->second.file, place->second.line, key, std::move(text)});
    }
  }

  void user(const std::string &name) {
    User found;
    if (name.empty()) return;  // the files could not be read
    if (find_user(name, found)) {
      out_.uid = found.uid;
      out_.gid = found.gid;
    } else {
      add("user", "is \"" + name +
                      "\", but there is no such system user; create it (useradd --system), or name another one that "
                      "owns nothing else");
    }
  }

  std::optional<std::string> read(const std::string &key, const std::string &path, const char *expected) {
    if (path.empty()) return std::nullopt;
    auto text = files_.read(path);
    if (text) return *std::move(text);
    add(key, "names " + path + ", which " + text.error().text + "; expected " + expected);
    return std::nullopt;
  }

  // `of`: the table; the file of a pair that is not named there is inherited from [smtpd].
  void certificate(const std::string &of, const config::Smtpd &smtpd) {
    const auto key_of = [&](const char *name) {
      return given(of + '.' + name) ? of + '.' + name : std::string{"smtpd."} + name;
    };
    const auto cert_key = key_of("tls_cert_file"), key_key = key_of("tls_key_file");
    if (!read_pairs_.emplace(smtpd.tls_cert_file, smtpd.tls_key_file).second) return;
    const auto chain = read(cert_key, smtpd.tls_cert_file, "a certificate and its chain in PEM");
    const auto key = read(key_key, smtpd.tls_key_file, "a private key in PEM");
    if (!chain || !key) return;
    asio::ssl::context context{asio::ssl::context::tls_server};
    const auto fault = io::use_pair(context, *chain, *key);
    if (!fault) return;
    switch (fault->part) {
      case io::PairFault::Part::Certificate:
        return add(cert_key, "names " + smtpd.tls_cert_file + ", which cannot be used (" + fault->reason +
                                 "); expected a certificate and its chain in PEM, the server's own first");
      case io::PairFault::Part::Key:
        return add(key_key, "names " + smtpd.tls_key_file + ", which cannot be used (" + fault->reason +
                                "); expected a private key in PEM, without a password");
      case io::PairFault::Part::Pair:
        return add(key_key, "names " + smtpd.tls_key_file + ", which is not the key of the first certificate in " +
                                smtpd.tls_cert_file + "; expected a pair that belongs together");
    }
  }

  void bounce_template(const std::string &path) {
    const auto *const key = "queue.bounce_template_file";
    const auto text = read(key, path, "a file with templates as bounce(5) describes them");
    if (!text) return;
    if (const auto parsed = dsn::parse_templates(*text, path); !parsed)
      add(key, "names a file that cannot be used: " + parsed.error().text);
  }

  void judge_transport(const config::Transport &transport) {
    out_.needs.push_back(judge_plugin("transport." + transport.name, transport.name, transport.plugin,
                                      transport.options, host::kTransportKind, true));
  }

  void judge_lookup(const config::Lookup &lookup) {
    const auto of = "lookup." + lookup.name;
    const auto needs =
        judge_plugin(of, lookup.name, lookup.plugin, lookup.options, host::kLookupKind, is_alone(lookup.budget));
    out_.lookup_needs.push_back(needs);
    with_others(of, lookup.plugin, lookup.budget, needs);
  }

  std::uint32_t judge_filter(const std::string &kind, const config::Filter &filter, const char *id) {
    const auto of = kind + filter.name;
    const auto &of_queue = out_.parsed.settings.queue.policies;
    const bool asked_by_queue =
        std::string_view{id} == host::kPolicyKind && std::ranges::find(of_queue, filter.name) != of_queue.end();
    const auto needs =
        judge_plugin(of, filter.name, filter.plugin, filter.options, id, asked_by_queue || is_alone(filter.budget));
    with_others(of, filter.plugin, filter.budget, needs);
    return needs;
  }

  std::uint32_t judge_auth(const config::Auth &auth) {
    const auto of = "auth." + auth.name;
    const auto needs = judge_plugin(of, auth.name, auth.plugin, auth.options, host::kAuthKind, is_alone(auth.budget));
    with_others(of, auth.plugin, auth.budget, needs);
    return needs;
  }

  // One in process runs in the processes that ask it: several of them, with no more rights than they need.
  void with_others(const std::string &of, const std::string &plugin, const config::Budget &budget,
                   std::uint32_t needs) {
    constexpr auto kOfItsOwn = MANSIO_NEEDS_WRITE | MANSIO_NEEDS_EXEC | MANSIO_NEEDS_STATE;
    if (budget.isolation == config::Isolation::InProcess && (needs & kOfItsOwn))
      add(of + ".isolation", "is \"inproc\", but " + plugin +
                                 " writes files, starts programs or keeps state, which the processes that would run "
                                 "it may not; expected \"process\"");
  }

  static bool is_alone(const config::Budget &budget) { return budget.isolation == config::Isolation::Process; }

  // `alone`: in a process of its own. Returns what the plugin needs.
  std::uint32_t judge_plugin(const std::string &prefix, const std::string &name, const std::string &file,
                             const std::map<std::string, std::string> &given_options, const char *kind, bool alone) {
    if (file.empty()) return 0;  // reported before, or none
    const auto plugin = host::load_plugin(out_.plugin_dir + '/' + file + ".so");
    if (!plugin) {
      add(prefix + ".plugin", "is \"" + file + "\": " + plugin.error().text + available());
      return 0;
    }
    if (!host::offers(**plugin, kind)) {
      add(prefix + ".plugin", "is \"" + file + "\", which does not offer " + kind);
      return 0;
    }
    if (std::string_view{kind} == host::kEventKind && (*plugin)->threading == MANSIO_BLOCKING)
      add(prefix + ".plugin", "is \"" + file +
                                  "\", which asks for threads that may block; an event plugin is told on "
                                  "the loop");
    auto facts = host::OptionTexts{{"instance", name},
                                   {"kind", prefix.substr(0, prefix.find('.'))},
                                   {"myhostname", out_.parsed.settings.myhostname},
                                   {"self_addresses", ""}};
    if (alone && ((*plugin)->needs & MANSIO_TAKES_STATE))  // what does without it is told so before it starts
      facts.emplace("state_directory", process::state_directory(out_.parsed.settings.spool, prefix));
    for (auto &problem : host::judge_options(**plugin, given_options, facts)) {
      const auto key = problem.option.empty() ? prefix : prefix + '.' + problem.option;
      // What could not be read at all stands in the files, too, and has been reported.
      if (!problem.option.empty() && !given_options.contains(problem.option) && given(key)) continue;
      add(key, std::move(problem.text));
    }
    for (const auto &option : host::options_of(**plugin)) {
      // What is named as one of Mansio's options would never reach the plugin.
      if (const auto key = prefix + '.' + option.name; host::is_of_budgets(option.name) && given(key))
        add(key, "is an option of Mansio's wherever a plugin is named, so that " + file +
                     " does not get its own of that name; it has to call that otherwise");
      // Roles ask for files that plugins name, too; which options are paths is the plugin's to say.
      if (const auto value = given_options.find(option.name);
          option.type == config::PluginOption::Type::Path && value != given_options.end())
        out_.files.push_back(value->second);
    }
    return (*plugin)->needs;
  }

  std::string available() const {
    std::set<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator file{out_.plugin_dir, error}, end; !error && file != end;
         file.increment(error))
      if (file->path().extension() == ".so") names.insert(file->path().stem().string());
    std::string out;
    for (const auto &name : names) out += (out.empty() ? "; expected " : ", ") + name;
    return out;
  }

  const std::string &path_;
  config::Files &files_;
  Judgement out_;
  std::set<std::pair<std::string, std::string>> read_pairs_;
};

}  // namespace

bool find_user(const std::string &name, User &user) {
  passwd entry{}, *found = nullptr;
  std::string buffer(16384, '\0');
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return false;
  user = {found->pw_uid, found->pw_gid};
  return true;
}

Judgement judge(const std::string &path, config::Files &files, bool as_root) { return Judge{path, files}.run(as_root); }

}  // namespace mansio::supervisor
