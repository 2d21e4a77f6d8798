#include "kernel/router/role.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "kernel/base/crc32c.hpp"
#include "kernel/host/commands.hpp"
#include "kernel/host/queue_policies.hpp"
#include "kernel/host/store_set.hpp"
#include "kernel/io/interfaces.hpp"
#include "kernel/mail/trace.hpp"
#include "kernel/process/resolver.hpp"
#include "kernel/process/writer_link.hpp"
#include "kernel/route/content_filter.hpp"
#include "kernel/router/answer.hpp"
#include "kernel/router/exchangers.hpp"
#include "kernel/router/notifier.hpp"
#include "kernel/router/questions.hpp"
#include "kernel/router/restorer.hpp"
#include "kernel/router/restores.hpp"
#include "kernel/router/submissions.hpp"
#include "kernel/router/ways.hpp"
#include "kernel/spool/wait.hpp"
#include "kernel/spool/writer.hpp"

namespace mansio::router {
namespace {

constexpr std::size_t kRemembered = 1000;  // notifications; more than a queue asks for at once
constexpr auto kAgain = std::chrono::milliseconds{100};
constexpr std::size_t kMostPermits = 10'000;         // questions that the queue has
constexpr std::size_t kRestoredAtOnce = 256 * 1024;  // octets of a body

class RouterRole final : public process::Role {
 public:
  Result<void> prepare(process::RoleContext &context) override {
    context_ = &context;
    const auto addresses = io::interface_addresses();
    submissions_ = std::make_unique<Submissions>(submissions_ground());
    ways_ = std::make_unique<Ways>(context, addresses, submissions_.get(), &commands_);
    if (!context.settings.queue.policies.empty()) {
      policies_ = std::make_unique<host::QueuePolicies>(context.loop, context.clock, context.log, context.settings);
      policies_->on_stages([this] { say_stages(); });
    }
    if (context.settings.asks_exchangers())
      exchangers_ = std::make_unique<Exchangers>(process::make_resolver(context),
                                                 [this](const wire::MxReply &reply) { say(reply); });
    stores_ = host::StoreSet::create(context.settings, context.loop, context.clock, context.log);
    link_ = std::make_unique<process::WriterLink>(context.loop);
    again_ = std::make_unique<asio::steady_timer>(context.loop);
    writer_ = spool::Writer::create(context.loop, context.clock, context.log, *link_, {});
    load_templates(context.settings.queue.bounce_template_file);
    return {};
  }

  // Those who run plugins, with what these submit.
  void attach(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) override {
    submissions_->attach(peer.name, std::move(channel));
  }

  void attach_asked(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) override {
    if (peer.kind == wire::RoleKind::Host) {
      if (stores_ && stores_->attach(peer.name, channel)) return;
      if (!policies_ || !policies_->attach(peer.name, channel)) ways_->attach(peer.name, std::move(channel));
      return;
    }
    if (peer.kind != wire::RoleKind::Queue) return;
    segments_.clear();
    unsaid_.clear();
    pressure_ = {};
    permits_lost();
    if (queue_) queue_->close();  // or its end would count as that of the new one
    queue_ = std::move(channel);
    queue_->start([this](io::Message &m) { receive(m); },
                  [this](std::string_view) {
                    queue_.reset();
                    link_->lost();
                    permits_lost();
                  });
    link_->attach(queue_);
    say_stages();
  }

  void drain(Nanos) override {
    draining_ = true;
    if (in_hand_ == 0) finish();
  }

  void plugin_call(const wire::PluginCall &call, const std::function<void(wire::PluginCalled &&)> &done) override {
    commands_.call(call, done);
  }

  void stats(const std::function<void(std::string, double)> &each) override {
    each("mansio_router_notifications_total", static_cast<double>(written_));
    each("mansio_router_routed_total", static_cast<double>(routed_));
    each("mansio_router_restored_total", static_cast<double>(restored_));
    each("mansio_router_submitted_total", static_cast<double>(submissions_->taken()));
    each("mansio_router_submissions_refused_total", static_cast<double>(submissions_->refused()));
    ways_->stats(each);
    if (policies_) policies_->stats(each);
    if (stores_) stores_->stats(each);
  }

 private:
  void say_stages() {
    if (policies_) say(wire::PolicyStages{policies_->stages()});
  }
  Submissions::Ground submissions_ground() {
    auto &c = *context_;
    return {
        c.loop,
        c.clock,
        c.log,
        c.settings,
        c.start.config_epoch,
        [this] { return unwelcome(); },
        [this](std::string sender, std::string recipient) {
          return ways_->find_all(std::move(sender), std::move(recipient));
        },
        [this]() -> spool::Writer & { return *writer_; },
        [this](MessageId id, std::string trace, std::unique_ptr<spool::Draft> draft, const Envelope &envelope) {
          return commit(id, std::move(trace), std::move(draft), envelope);
        },
        [this](int more) {
          in_hand_ += static_cast<std::size_t>(more);
          if (in_hand_ == 0 && draining_) finish();
        },
        [this](wire::PermitsAsk ask, host::Submitter::Given done) { take_permits(std::move(ask), std::move(done)); }};
  }
  void take_permits(wire::PermitsAsk ask, host::Submitter::Given done) {
    ask.number = ++last_permits_;
    if (!queue_ || permits_.size() >= kMostPermits || !queue_->send(ask)) return done(host::no_permits_now());
    permits_.emplace(ask.number, std::move(done));
  }
  // Whoever waits for that queue process waits in vain.
  void permits_lost() {
    for (const auto &[number, done] : std::exchange(permits_, {})) done(host::no_permits_now());
  }
  // As for clients (kernel/ingress/queue_link.cpp).
  std::string unwelcome() const {
    if (!queue_) return "the queue process is away";
    if (stores_ && (stores_->away() || link_->spool() == 0)) return "a mail store is away";
    if (pressure_.accept) return {};
    return pressure_.reason.empty() ? "new mail is refused for now" : pressure_.reason;
  }

  // Before the first notification is asked for. The file was fine when the configuration was checked; a router that is
  // started anew later must not fail for it.
  void load_templates(const std::string &file) {
    templates_ = dsn::default_templates();
    if (file.empty()) return;
    std::optional<Result<io::UniqueFd>> fd;
    context_->open_file(file, [&](Result<io::UniqueFd> opened) { fd.emplace(std::move(opened)); });
    while (!fd && context_->loop.run_one() > 0) {
    }
    if (!fd || !*fd) {
      context_->log.warn("bounce template not read, built-in texts are used",
                         {{"file", file}, {"error", fd ? fd->error().text : "no answer from the supervisor"}});
      return;
    }
    std::string text;
    char buffer[8192];
    for (::ssize_t n; (n = ::read((*fd)->get(), buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(n));
    auto parsed = dsn::parse_templates(text, file);
    if (parsed) {
      templates_ = std::move(*parsed);
    } else {
      context_->log.warn("bounce template refused, built-in texts are used", {{"error", parsed.error().text}});
    }
  }

  void receive(io::Message &m) {
    if (link_->handle(m)) return;
    switch (m.type) {
      case wire::PermitsGiven::kType:
        if (const auto given = decode<wire::PermitsGiven>(m.payload))
          if (const auto node = permits_.extract(given->number); !node.empty()) node.mapped()(*given);
        return;
      case wire::Pressure::kType:
        if (auto pressure = decode<wire::Pressure>(m.payload)) pressure_ = std::move(*pressure);
        return;
      case wire::SegmentFd::kType: {
        const auto s = decode<wire::SegmentFd>(m.payload);
        if (s && !m.fds.empty() && m.fds[0]) {
          segments_[{s->segment, s->epoch}] = std::move(m.fds.front());
        } else {
          context_->log.warn("a segment's descriptor was lost; raise the limit of open files");
          if (s && queue_) queue_->send(wire::ForgetSegment{s->segment, s->epoch});  // or it would not be sent again
        }
        return;
      }
      case wire::ForgetSegment::kType: {
        const auto s = decode<wire::ForgetSegment>(m.payload);
        if (s) segments_.erase({s->segment, s->epoch});
        return;
      }
      case wire::RouteRequest::kType:
        if (auto r = decode<wire::RouteRequest>(m.payload)) {
          const auto epoch = context_->start.config_epoch;
          if (!r->content_filter.empty()) return say(by_own_filter(*r, epoch));
          if (const auto filter = route::content_filter(context_->settings, r->listener))
            return say(answer(*r, *filter, epoch));
          const bool asks = !r->routes.empty();  // new mail, or a policy may want to see it
          if (!asks && !ways_->ask_tables()) return say(answer(*r, ways_->table(), epoch));
          ++in_hand_;
          if (asks)
            asio::co_spawn(context_->loop, route_by_policies(std::move(*r)), asio::detached);
          else
            asio::co_spawn(context_->loop, route_by_tables(std::move(*r)), asio::detached);
        }
        return;
      case wire::RetryRequest::kType:
        if (auto r = decode<wire::RetryRequest>(m.payload)) {
          if (!policies_) return say(wire::RetryReply{r->number, r->id, {}});
          ++in_hand_;
          asio::co_spawn(context_->loop, judge_retry(std::move(*r)), asio::detached);
        }
        return;
      case wire::MxRequest::kType:
        if (const auto r = decode<wire::MxRequest>(m.payload); r && exchangers_)
          for (const auto &domain : r->domains) exchangers_->ask(domain);
        return;
      case wire::DsnRequest::kType:
        if (auto r = decode<wire::DsnRequest>(m.payload)) {
          // A queue process that was started anew asks again for what its predecessor had asked for, maybe just before
          // it reads our answer.
          const auto [at, first] = notified_.try_emplace({r->parent.id, r->parent.event});
          if (!first) {
            const auto &[id, suppressed] = at->second;
            if (id || suppressed) say(wire::DsnWritten{r->parent, id, false, {}, suppressed});
            return;
          }
          ++in_hand_;
          asio::co_spawn(context_->loop, notify(std::move(*r)), asio::detached);
        }
        return;
      case wire::RestoreRequest::kType:
        if (auto r = decode<wire::RestoreRequest>(m.payload)) {
          if (!restores_.begin(r->key)) {  // what is under way is answered when it ends
            if (const auto id = restores_.became(r->key); id)
              say(wire::Restored{r->key, wire::RestoreStatus::Done, id, {}});
            return;
          }
          ++in_hand_;
          asio::co_spawn(context_->loop, answer_restore(std::move(*r)), asio::detached);
        }
        return;
      default:
        return;
    }
  }

  // The filter that an access table wanted for the message. Without its transport it waits, rather than get round it.
  Answer by_own_filter(const wire::RouteRequest &request, std::uint32_t epoch) const {
    const auto filter = route::filter_route(request.content_filter);
    if (context_->settings.transport(filter.transport)) return answer(request, filter, epoch);
    return answer(request,
                  route::Refusal{451, {4, 3, 5}, "there is no transport of its filter " + request.content_filter},
                  epoch);
  }

  void say(const Answer &said) {
    routed_ += said.reply().routes.size();
    say(said.reply());
  }
  // What the queue does not take yet it takes later: it waits for each answer, and does not ask twice.
  template <class M>
  void say(const M &message) {
    if (!queue_ || (unsaid_.empty() && queue_->send(message))) return;  // without one: its successor asks again
    unsaid_.emplace_back(M::kType, encode(message));
    say_again();
  }
  void say_again() {
    again_->expires_after(kAgain);
    again_->async_wait([this](ErrorCode e) {
      if (e || !queue_) return;
      while (!unsaid_.empty() && queue_->send_raw(unsaid_.front().first, unsaid_.front().second)) unsaid_.pop_front();
      if (!unsaid_.empty()) say_again();
    });
  }

  Task<> route_by_tables(wire::RouteRequest request) {
    Answer said{request, context_->start.config_epoch};
    for (const auto &[index, address] : request.recipients) {
      route::RouteDecision decision;
      if (!said.full()) decision = co_await ways_->find(request.sender, address);
      said.add(index, std::move(decision));
    }
    say(said);
    if (--in_hand_ == 0 && draining_) finish();
  }

  // By those of the message that are there, else by the tables; and then the policies have their say.
  Task<> route_by_policies(wire::RouteRequest request) {
    struct Words {
      std::vector<wire::PolicyWord> all;
      std::size_t left = 1;  // and one more while questions are put
      spool::Event done;
    };
    const auto n = request.recipients.size();
    std::vector<route::RouteDecision> decisions(n);
    for (std::size_t i = 0; i < n; ++i) {
      if (i < request.routes.size() && !request.routes[i].transport.empty())
        decisions[i].route = request.routes[i];
      else
        decisions[i] = co_await ways_->find(request.sender, request.recipients[i].second);
    }
    const auto words = std::make_shared<Words>();
    words->all.resize(n);
    const auto one_less = [words, &loop = context_->loop] {
      if (--words->left == 0) words->done.set(loop);
    };
    for (std::size_t i = 0; i < n; ++i) {
      if (decisions[i].refusal || !policies_ || !policies_->wants(wire::QueueStage::Route)) continue;
      ++words->left;
      policies_->ask(wire::QueueStage::Route, route_question(request, i, decisions[i].route),
                     [words, i, one_less](wire::PolicyWord &&word) {
                       words->all[i] = std::move(word);
                       one_less();
                     });
    }
    one_less();
    co_await words->done.wait();
    Answer said{request, context_->start.config_epoch};
    for (std::size_t i = 0; i < n; ++i) said.add(request.recipients[i].first, std::move(decisions[i]), words->all[i]);
    say(said);
    if (--in_hand_ == 0 && draining_) finish();
  }

  Task<> judge_retry(wire::RetryRequest request) {
    auto question = retry_question(request);
    wire::RetryReply said{request.number, request.id, {}};
    said.word = co_await policies_->ask(wire::QueueStage::Retry, std::move(question));
    say(said);
    if (--in_hand_ == 0 && draining_) finish();
  }

  using Name = std::pair<MessageId, std::uint32_t>;  // of a notification: its parent, and which event of it

  struct Ended {
    MessageId id;             // none: it is being written, or
    bool suppressed = false;  // it never is
  };
  void remember(const Name &name, Ended ended) {
    if (!ended.id && !ended.suppressed) {
      notified_.erase(name);
      return;
    }
    notified_[name] = ended;
    remembered_.push_back(name);
    if (remembered_.size() <= kRemembered) return;
    notified_.erase(remembered_.front());
    remembered_.pop_front();
  }

  Task<> notify(wire::DsnRequest request) {
    wire::DsnWritten said;
    said.parent = request.parent;
    if (policies_ && policies_->wants(wire::QueueStage::Bounce)) co_await judge_notification(request, said);
    if (!said.suppressed && !said.waits) {
      auto written = co_await write(request);
      if (written) {
        said.id = *written;
        ++written_;
      } else {
        said.refused = written.error().status == Status::Fail && written.error().enhanced.cls == 5;
        said.reason = written.error().text;
        context_->log.warn(
            said.refused ? "notification refused by its route" : "notification not written; the queue will ask again",
            {{"qid", request.parent.id}, {"to", request.to}, {"error", said.reason}});
      }
    }
    remember({request.parent.id, request.parent.event}, {said.id, said.suppressed});
    say(said);
    if (--in_hand_ == 0 && draining_) finish();
  }

  // Whether it is written, and to whom.
  Task<> judge_notification(wire::DsnRequest &request, wire::DsnWritten &said) {
    if (request.unasked) {
      context_->log.warn("notification written without the word of a policy, which did not come in time",
                         {{"qid", request.parent.id}, {"to", request.to}});
      co_return;
    }
    auto question = bounce_question(request);
    auto word = co_await policies_->ask(wire::QueueStage::Bounce, std::move(question));
    said.suppressed = word.action == wire::PolicyAction::Discard;
    said.waits = word.action == wire::PolicyAction::Defer;
    if (said.waits) said.reason = "deferred by " + word.policy + (word.text.empty() ? "" : ": " + word.text);
    if (word.action == wire::PolicyAction::Redirect) request.to = std::move(word.address);
  }

  Task<Result<MessageId>> write(const wire::DsnRequest &request) {
    const auto now = context_->clock.wall();
    auto input = dsn_input(request, context_->settings, now);
    const auto original = read(request, dsn::bytes_wanted(input));
    if (!original) co_return original.error();
    input.original = *original;
    const auto notification = dsn::compose(input, templates_);
    std::string null_sender;
    auto ways = co_await ways_->find_all(std::move(null_sender), request.to);
    if (!ways) co_return ways.error();
    auto envelope =
        dsn_envelope(request, notification, context_->settings, std::move(*ways), context_->start.config_epoch, now);

    auto draft = writer_->begin();
    if (auto done = co_await draft->append(notification.text); !done) co_return done.error();
    const auto id = co_await writer_->reserve_id();
    if (!id) co_return id.error();
    const auto received = received_header(envelope, context_->settings.myhostname, *id);
    envelope.body.size += received.size();
    const auto committed = co_await commit(*id, received, std::move(draft), envelope);
    if (!committed) co_return committed.error();
    context_->log.info("notification", {{"qid", *id}, {"parent", request.parent.id}, {"to", request.to}});
    co_return *id;
  }

  // To the stores first, as new mail is; then to the spool, and the queue hears of it.
  Task<Result<void>> commit(MessageId id, std::string trace, std::unique_ptr<spool::Draft> draft,
                            const Envelope &envelope) {
    if (stores_) {
      const auto kept = co_await stores_->commit({link_->spool(), id}, *draft, encode_envelope(envelope), trace);
      if (!kept) {
        link_->abandoned(id);
        co_return kept.error();
      }
    }
    const auto committed = co_await writer_->commit(id, trace, std::move(draft), envelope, Durability::Power);
    if (!committed) {
      if (stores_) link_->abandoned(id);
      co_return committed.error();
    }
    link_->committed(*committed, encode_envelope(envelope));
    co_return Result<void>{};
  }

  Task<> answer_restore(wire::RestoreRequest request) {
    auto said = co_await restore(request);
    said.key = request.key;
    restores_.ended(said.key, said.id);
    if (said.status == wire::RestoreStatus::Done && said.id) {
      ++restored_;
      context_->log.info("restored", {{"qid", said.id}, {"store", request.store}, {"copy", to_string(request.key)}});
    } else if (said.status == wire::RestoreStatus::Damaged || said.status == wire::RestoreStatus::Later) {
      context_->log.warn("message not restored",
                         {{"store", request.store}, {"copy", to_string(request.key)}, {"reason", said.reason}});
    }
    say(said);
    if (--in_hand_ == 0 && draining_) finish();
  }

  Task<wire::Restored> restore(const wire::RestoreRequest &request) {
    using wire::RestoreStatus;
    const auto ends = [](RestoreStatus status, std::string reason = {}) {
      return wire::Restored{{}, status, {}, std::move(reason)};
    };
    if (!stores_) co_return ends(RestoreStatus::Later, "there is no such store");
    auto fetched = co_await stores_->fetch(request.store, request.key);
    if (fetched.status == wire::StoreStatus::NotFound) co_return ends(RestoreStatus::Gone);
    if (fetched.status != wire::StoreStatus::Ok) co_return ends(RestoreStatus::Later, fetched.text);
    const auto &content = fetched.content;
    auto copy = open_copy(content, fetched.record, request.key, request.hold);
    if (!copy)
      co_return ends(copy.error().status == Status::Fail ? RestoreStatus::Damaged : RestoreStatus::Later,
                     copy.error().text);
    if (copy->envelope.recipients.empty()) co_return ends(RestoreStatus::Done);
    auto draft = writer_->begin();
    std::uint32_t crc = 0;
    std::string piece;
    for (auto at = copy->body_at; at < content.length;) {
      piece.resize(std::min<std::uint64_t>(kRestoredAtOnce, content.length - at));
      const auto got = ::pread(content.fd.get(), piece.data(), piece.size(), static_cast<off_t>(at));
      if (got <= 0) co_return ends(RestoreStatus::Later, "the copy cannot be read");
      piece.resize(static_cast<std::size_t>(got));
      crc = crc32c(piece, crc);
      at += piece.size();
      const auto stored = co_await draft->append(piece);
      if (!stored) co_return ends(RestoreStatus::Later, stored.error().text);
    }
    if (crc != copy->head.body_crc) co_return ends(RestoreStatus::Damaged, "its body is damaged");
    const auto id = co_await writer_->reserve_id();
    if (!id) co_return ends(RestoreStatus::Later, id.error().text);
    const auto committed = co_await commit(*id, {}, std::move(draft), copy->envelope);
    if (!committed) co_return ends(RestoreStatus::Later, committed.error().text);
    auto said = ends(RestoreStatus::Done);
    said.id = *id;
    co_return said;
  }

  // The first `wanted` bytes of the parent, through descriptors that the queue sent before.
  Result<std::string> read(const wire::DsnRequest &request, std::uint64_t wanted) const {
    std::string text;
    for (const auto &slice : request.slices) {
      if (text.size() >= wanted) break;
      const auto found = segments_.find({slice.segment, slice.epoch});
      if (found == segments_.end()) return Error{Status::Defer, "the parent's segment was not passed"};
      const auto n = std::min<std::uint64_t>(slice.length, wanted - text.size());
      const auto at = text.size();
      text.resize(at + n);
      for (std::uint64_t done = 0; done < n;) {
        const auto got =
            ::pread(found->second.get(), text.data() + at + done, n - done, static_cast<off_t>(slice.offset + done));
        if (got <= 0) return Error{Status::Defer, "the parent cannot be read"};
        done += static_cast<std::uint64_t>(got);
      }
    }
    return text;
  }

  void finish() {
    again_->cancel();
    submissions_->close();
    policies_.reset();
    ways_->close();
    if (stores_) stores_->close();
    exchangers_.reset();
    writer_->close();
    if (queue_) queue_->flush_now();
    context_->finished();
  }

  process::RoleContext *context_ = nullptr;
  host::Commands commands_;                   // before ways_, as what follows
  std::unique_ptr<Submissions> submissions_;  // before ways_, whose plugins may submit
  std::unique_ptr<Ways> ways_;
  std::unique_ptr<host::QueuePolicies> policies_;  // null: there are none
  std::unique_ptr<Exchangers> exchangers_;         // null: no transport's limits go by them
  std::unique_ptr<process::WriterLink> link_;
  std::unique_ptr<spool::Writer> writer_;
  std::unique_ptr<host::StoreSet> stores_;  // null: none is configured
  Restores restores_;
  std::shared_ptr<io::Channel> queue_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, io::UniqueFd> segments_;
  dsn::Templates templates_;
  wire::Pressure pressure_;                                  // whether new mail is welcome
  std::map<std::uint64_t, host::Submitter::Given> permits_;  // questions that the queue has
  std::uint64_t last_permits_ = 0;
  // Notifications being written, mail being restored or submitted, requests that wait for tables.
  std::size_t in_hand_ = 0;
  std::map<Name, Ended> notified_;  // notifications in hand, and the last that were
  std::deque<Name> remembered_;
  std::deque<std::pair<std::uint16_t, std::string>> unsaid_;  // answers: type and bytes
  std::unique_ptr<asio::steady_timer> again_;
  std::uint64_t written_ = 0, routed_ = 0, restored_ = 0;
  bool draining_ = false;
};

}  // namespace

std::unique_ptr<process::Role> make_role() { return std::make_unique<RouterRole>(); }

}  // namespace mansio::router
