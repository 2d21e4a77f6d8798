#include "kernel/process/privilege.hpp"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "kernel/process/sandbox.hpp"

namespace mansio::process {
namespace {

// MANSIO_NEEDS_* of sdk/include/mansio/abi.h, which this layer does not include: the supervisor passes them on.
enum : std::uint32_t { kNeedsNetwork = 1, kNeedsWrite = 2, kNeedsExec = 4, kNeedsState = 8, kTakesState = 16 };

Error system_error(const std::string &what) { return {Status::Internal, what + ": " + std::strerror(errno)}; }

// What a plugin needs besides its code: the files that its options name.
void read_options(Privileges &p, const std::map<std::string, std::string> &options) {
  for (const auto &[key, value] : options)
    if (value.starts_with('/')) p.readable.push_back(value);
}

// What the filters, policies and auth plugins need that run in an ingress process.
void read_filters(Privileges &p, const wire::Start &start, const config::Settings &settings) {
  for (const auto *filters : {&settings.filters, &settings.policies})
    for (const auto &filter : *filters) {
      if (filter.budget.isolation == config::Isolation::Process) continue;
      p.readable.push_back(start.plugin_dir);
      read_options(p, filter.options);
    }
  for (const auto &auth : settings.auths) {
    if (auth.budget.isolation == config::Isolation::Process) continue;
    p.readable.push_back(start.plugin_dir);
    read_options(p, auth.options);
  }
}

// What lookup plugins in this process need: their code, and the files that their options name. The directory of each as
// well, for a file that is replaced by rename is another one.
void read_tables(Privileges &p, const wire::Start &start, const config::Settings &settings) {
  if (settings.lookups.empty()) return;
  p.readable.push_back(start.plugin_dir);
  for (const auto &lookup : settings.lookups)
    for (const auto &[key, value] : lookup.options)
      if (value.starts_with('/')) {
        p.readable.push_back(value);
        if (const auto slash = value.rfind('/'); slash > 0) p.readable.push_back(value.substr(0, slash));
      }
}

}  // namespace

Privileges privileges_for(const wire::Start &start, const config::Settings &settings) {
  Privileges p;
  p.uid = start.uid;
  p.gid = start.gid;
  p.sandbox = settings.sandbox;
  const bool tables = !settings.lookups.empty();  // any of them may ask a server
  switch (start.self.kind) {
    case wire::RoleKind::Queue:
    case wire::RoleKind::Control:
      p.network = false;
      p.writable.push_back(start.spool);
      break;
    case wire::RoleKind::Ingress:  // its own files come through open_file; DNS needs the network
      read_tables(p, start, settings);
      read_filters(p, start, settings);
      if (auto directory = recordings_directory(start, settings); !directory.empty())
        p.optional.push_back(std::move(directory));
      break;
    case wire::RoleKind::Router:
      read_tables(p, start, settings);
      p.network = tables || settings.asks_exchangers();
      break;
    case wire::RoleKind::Egress:
      p.readable.push_back(start.plugin_dir);
      read_tables(p, start, settings);
      p.network = tables || (start.needs & kNeedsNetwork) != 0;
      p.exec = (start.needs & kNeedsExec) != 0;
      p.chroot = p.exec && start.uid == 0;
      // No Landlock on writing if it writes (paths hold user names), nor if it executes: the program inherits it.
      p.write_anywhere = (start.needs & (kNeedsWrite | kNeedsExec)) != 0;
      if (const auto *t = settings.transport(start.transport)) read_options(p, t->options);
      break;
    case wire::RoleKind::Host:
      p.readable.push_back(start.plugin_dir);
      read_tables(p, start, settings);
      p.network = (start.needs & kNeedsNetwork) != 0;
      p.exec = (start.needs & kNeedsExec) != 0;
      p.chroot = p.exec && start.uid == 0;
      p.write_anywhere = (start.needs & (kNeedsWrite | kNeedsExec)) != 0;
      if (const auto *t = settings.transport(start.transport)) read_options(p, t->options);
      if (const auto *f = settings.filter(start.filter)) read_options(p, f->options);
      if (const auto *f = settings.policy(start.policy)) read_options(p, f->options);
      if (const auto *e = settings.event(start.event)) read_options(p, e->options);
      if (const auto *r = settings.rate(start.rate)) read_options(p, r->options);
      if (const auto *a = settings.auth(start.auth)) read_options(p, a->options);
      if (const auto *s = settings.store(start.store)) read_options(p, s->options);
      break;
    case wire::RoleKind::Supervisor:
    case wire::RoleKind::Config:
      break;
  }
  if ((start.needs & (kNeedsState | kTakesState)) != 0) p.own.push_back(state_directory(start));
  return p;
}

std::string state_directory(const std::string &spool, const std::string &table) { return spool + "/state/" + table; }

std::string state_directory(const wire::Start &start) {
  const auto table = !start.lookup.empty()   ? "lookup." + start.lookup
                     : !start.filter.empty() ? "filter." + start.filter
                     : !start.policy.empty() ? "policy." + start.policy
                     : !start.event.empty()  ? "event." + start.event
                     : !start.rate.empty()   ? "rate." + start.rate
                     : !start.auth.empty()   ? "auth." + start.auth
                     : !start.store.empty()  ? "store." + start.store
                                             : "transport." + start.transport;
  return state_directory(start.spool, table);
}

std::string recordings_directory(const wire::Start &start, const config::Settings &settings) {
  if (!settings.records()) return {};
  return settings.record_directory.empty() ? start.spool + "/recordings" : settings.record_directory;
}

void die_with_parent() { ::prctl(PR_SET_PDEATHSIG, SIGKILL); }

Result<void> become(std::int64_t uid, std::int64_t gid) {
  if (::geteuid() == 0 && uid >= 0) {
    const auto group = static_cast<gid_t>(gid);
    const auto user = static_cast<uid_t>(uid);
    if (::setgroups(1, &group) != 0) return system_error("setgroups");
    if (::setresgid(group, group, group) != 0) return system_error("setresgid");
    if (::setresuid(user, user, user) != 0) return system_error("setresuid");
    if (user != 0 && ::setuid(0) == 0) return Error{Status::Internal, "root's rights could be taken back"};
  }
  die_with_parent();
  return {};
}

Result<void> make_directories(const Privileges &keep) {
  for (const auto &path : keep.own) {
    ::mkdir(path.substr(0, path.rfind('/')).c_str(), 0700);
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error("mkdir " + path);
  }
  for (const auto &path : keep.optional) ::mkdir(path.c_str(), 0700);  // whoever writes there tells why it cannot
  return {};
}

Result<std::string> drop_privileges(const Privileges &keep) {
  if (auto changed = become(keep.uid, keep.gid); !changed) return changed.error();
  if (auto made = make_directories(keep); !made) return made.error();
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_error("no_new_privs");
#ifdef MANSIO_TRACES_ITSELF
  ::prctl(PR_SET_DUMPABLE, 1);
#endif
  if (!keep.sandbox) return std::string{};
  std::string missing;
  if (auto files = restrict_files(keep); !files) missing += files.error().text;
  if (auto calls = restrict_system_calls(keep); !calls) missing += (missing.empty() ? "" : "; ") + calls.error().text;
  return missing;
}

}  // namespace mansio::process
