#include "tests/powercut/world.hpp"

#include <algorithm>

#include "kernel/spool/messages.hpp"
#include "kernel/spool/segment.hpp"

namespace mansio::test {
namespace {

[[noreturn]] void fail(std::string text) { throw Failure{std::move(text)}; }

std::set<std::uint32_t> pending_of(const queue::Index &index, queue::MessageSlot slot) {
  std::set<std::uint32_t> out;
  for (auto g = index.message(slot).groups; g != queue::kNone; g = index.group(g).next)
    for (const auto &p : index.group(g).recipients)
      if (!out.insert(p.index).second) fail("a recipient twice in the index: " + to_string(index.id_of(slot)));
  return out;
}

bool all(const Mail &m, Fate fate) {
  return std::all_of(m.recipients.begin(), m.recipients.end(), [&](const Destiny &d) { return d.fate == fate; });
}

bool finished(const Mail &m) {
  return m.deleted || std::none_of(m.recipients.begin(), m.recipients.end(),
                                   [](const Destiny &d) { return d.fate == Fate::Waiting; });
}

// The test's disk, for now; what it holds is not known.
bool disk_fails(const Error &error) {
  return error.text.ends_with("injected failure") || error.text.ends_with("unreadable sector");
}

bool overlaps(const spool::Place &place, std::uint32_t segment, std::uint64_t from, std::uint64_t to) {
  return place.segment == segment && place.offset + place.length > from && place.offset - spool::kRecordHeader < to;
}

}  // namespace

void World::reserved(MessageId id) {
  if (!ids_.insert(id).second) fail("an id was given twice: " + to_string(id));
}

void World::granted(std::uint32_t segment, std::uint32_t epoch) {
  if (!fillings_.insert({segment, epoch}).second)
    fail("an epoch was given twice: " + std::to_string(segment) + "/" + std::to_string(epoch));
}

void World::lies(const spool::Committed &at) {
  const auto first = places.find(at.id);
  if (first != places.end() && first->second.commit == at.commit) return;
  const auto [from, to] = copies_.equal_range(at.id);
  if (std::none_of(from, to, [&](const auto &c) { return c.second.commit == at.commit; })) copies_.emplace(at.id, at);
}

void World::learn_places(const FaultFiles &disk) {
  for (const auto &path : disk.paths("/spool/segments/")) {
    const auto content = disk.content(path);
    const auto header = spool::parse_header(content);
    if (!header || header->epoch == 0) continue;
    spool::MemoryBytes bytes{content};
    if (spool::holds_large_body(bytes, *header)) continue;
    spool::find_messages(bytes, *header, 0, false, [&](const spool::FoundCommit &found) {
      if (mail.contains(found.message.id)) lies(found.message);
    });
  }
}

Mail &World::sent(MessageId id, std::string bytes, Envelope envelope, Durability durability) {
  auto &m = mail[id];
  m.bytes = std::move(bytes);
  m.recipients.resize(envelope.recipients.size());
  m.envelope = std::move(envelope);
  m.durability = durability;
  m.sent_in = starts;
  return m;
}

// An egress process begins to deliver.
void World::leased(const wire::Lease &lease, const std::string &bytes) {
  const auto at = mail.find(lease.id);
  if (at == mail.end()) fail("a lease of what nobody sent: " + to_string(lease.id));
  auto &m = at->second;
  if (bytes != m.bytes) fail("a lease shows other bytes than were sent: " + to_string(lease.id));
  if (lease.sender != m.envelope.sender) fail("a lease with another sender: " + to_string(lease.id));
  for (const auto &r : lease.recipients) {
    auto &d = m.recipients.at(r.recipient);
    if (r.address != m.envelope.recipients[r.recipient].address) fail("a lease to another recipient");
    if (d.stable) fail("leased again although its outcome is stable: " + to_string(lease.id));
    if (d.active && !lease.possible_duplicate)
      fail("may be a duplicate and is not flagged: " + to_string(lease.id) + " recipient " +
           std::to_string(r.recipient));
    d.active = true;
  }
}

void World::delivered(MessageId id, std::uint32_t recipient) { mail.at(id).recipients.at(recipient).reached = true; }

void World::reported(const wire::Outcomes &o) {
  auto &m = mail.at(o.id);
  for (std::size_t i = 0; i < o.outcomes.size(); ++i) {
    auto &d = m.recipients.at(o.recipients.at(i));
    if (o.outcomes[i].status == wire::DeliveryStatus::Sent) d.fate = Fate::Sent;
    if (o.outcomes[i].status == wire::DeliveryStatus::Bounced) d.fate = Fate::Bounced;
    d.told |= d.fate != Fate::Waiting;
    if (o.outcomes[i].status == wire::DeliveryStatus::Deferred && !d.reached) d.active = false;
  }
}

void World::acknowledged(const wire::Outcomes &o) {
  auto &m = mail.at(o.id);
  for (std::size_t i = 0; i < o.outcomes.size(); ++i) {
    const auto status = o.outcomes[i].status;
    if (status == wire::DeliveryStatus::Sent || status == wire::DeliveryStatus::Bounced)
      m.recipients.at(o.recipients.at(i)).stable = true;
  }
}

void World::asked(const wire::DsnRequest &request) {
  std::set<std::string> recipients;
  if (request.kind == wire::DsnKind::Failure)
    for (const auto &r : request.recipients) recipients.insert(r.address);
  const auto [at, first] = told_.emplace(key(request.parent), recipients);
  if (!first && at->second != recipients) renamed_.insert(at->first);
}

// Whose sender waits for a bounce must still be in the queue, or the bounce is, or it was delivered: one for each
// event.
void World::check_notifications(const queue::Index &index, bool power, const Tolerance &t) const {
  if (t.journal_damaged) return;
  std::set<Name> there, once;
  std::set<MessageId> doubtful;  // parents
  for (const auto &[id, m] : mail) {
    if (!m.envelope.dsn_parent.id || !m.committing) continue;
    const auto name = key(m.envelope.dsn_parent);
    if (t.damaged.contains(id) || was_unread(id, t) || t.some_unread_now) doubtful.insert(name.first);
    // What was acknowledged since this start its writer will say, or has said.
    const bool present = index.find(id) != queue::kNone || (m.acknowledged && m.acknowledged_in == starts);
    const bool done = std::none_of(m.recipients.begin(), m.recipients.end(),
                                   [](const Destiny &d) { return d.fate == Fate::Waiting; });
    if (present || finished(m)) there.insert(name);
    // A commit that failed may be there all the same.
    if ((present || done) && !once.insert(name).second && !t.failing)
      fail("two notifications of one event: " + to_string(name.first));
  }
  if (!t.failing && !renamed_.empty())
    fail("another notification under the name of an earlier one: " + to_string(renamed_.begin()->first));
  for (const auto &[id, m] : mail) {
    if (!m.acknowledged || m.deleted || m.envelope.sender.empty() || index.find(id) != queue::kNone) continue;
    if (t.damaged.contains(id) || was_unread(id, t) || doubtful.contains(id)) continue;
    if (m.durability == Durability::Process && (power || t.failing)) continue;
    for (std::size_t i = 0; i < m.recipients.size(); ++i) {
      if (!m.recipients[i].stable || m.recipients[i].fate != Fate::Bounced) continue;
      bool told = false;
      for (auto at = told_.lower_bound({id, 0}); at != told_.end() && at->first.first == id; ++at)
        told |= at->second.contains(m.envelope.recipients[i].address) && there.contains(at->first);
      if (!told) fail("bounced, gone, and nobody is told: " + to_string(id) + " recipient " + std::to_string(i));
    }
  }
}

bool World::done_since_unread(MessageId id, const Tolerance &t) const {
  return t.unread.contains(id) && finished(mail.at(id));
}

bool World::outlived(MessageId id, const Mail &m, const Tolerance &t) const {
  // How it ended may have been known, forgotten by a start that could not read the journal, and known again.
  const bool ended = finished(m) || (t.journal_damaged && std::all_of(m.recipients.begin(), m.recipients.end(),
                                                                      [](const Destiny &d) { return d.told; }));
  return ended && (t.journal_damaged || was_unread(id, t));
}

void World::check(const queue::QueueCore &core, spool::Store &store, bool power, const Tolerance &t) const {
  const auto &index = core.index();
  std::set<MessageId> indexed;
  for (queue::MessageSlot slot = 0; slot < index.slots(); ++slot) {
    const auto &message = index.message(slot);
    if (!message.used) continue;
    const auto name = to_string(message.id);
    if (!indexed.insert(message.id).second) fail("twice in the index: " + name);
    const auto known = mail.find(message.id);
    if (known == mail.end() || !known->second.committing) fail("nobody committed " + name);
    const auto &m = known->second;
    // Of what was done the journal alone knows that it was.
    const bool forgotten = t.journal_damaged && finished(m);
    if (m.vanished && !forgotten && !t.damaged.contains(message.id) && !was_unread(message.id, t))
      fail("was not found after an earlier power cut, and now is: " + name);
    if (t.damaged.contains(message.id)) continue;
    if (message.corrupt && outlived(message.id, m, t)) continue;
    const auto commit = store.read_commit(message.id, index.commit_of(slot));
    if (!commit && disk_fails(commit.error())) continue;
    if (!commit) fail("no commit of " + name + ": " + commit.error().text);
    const auto envelope = store.read_envelope(*commit);
    if (!envelope && disk_fails(envelope.error())) continue;
    if (!envelope) fail("no envelope of " + name + ": " + envelope.error().text);
    if (encode_envelope(*envelope) != encode_envelope(m.envelope)) fail("another envelope: " + name);
    const auto body = store.read(commit->body, 0, commit->body.length);
    if (!body && disk_fails(body.error())) continue;
    if (!body && outlived(message.id, m, t)) continue;  // an operator released it, and nobody has looked yet
    if (!body) fail("no body of " + name + ": " + body.error().text);
    if (*body != m.bytes) fail("not the bytes that were sent: " + name);
    const auto pending = pending_of(index, slot);
    for (std::uint32_t i = 0; i < m.recipients.size(); ++i) {
      const auto &d = m.recipients[i];
      const auto who = name + " recipient " + std::to_string(i);
      if (!pending.contains(i)) {
        if (d.fate == Fate::Waiting && !m.deleted && !(t.journal_damaged && d.told)) fail("recipient lost: " + who);
        continue;
      }
      if (t.journal_damaged || was_unread(message.id, t)) continue;
      if (d.stable) fail("came back although its outcome is stable: " + who);
      if (d.active && !message.possible_duplicate) fail("may have been active and is not flagged: " + who);
    }
  }
  for (const auto &[id, m] : mail) {
    const bool present = index.find(id) != queue::kNone;
    const bool stable = std::all_of(m.recipients.begin(), m.recipients.end(), [](auto &d) { return d.stable; });
    if (present && stable && all(m, Fate::Sent) && !t.journal_damaged && !was_unread(id, t))
      fail("finished and still there: " + to_string(id));
    if (present || !m.acknowledged || m.deleted || t.damaged.contains(id) || t.unread_now.contains(id)) continue;
    if (m.acknowledged_in == starts) continue;  // its writer will say so
    if (m.durability == Durability::Process && power) continue;
    for (const auto &d : m.recipients)
      if (d.fate == Fate::Waiting && !(t.journal_damaged && d.told)) fail("acknowledged and lost: " + to_string(id));
  }
  check_notifications(index, power, t);
  // Where mail once was: nothing else is ever shown for it.
  each_place([&](const spool::Committed &at) {
    const auto envelope = store.read_envelope(at);
    if (envelope && encode_envelope(*envelope) != encode_envelope(mail.at(at.id).envelope))
      fail("a place shows another message: " + to_string(at.id));
  });
}

void World::adopt(const queue::QueueCore &core, bool power, const Tolerance &t) {
  const auto &index = core.index();
  for (auto &[id, m] : mail) {
    const auto slot = index.find(id);
    if (slot == queue::kNone) {
      if (!power || m.sent_in == starts || (m.deleted && m.deleted_in == starts) || t.unread_now.contains(id)) continue;
      if (t.some_unread_now && !places.contains(id)) continue;  // may lie there: it was not said where
      // What waited for its notification alone, and no more since it was found, may do so again.
      const bool notified = finished(m) && !all(m, Fate::Sent);
      // An outcome that a damaged journal hid may be known again, and hidden once more.
      const bool hidden = t.journal_damaged && std::all_of(m.recipients.begin(), m.recipients.end(),
                                                           [](const Destiny &d) { return d.told; });
      m.vanished = !notified && !hidden;
      m.acknowledged &= notified && m.durability == Durability::Power;
      continue;
    }
    m.vanished = false;  // check() knows why it was away
    if (index.message(slot).corrupt && outlived(id, m, t)) continue;
    for (const auto i : pending_of(index, slot)) {
      m.recipients[i].fate = Fate::Waiting;
      m.recipients[i].stable = false;
      // Nobody knows any more that it was under way: nor will a lease say so.
      if (t.journal_damaged || was_unread(id, t)) m.recipients[i].active = m.recipients[i].reached = false;
    }
  }
}

std::set<MessageId> World::lying_in(const std::string &path, std::uint64_t from, std::uint64_t to) const {
  std::set<MessageId> out;
  const auto named = spool::parse_file_name(path.substr(path.rfind('/') + 1));
  if (path.find("/segments/") == std::string::npos || !named) return out;  // or it is what is put aside there
  const auto number = *named;
  each_place([&](const spool::Committed &at) {
    // Of a large body the record's header stands far before it.
    auto body = at.body;
    if (body.segment != at.commit.segment) body = {body.segment, body.epoch, 4096 + 24, body.offset + body.length};
    if (overlaps(at.commit, number, from, to) || overlaps(at.envelope, number, from, to) ||
        overlaps(body, number, from, to))
      out.insert(at.id);
  });
  return out;
}

bool World::everything_delivered(const Tolerance &t, std::string *what) const {
  for (const auto &[id, m] : mail) {
    if (!m.acknowledged || m.deleted || t.damaged.contains(id)) continue;
    for (std::size_t i = 0; i < m.recipients.size(); ++i) {
      if (m.recipients[i].fate != Fate::Waiting || (t.journal_damaged && m.recipients[i].told)) continue;
      if (what) *what = to_string(id) + " recipient " + std::to_string(i);
      return false;
    }
  }
  return true;
}

}  // namespace mansio::test
