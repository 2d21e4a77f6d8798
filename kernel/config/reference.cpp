#include "kernel/config/reference.hpp"

#include <fmt/format.h>

#include <initializer_list>
#include <utility>

#include "kernel/config/options.hpp"

namespace mansio::config {
namespace {

constexpr std::string_view kIntroduction = R"(# Configuration

This page is generated from the option tables in `kernel/config/options.cpp`: `MANSIO_WRITE_REFERENCE=1 unit-config`
writes it anew, and the tests fail when it is stale.

One TOML file holds everything, by default `/etc/mansio/mansio.toml`. `mansio check --config FILE` judges it as
`mansio run` and a reload do and reports every problem as `FILE:LINE: KEY what is wrong, what was expected`: unknown
names, impossible values, also those that only a plugin can judge, certificates and keys that do not go together, a
template that cannot be read, a `user` that does not exist (when root asks). What depends on the moment, such as ports in
use and limits on open files, only a start can tell. `examples/` has complete files to start from.

## Values

| type | written as |
|---|---|
| boolean | `true` or `false` |
| integer, number | `20`, `0.1` |
| duration | seconds (`300`), or a text with a unit: `"50ms"`, `"90s"`, `"5m"`, `"1h"`, `"2d"`, `"1w"` |
| size | bytes (`10240000`), or a text with a unit: `"64K"`, `"10M"`, `"1G"`, `"64MiB"`; units are powers of 1024 |
| path | `"/var/spool/mansio"`; a relative path is relative to the file that names it |
| domain | `"example.com"`, also in UTF-8; compared as A-labels without regard to case |
| network | `"192.0.2.0/24"`, `"[2001:db8::]/32"`, `"192.0.2.1"`; no bits may be set behind the prefix |
| listen address | `"127.0.0.1:25"`, `"[::1]:25"`, `"*:25"` |
| next hop | `"example.com"` (by its MX records), `"[host]"` or `"[host]:port"` (that host), `"unix:/path"`, `"5.1.1 reason"` (transport-error) |
| list | `["one", "two"]` |

**Secrets.** Any option that is a text (not a path, choice or list) may stand in a file of its own: `NAME_file = "PATH"`,
or `NAME = { file = "PATH" }`, which works for the options of plugins too. One line end at the end of the file is dropped.

**Several files.** `include = ["conf.d/*.toml"]` at the top of a file reads others, patterns relative to that file, in the
order of their names. Their text counts as if it stood there: tables of the same name are merged, and routes of included
files come before those of the including one. The same option in two files is refused.
)";

template <class T>
void table(std::string &out, std::span<const Option<T>> options, const T &fresh) {
  out += "| option | type | default | meaning |\n|---|---|---|---|\n";
  for (const auto &option : options) {
    auto fallback = std::string{option.fallback};
    if (fallback.empty()) fallback = '`' + print_datum(option.form, option.get(fresh)) + '`';
    out += fmt::format("| `{}` | {} | {} | {} |\n", option.name, describe(option.form), fallback, option.help);
  }
}

// Where an option is that no table here has; "#" and what follows is the place in the README. `plugins`: all of their
// kind that are in plugins/, which a test looks at.
std::string own_options(std::initializer_list<std::string_view> plugins) {
  std::string out =
      "Options that are not listed here are the plugin's own. `mansio check` knows them, and the plugin's README has "
      "them: ";
  std::string_view before = "";
  for (const auto plugin : plugins) {
    const auto name = plugin.substr(0, plugin.find('#'));
    out += fmt::format("{}[{}](../plugins/{}/README.md{})", std::exchange(before, ", "), name, name,
                       plugin.substr(name.size()));
  }
  return out + ".\n\n";
}

}  // namespace

std::string configuration_reference() {
  std::string out{kIntroduction};
  out += "\n## Top level\n\n";
  table(out, top_level_options(), Settings{});
  out += "\n## [log]\n\n";
  table(out, log_options(), Log{});
  out +=
      "\n## [smtpd]\n\nThe SMTP server. Each of these options may also be given in a `[listener.NAME]` and holds "
      "there.\n\n";
  table(out, smtpd_options(), Smtpd{});
  out +=
      "\n## [listener.NAME]\n\nWhere mail comes in; at least one. NAME is free. Every option of the SMTP server, that "
      "is of `[smtpd]`, may be given here and then holds for this listener. What stands at top level or in another "
      "table "
      "holds for all of Mansio: which domains are its own, where mail for them goes and which recipients exist "
      "(`mydestination`, `relay_domains`, `local_recipients`, `[[route]]`) is routing, which may be decided again "
      "for mail in the queue, when no listener is near, and `myhostname` is the name under which other hosts know "
      "this one, in traces and loop detection as well.\n\nBesides:\n\n";
  table(out, listener_options(), Listener{});
  out +=
      "\n## [transport.NAME]\n\nOne way to deliver mail: an instance of a plugin. Several may use the same plugin with "
      "other options. ";
  out += own_options({"transport-smtp#options", "transport-lmtp#options", "transport-maildir", "transport-pipe",
                      "transport-http", "transport-error", "transport-discard", "lua"});
  table(out, transport_options(), Transport{});
  out += "\nOf each destination, which is a next hop or, where a route names none, the recipient's domain:\n\n";
  table(out, destination_options(), DestinationLimits{});
  out +=
      "\n## [[transport.NAME.destination]]\n\nOther values of the options of a destination, for those that match; what "
      "is not given here is as in `[transport.NAME]`. The first table that matches counts.\n\n";
  table(out, destination_rule_options(), DestinationRule{});
  out +=
      "\n## [lookup.NAME]\n\nA table, by name: an instance of a lookup plugin or a combination of other tables. "
      "A lookup has three outcomes: found, not found, and \"try later\", which defers mail and never bounces it. ";
  out += own_options({"lookup-file", "lookup-lmdb", "lookup-sqlite", "lookup-mysql", "lookup-pgsql", "lookup-redis",
                      "lookup-ldap", "lookup-socketmap", "lua"});
  table(out, lookup_options(), Lookup{});
  out +=
      "\n## [filter.NAME] and [policy.NAME]\n\nPlugins that watch SMTP sessions, in which `policies` and `filters` of "
      "`[smtpd]` name them: a policy judges, a filter may change messages too. Policies that `policies` of `[queue]` "
      "names have a say in what becomes of mail in the queue. docs/plugin-guide.md says what they see and when. ";
  out += own_options({"filter-pipe", "filter-dspam#options", "lua"});
  table(out, filter_options(), Filter{});
  out +=
      "\n## [event.NAME]\n\nPlugins that are told what became of messages, once it is on stable storage "
      "(docs/plugin-guide.md). Nothing waits for them: what one does not take in time is dropped. ";
  out += own_options({"event-file", "lua"});
  table(out, event_options(), Event{});
  out +=
      "\n## [rate.NAME]\n\nA plugin that owns limits: every `destination_rate_limit`, `transport_rate_limit` or "
      "`[[rate_limit]]` that names it, and deliveries at once and delays whose `_plugin` option does, so that several "
      "nodes can keep one limit together. It runs in a process of its own (`isolation` is \"process\") and gives "
      "permits in leases, so that a delivery waits for nobody. NAME is "
      "free, except `rate-local`, which stands for the limits that this instance keeps by itself. ";
  out += own_options({"rate-redis", "lua"});
  table(out, rate_options(), Rate{});
  out +=
      "\n## [auth.NAME]\n\nA plugin that says who a client is that uses AUTH; `auth` of `[smtpd]` or of a listener "
      "names it. ";
  out += own_options({"auth-table", "auth-dovecot", "lua"});
  table(out, auth_options(), Auth{});
  out +=
      "\n## [store.NAME]\n\nA plugin that keeps a second, complete copy of accepted mail, on another disk or machine; "
      "with several, each does. A message is accepted when the spool and every store have it on stable storage, and "
      "refused with 451 while one does not (docs/durability.md). It runs in a process of its own. ";
  out += own_options({"store-directory"});
  table(out, store_options(), Store{});
  out +=
      "\n## Budgets\n\nIn every `[transport.NAME]`, `[lookup.NAME]`, `[filter.NAME]`, `[policy.NAME]`, "
      "`[event.NAME]`, `[rate.NAME]`, `[auth.NAME]` and `[store.NAME]`: where the plugin's code runs, what it may use, "
      "and what happens when it fails.\n\n";
  table(out, budget_options(), Budget{});
  out +=
      "\n## [[route]]\n\nWhich transport delivers to a recipient: the first route that matches. All conditions of a "
      "route must hold; "
      "in the list of one condition any element is enough. The last route has no condition and takes what is left.\n\n";
  table(out, route_options(), RouteRule{});
  out += "\n## [[tenant]]\n\nWhose mail it is, a policy says. Tenants take turns wherever they compete.\n\n";
  table(out, tenant_options(), TenantRule{});
  out +=
      "\n## [[source_group]]\n\nA source pool that stands for others: which of them mail leaves from that names the "
      "group, whether a policy or filter, an operator or a `[[response]]` said so, is decided for each delivery when "
      "its turn comes, among those whose limits let it go, by weight. docs/scheduling.md says more.\n\n";
  table(out, source_group_options(), SourceGroup{});
  out +=
      "\n## [[rate_limit]]\n\nRates by whose mail it is; each tenant, campaign, sender or source pool is counted by "
      "itself, over all destinations. The first table with its key that matches counts. One that a reload "
      "brings counts for mail that waits already. A source pool's (`source_pool`) counts what leaves from it on all "
      "transports, whether a policy or filter, an operator or a `[[response]]` said so. With "
      "`source_pool_destination` each source pool is counted at each destination, or site, by itself.\n\n";
  table(out, rate_limit_options(), RateRule{});
  out +=
      "\n## [[response]]\n\nWhat next hops' replies make Mansio do. The first table that a reply matches counts; so "
      "one "
      "with a narrow `code` or `pattern` comes before a wide one.\n\n";
  table(out, response_options(), ResponseRule{});
  out += "\n## [queue]\n\n";
  table(out, queue_options(), Queue{});
  out += "\n## [segments]\n\nThe store in the spool directory (`spool` at top level is the directory itself).\n\n";
  table(out, segment_options(), SpoolSettings{});
  out += "\n## [dns]\n\n";
  table(out, dns_options(), Dns{});
  return out;
}

}  // namespace mansio::config
