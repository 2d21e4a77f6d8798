#include "kernel/supervisor/fleet.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <limits>

#include "kernel/process/memfd.hpp"

namespace mansio::supervisor {
namespace {

// Recovery of a large spool is part of the queue's start; everybody else is quick.
constexpr Nanos kQueueReadyLimit = 900 * kSecond;
constexpr Nanos kReadyLimit = 60 * kSecond;
constexpr Nanos kEndLimit = 5 * kSecond;      // from closing its channel, or from its drain deadline, to its end
constexpr Nanos kRetryConnect = 1 * kSecond;  // after EMFILE

// Is that process a client of this plugin's?
bool uses(const Post &client, const Post &host) {
  if (client.generation != host.generation) return false;
  if (!host.store.empty())  // the queue, and those who commit mail
    return client.kind == wire::RoleKind::Queue || client.kind == wire::RoleKind::Ingress ||
           client.kind == wire::RoleKind::Router;
  if (host.of_queue()) return client.kind == wire::RoleKind::Queue;
  const bool delivers = client.kind == wire::RoleKind::Router || client.kind == wire::RoleKind::Egress;
  if (host.for_queue && delivers) return true;
  if (!host.filter.empty() || !host.policy.empty() || !host.auth.empty()) return client.kind == wire::RoleKind::Ingress;
  if (!host.transport.empty()) return client.kind == wire::RoleKind::Egress && client.transport == host.transport;
  // A table: any plugin may ask it, wherever that runs.
  return client.kind == wire::RoleKind::Ingress || delivers ||
         (client.kind == wire::RoleKind::Host && &client != &host);
}

// Does that process take what its plugins submit to this router? Generations do not matter: mail is mail.
bool submits(const Post &client, const Post &router) {
  return router.kind == wire::RoleKind::Router && router.ready() &&
         (client.kind == wire::RoleKind::Ingress || client.kind == wire::RoleKind::Egress ||
          client.kind == wire::RoleKind::Host);
}

}  // namespace

Fleet::Fleet(asio::io_context &loop, const Clock &clock, Logger &log, Launcher &launcher, process::SharedMemory &shared,
             const Listeners &listeners, Hooks hooks)
    : loop_(loop),
      clock_(clock),
      log_(log),
      launcher_(launcher),
      shared_(shared),
      listeners_(listeners),
      hooks_(std::move(hooks)),
      guest_deaths_(shared) {}

Fleet::~Fleet() {
  ending_ = true;
  for (auto &p : posts_)
    if (p.child) {
      p.child->channel->close();
      p.child->process.reset();  // kills and reaps what is left
    }
}

Post &Fleet::add(wire::RoleKind kind, std::uint32_t instance, std::string name,
                 std::shared_ptr<const Generation> generation) {
  auto &post = posts_.emplace_back(loop_);
  post.kind = kind;
  post.instance = instance;
  post.name = std::move(name);
  post.generation = std::move(generation);
  return post;
}

Post *Fleet::queue() {
  for (auto &p : posts_)
    if (p.kind == wire::RoleKind::Queue) return &p;
  return nullptr;
}

void Fleet::start(Post &post) {
  post.replace = post.waits = false;
  if (auto launched = launch(post); !launched) {
    post.child.reset();
    post.last_failure = launched.error().text;
    log_.error("process not started", {{"role", post.name}, {"reason", launched.error().text}});
    post.backoff.started(clock_.mono());
    if (post.wanted && post.in_service) start_later(post, post.backoff.died(clock_.mono()));
    hooks_.changed();
  }
}

Result<void> Fleet::launch(Post &post) {
  std::uint32_t slot = 0;
  while (slot < process::kSlots && slots_[slot]) ++slot;
  if (slot == process::kSlots) return Error{Status::Busy, "too many processes"};
  auto pair = io::channel_pair();
  if (!pair) return pair.error();
  const auto &generation = *post.generation;
  auto snapshot = process::duplicate(generation.snapshot);
  auto log = hooks_.log_fd();
  auto memory = process::duplicate(shared_.fd());
  if (!snapshot || !log || !memory) return Error{Status::Busy, "too many open files"};

  const auto child = std::make_shared<Child>(loop_);
  child->slot = slot;
  child->started = clock_.mono();
  child->channel = io::Channel::create(loop_, std::move(pair->first));
  auto launched = launcher_.launch(post.kind, post.name, std::move(pair->second), [this, &post, child](const Exit &e) {
    if (ending_) return;
    child->exit = e;
    child->ended = true;
    check_dead(post, child);
  });
  if (!launched) {
    child->channel->close();
    return launched.error();
  }
  slots_[slot] = true;
  child->process = std::move(*launched);
  child->self = {post.kind, post.instance, generation.epoch, post.name, child->process->pid()};
  post.child = child;
  post.backoff.started(child->started);
  child->channel->start([this, &post, child](io::Message &m) { on_message(post, child, m); },
                        [this, &post, child](std::string_view) {
                          child->closed = true;
                          arm(child, kEndLimit, "closed its channel but did not end");
                          check_dead(post, child);
                        });

  wire::Start start;
  start.self = child->self;
  start.slot = slot;
  start.config_epoch = generation.epoch;
  start.snapshot_size = generation.checked.snapshot.size();
  start.transport = post.transport;
  start.lookup = post.lookup;
  start.filter = post.filter;
  start.policy = post.policy;
  start.event = post.event;
  start.rate = post.rate;
  start.auth = post.auth;
  start.store = post.store;
  start.plugin_dir = generation.checked.plan.plugin_dir;
  start.spool = generation.checked.plan.spool;
  start.uid = generation.checked.uid;
  start.gid = generation.checked.gid;
  start.threaded = launcher_.threads();
  start.needs = post.needs;
  std::vector<io::UniqueFd> fds;
  fds.push_back(std::move(*snapshot));
  fds.push_back(std::move(*log));
  fds.push_back(std::move(*memory));
  child->channel->send(start, std::move(fds));
  arm(child, post.kind == wire::RoleKind::Queue ? kQueueReadyLimit : kReadyLimit, "was not ready in time");
  return {};
}

// One deadline a child at a time: the latest one counts. A process that misses it is killed.
void Fleet::arm(const std::shared_ptr<Child> &child, Nanos within, std::string_view why) {
  child->timer.expires_after(std::chrono::nanoseconds{within});
  child->timer.async_wait([this, weak = std::weak_ptr{child}, why = std::string{why}](ErrorCode e) {
    const auto c = weak.lock();
    if (e || !c || c->ended) return;
    log_.warn("process killed", {{"role", c->self.name}, {"pid", c->self.pid}, {"reason", why}});
    c->failure = why;
    c->never_ready = c->state == ChildState::Starting;
    kill_child(*c);
  });
}

void Fleet::on_message(Post &post, const std::shared_ptr<Child> &child, io::Message &m) {
  switch (m.type) {
    case wire::Ready::kType:
      if (child->state != ChildState::Starting) return;
      child->state = child->asked_to_stop ? ChildState::Draining : ChildState::Ready;
      if (child->state == ChildState::Draining) return;
      child->timer.cancel();
      log_.info("process ready", {{"role", post.name}, {"pid", child->self.pid}, {"epoch", child->self.generation}});
      return on_ready(post);
    case wire::Drain::kType:
      child->takes_work = false;
      return hooks_.changed();
    case wire::Failed::kType:
      if (const auto failed = decode<wire::Failed>(m.payload)) child->failure = failed->reason;
      return;
    case wire::LostPeer::kType:
      if (const auto lost = decode<wire::LostPeer>(m.payload)) lost_peer(post, lost->peer);
      return;
    case wire::EndPeer::kType:
      if (const auto hung = decode<wire::EndPeer>(m.payload)) end_hung(post, *hung);
      return;
    default:
      return hooks_.message(post, m);
  }
}

void Fleet::on_ready(Post &post) {
  if (post.kind == wire::RoleKind::Queue) {
    for (auto &p : posts_)
      if (&p != &post && (p.kind != wire::RoleKind::Host || uses(post, p)) && p.in_service && p.child &&
          p.child->serving()) {
        if (!connect_to_queue(p)) retry_serve(p);
        if (p.child->asked_to_stop) post.child->channel->send(wire::Draining{p.child->self});
      }
    if (deliveries_ended_) end_deliveries();
    post.child->channel->send(wire::AttachDone{});
  } else if (post.in_service) {
    serve(post);
  }
  hooks_.ready(post);
  hooks_.changed();
}

void Fleet::enter_service(Post &post) {
  post.in_service = true;
  if (post.ready() && post.kind != wire::RoleKind::Queue) serve(post);
  if (post.kind == wire::RoleKind::Host && !post.child) start_later(post, post.backoff.died(clock_.mono()));
}

void Fleet::serve(Post &post) {
  if (!connect_hosts(post)) retry_serve(post);
  if (post.kind == wire::RoleKind::Host) return;
  if (!connect_to_queue(post)) retry_serve(post);
  if (post.kind != wire::RoleKind::Ingress) return;
  for (const auto &l : listeners_.all()) {
    auto fd = process::duplicate(l.fd);
    if (!fd) {
      log_.error("listener not handed over", {{"role", post.name}, {"reason", fd.error().text}});
      retry_serve(post);
      return;
    }
    std::vector<io::UniqueFd> fds;
    fds.push_back(std::move(*fd));
    post.child->channel->send(wire::Listener{l.listener, l.shown}, std::move(fds));
  }
}

// Out of descriptors: such a child is killed a while later and starts anew with everything, rather than living on
// half connected.
void Fleet::retry_serve(Post &post) {
  if (post.child) arm(post.child, kRetryConnect, "could not be connected: too many open files");
}

bool Fleet::connect_to_queue(Post &post) {
  auto *q = queue();
  if (!q || !q->ready()) return true;                    // done when the queue is ready
  const bool asked = post.kind == wire::RoleKind::Host;  // the queue asks plugins, all others ask the queue
  return asked ? connect(*q, post) : connect(post, *q);
}

bool Fleet::connect(Post &client, Post &server) {
  auto pair = io::channel_pair();
  if (!pair) {
    log_.error("processes not connected",
               {{"role", client.name}, {"peer", server.name}, {"reason", pair.error().text}});
    return false;
  }
  std::vector<io::UniqueFd> one, other;
  one.push_back(std::move(pair->first));
  other.push_back(std::move(pair->second));
  client.child->channel->send(wire::Attach{server.child->self, true}, std::move(one));
  server.child->channel->send(wire::Attach{client.child->self, false}, std::move(other));
  return true;
}

// Whichever of the two enters service last connects them.
bool Fleet::connect_hosts(Post &post) {
  bool all = true;
  for (auto &other : posts_) {
    if (!other.in_service || !other.child || !other.child->serving()) continue;
    if (post.kind == wire::RoleKind::Host && uses(other, post)) all = connect(other, post) && all;
    if (other.kind == wire::RoleKind::Host && uses(post, other)) all = connect(post, other) && all;
    if (submits(other, post)) all = connect(other, post) && all;
    if (submits(post, other)) all = connect(post, other) && all;
  }
  return all;
}

void Fleet::lost_peer(Post &post, const wire::Peer &peer) {
  const auto other =
      std::find_if(posts_.begin(), posts_.end(), [&](const Post &p) { return p.child && p.child->self == peer; });
  if (!post.child || other == posts_.end()) return;  // it is dead, which settles it
  auto *client = post.kind == wire::RoleKind::Queue ? &*other : &post;
  const auto lost = post.kind == wire::RoleKind::Queue ? post.child : other->child;
  if (lost->self.kind != wire::RoleKind::Queue) return retry_serve(post);
  // Both ends may say so of one channel: two channels in its place would be two to lose.
  if (client->child->reconnecting.lock() == lost) return;
  client->child->reconnecting = lost;
  // A moment later: if the peer is dying, its death comes first and settles it. A queue that took its place meanwhile
  // was connected with everybody when it was ready.
  const auto again = std::make_shared<asio::steady_timer>(loop_);
  again->expires_after(std::chrono::nanoseconds{kRetryConnect});
  again->async_wait([this, again, client, alive = std::weak_ptr{client->alive}, weak = std::weak_ptr{client->child},
                     to = std::weak_ptr{lost}](ErrorCode) {
    const auto c = weak.lock();
    const auto server = to.lock();
    if (alive.expired() || !c) return;
    if (c->reconnecting.lock() == server) c->reconnecting.reset();
    if (ending_ || c->ended || client->child != c || !c->serving()) return;
    if (!server || queue()->child != server) return;
    if (!connect_to_queue(*client)) retry_serve(*client);
  });
}

void Fleet::end_hung(Post &asker, const wire::EndPeer &hung) {
  const auto kind = hung.peer.kind;
  const bool waited_for = kind == wire::RoleKind::Egress || kind == wire::RoleKind::Host ||
                          kind == wire::RoleKind::Ingress || kind == wire::RoleKind::Router;
  if (asker.kind != wire::RoleKind::Queue || !waited_for) {
    log_.error("order to end a process refused", {{"from", asker.name}, {"role", hung.peer.name}});
    return;
  }
  for (auto &p : posts_) {
    if (!p.child || p.child->self != hung.peer || p.child->ended) continue;
    // The queue asks again for each delivery that misses its time before the process is reaped.
    if (p.child->failure != hung.reason)
      log_.warn("process killed", {{"role", p.name}, {"pid", hung.peer.pid}, {"reason", hung.reason}});
    p.child->failure = hung.reason;
    kill_child(*p.child);
  }
}

void Fleet::drain(Post &post, Nanos within, Nanos sessions) {
  if (!post.child) return;
  auto &child = *post.child;
  const auto now = clock_.mono();
  auto by = now + within, sessions_by = now + sessions;
  if (child.asked_to_stop) {
    if (by >= child.stops_by && sessions_by >= child.sessions_by) return;
    by = std::min(by, child.stops_by);
    sessions_by = std::min(sessions_by, child.sessions_by);
    within = std::max(by - now, kMillisecond);
    sessions = std::max<Nanos>(sessions_by - now, 0);
  }
  child.stops_by = by;
  child.sessions_by = sessions_by;
  if (!std::exchange(child.asked_to_stop, true)) {
    if (child.state == ChildState::Ready) child.state = ChildState::Draining;
    const bool known = post.kind != wire::RoleKind::Host || post.of_queue();
    if (auto *q = queue(); q && q != &post && q->ready() && post.in_service && known)
      q->child->channel->send(wire::Draining{child.self});
  }
  child.channel->send(wire::Drain{within, sessions});
  arm(post.child, within + kSecond, "did not stop in time");
}

void Fleet::end_deliveries() {
  deliveries_ended_ = true;  // for a queue that is still starting
  if (auto *q = queue(); q && q->ready()) q->child->channel->send(wire::Draining{q->child->self});
}

void Fleet::kill_child(Child &child) {
  if (child.ended || (child.process && child.process->kill())) return;
  // A thread: it ends when its supervisor is gone.
  child.channel->close();
  child.closed = true;
}

void Fleet::kill(Post &post) {
  if (!post.child) return;
  post.child->asked_to_stop = true;
  kill_child(*post.child);
}

void Fleet::retire(Post &post) {
  post.wanted = false;
  post.replace = false;
  post.restart.cancel();
}

void Fleet::check_dead(Post &post, const std::shared_ptr<Child> &child) {
  if (!child->ended || ending_) return;
  if (child->closed) return died(post, child);
  // Its last words are still in the socket; nobody else holds the other end, so the end comes.
}

void Fleet::died(Post &post, const std::shared_ptr<Child> &child) {
  if (post.child != child) return;
  child->timer.cancel();
  const auto culprit = shared_.marker(child->slot);
  const bool crashed = !child->asked_to_stop && !child->exit.clean();
  // A plugin may end its process with success, too.
  const auto epoch = child->self.generation;
  const auto now = clock_.mono();
  const auto kept_down = post.ended_at == 0 ? 0 : child->started - post.ended_at;
  post.ended_at = now;
  const auto *guest =
      child->asked_to_stop ? nullptr : guest_deaths_.in_code_of(post.generation->checked.plan, epoch, child->slot);
  GuestDeaths::Verdict verdict;
  if (guest && (post.in_service || post.persists))
    verdict = guest_deaths_.died(*guest, epoch, child->slot, child->never_ready, now, kept_down);
  shared_.release_slot(child->slot);
  slots_[child->slot] = false;
  post.child.reset();
  post.last_failure = child->failure.empty() ? to_string(child->exit) : child->failure;
  if (guest) post.last_failure += " in the code of " + guest->name;
  const auto level = child->asked_to_stop && child->exit.clean() ? LogLevel::Info : LogLevel::Warn;
  log_.log(level, "process ended",
           {{"role", post.name},
            {"pid", child->self.pid},
            {"reason", post.last_failure},
            {"crashed", crashed},
            {"working_on", crashed && culprit ? to_string(culprit) : std::string{}}});
  if (verdict.opens) {
    log_open(*guest, verdict, post.last_failure);
    post.backoff = {};  // what it died of is gone
  }
  wire::Dead dead{child->self, crashed, crashed ? culprit.value : 0, child->exit.signal == SIGKILL};
  broadcast(dead);
  if (crashed) ++post.deaths;
  if (post.wanted && post.replace) {
    start(post);
  } else if (post.wanted && (post.in_service || (guest && post.persists))) {
    auto wait = post.backoff.died(now);
    // What a table did in the process of another plugin is not that one's doing.
    const bool own = post.kind == wire::RoleKind::Host && !guest;
    if (const auto pause = own ? post.breaker.died(now, kept_down) : std::nullopt) {
      wait = *pause;
      post.backoff = {};  // it has all its chances again
      log_.error("breaker open: the plugin's process keeps dying and is not started for a while; on_failure answers",
                 {{"role", post.name}, {"reason", post.last_failure}, {"seconds", wait / kSecond}});
    }
    start_later(post, wait);
  }
  hooks_.changed();
}

void Fleet::log_open(const config::PlanGuest &guest, const GuestDeaths::Verdict &verdict, std::string_view reason) {
  const std::string_view name{guest.name};
  const auto space = name.find(' ');
  log_.error(
      "breaker open: the plugin's code keeps ending processes and is not asked for a while; on_failure answers; "
      "mend it or set isolation = \"process\", and have it asked at once with mansio reload",
      {{name.substr(0, space), name.substr(space + 1)},
       {"reason", reason},
       {"hung", verdict.hung},
       {"seconds", verdict.pause / kSecond}});
}

void Fleet::start_later(Post &post, Nanos wait) {
  post.waits = true;
  post.restart.expires_after(std::chrono::nanoseconds{wait});
  post.restart.async_wait([this, &post, alive = std::weak_ptr{post.alive}](ErrorCode e) {
    if (!e && !alive.expired() && !ending_ && post.wanted && !post.child) start(post);
  });
}

void Fleet::sweep() {
  posts_.remove_if([](const Post &p) { return !p.wanted && !p.child; });
  // Epochs of reloads that were refused lie between those of two configurations: only the posts tell which are left.
  auto oldest = std::numeric_limits<std::uint32_t>::max();
  for (const auto &p : posts_) oldest = std::min(oldest, p.generation->epoch);
  guest_deaths_.forget_before(oldest);
}

}  // namespace mansio::supervisor
