// Random life of a spool with the power cut at any step: accept, admit, retire, checkpoint, recycle, restart.
// After every cut: what was acknowledged is there, once and intact; what is done and synced stays done; what
// was never complete is never seen. Here the spool's threads are real, and no run is like another; what a whole queue
// process makes of it, step by step and repeatably, is in tests/powercut.
#include <random>

#include "tests/unit/spool/spool_rig.hpp"

namespace mansio::spool {
namespace {

using test::FaultFiles;

// What the world outside the spool knows, over all generations.
struct World {
  std::map<MessageId, std::string> sent;  // every message ever begun, with its bytes
  std::set<MessageId> acknowledged, done_appended, done_synced;
  std::uint64_t generations = 0, recovered = 0, recycled = 0;
};

class Generation {
 public:
  Generation(World &world, FaultFiles &disk, std::uint64_t seed, Durability durability = Durability::Power)
      : world_(world), disk_(disk), random_(seed), durability_(durability), rig_(disk, options()) {}

  static StoreOptions options() {
    auto o = Rig::small();
    o.journal_rotate_bytes = 40'000;
    return o;
  }

  // Recovery checked against the world, then adopted as a queue process would.
  void check() {
    ASSERT_FALSE(rig_.error) << rig_.error->text;
    std::set<MessageId> done;
    for (const auto &entry : rig_.entries) {
      if (!entry.starts_with("done ")) continue;
      if (const auto id = parse_message_id(entry.substr(5))) done.insert(*id);
    }
    std::set<MessageId> present;
    for (const auto &f : rig_.found) {
      const auto &id = f.message.id;
      ASSERT_TRUE(present.insert(id).second) << "twice in the spool: " << to_string(id);
      ASSERT_TRUE(world_.sent.contains(id)) << "nobody ever sent " << to_string(id);
      if (!done.contains(id) || rig_.store->holds(f.message.body)) {
        ASSERT_EQ(rig_.body_of(f.message), world_.sent[id]) << to_string(id);
      }
      ASSERT_EQ(f.envelope.recipients.at(0).address, to_string(id) + "@example.net");
      ASSERT_TRUE(!world_.done_synced.contains(id) || done.contains(id)) << "came back: " << to_string(id) << log();
    }
    if (durability_ == Durability::Power) {
      for (const auto &id : world_.acknowledged) {
        ASSERT_TRUE(world_.done_appended.contains(id) || present.contains(id)) << "lost: " << to_string(id) << log();
      }
    }
    for (const auto &f : rig_.found) {
      ASSERT_TRUE(rig_.store->admit(f.message));
      ++world_.recovered;
      if (done.contains(f.message.id)) {
        rig_.store->retire(f.message.commit, 0);
        world_.done_appended.insert(f.message.id);
      } else {
        live_[f.message.id] = f.message;
        world_.done_appended.erase(f.message.id);
      }
    }
  }

  void live() {
    ++world_.generations;
    WriterOptions o;
    o.large_body = 12000;
    o.max_batch_wait = 20'000;
    rig_.open_writer(o);
    rig_.store->on_synced([this](std::uint64_t sequence) {
      while (!unsynced_.empty() && unsynced_.begin()->first <= sequence) {
        world_.done_synced.insert(unsynced_.begin()->second);
        unsynced_.erase(unsynced_.begin());
      }
    });
    const auto sessions = 1 + random_() % 6;
    for (std::uint64_t i = 0; i < sessions; ++i) asio::co_spawn(rig_.loop, session(2 + random_() % 12), asio::detached);
    ASSERT_TRUE(rig_.run_until([&] {
      return finished_ == sessions || (disk_.dead() && stopped_ + finished_ == sessions);
    })) << log();
  }

  bool stop_cleanly() {
    rig_.writer->close();
    rig_.poll();
    return rig_.store->close_clean().ok();
  }

 private:
  Task<> session(std::uint64_t messages) {
    for (std::uint64_t i = 0; i < messages; ++i) {
      auto id = co_await rig_.writer->reserve_id();
      if (!id) break;
      const std::string prefix = "X: " + to_string(*id) + "\r\n";
      std::string body(random_() % 10 == 0 ? 12000 + random_() % 20000 : random_() % 3000,
                       static_cast<char>('a' + random_() % 26));
      if (random_() % 16 == 0) continue;  // an id reserved for nothing
      world_.sent[*id] = prefix + body;
      auto draft = rig_.writer->begin();
      auto appended = co_await draft->append(body);
      if (!appended) break;
      if (random_() % 16 == 0) continue;  // the client went away
      const auto envelope = envelope_to(to_string(*id) + "@example.net");
      auto committed = co_await rig_.writer->commit(*id, prefix, std::move(draft), envelope, durability_);
      if (!committed) {
        if (disk_.dead()) break;
        continue;
      }
      world_.acknowledged.insert(*id);
      if (random_() % 20 != 0) admit(*committed);  // or the notice is lost
      work();
    }
    if (disk_.dead())
      ++stopped_;
    else
      ++finished_;
  }

  void admit(const Committed &message) {
    if (rig_.store->admit(message)) live_[message.id] = message;
  }

  // What a queue process does meanwhile.
  void work() {
    while (!live_.empty() && random_() % 5 != 0) {
      auto i = live_.begin();
      std::advance(i, static_cast<std::ptrdiff_t>(random_() % live_.size()));
      const auto message = i->second;
      live_.erase(i);
      const auto sequence = rig_.store->journal("done " + to_string(message.id));
      world_.done_appended.insert(message.id);
      unsynced_.emplace(sequence, message.id);
      rig_.store->retire(message.commit, sequence);
    }
    if (rig_.store->wants_checkpoint() || random_() % 16 == 0) {
      rig_.store->begin_checkpoint();
      for (const auto &[id, message] : live_) rig_.store->snapshot("live " + to_string(id));
      rig_.store->end_checkpoint();
    }
    if (random_() % 8 == 0) scan_sealed();
  }
  // As the queue does for writers whose notices it may have missed.
  void scan_sealed() {
    for (std::size_t i = 0; i < rig_.source.seals.size(); ++i) {
      rig_.store->scan(
          rig_.source.seals[i].first, rig_.source.sealed_epochs[i], false,
          [this](const Committed &message, const Envelope &) { admit(message); }, [](const Result<void> &) {});
    }
  }
  std::string log() const {
    std::string out = "\n";
    const auto &lines = rig_.sink.lines;
    for (std::size_t i = lines.size() > 30 ? lines.size() - 30 : 0; i < lines.size(); ++i) out += lines[i];
    return out;
  }

  World &world_;
  FaultFiles &disk_;
  std::mt19937_64 random_;
  Durability durability_;
  std::map<MessageId, Committed> live_;
  std::multimap<std::uint64_t, MessageId> unsynced_;
  std::uint64_t finished_ = 0, stopped_ = 0;
  Rig rig_;  // last: what its loop still runs at the end uses the rest
};

// A lineage: one spool through several lives, each ended by a cut.
void lineage(std::uint64_t seed, int cuts, Durability durability) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random{seed};
  World world;
  auto disk = std::make_unique<FaultFiles>();
  for (int i = 0; i <= cuts; ++i) {
    SCOPED_TRACE("cut " + std::to_string(i));
    // Now and then the power goes while a start is still recovering.
    const bool early = i > 0 && random() % 6 == 0;
    if (early) disk->cut_after(1 + random() % 8);
    {
      Generation generation{world, *disk, random(), durability};
      if (!disk->dead()) {
        generation.check();
        if (::testing::Test::HasFatalFailure()) return;
        if (!early) disk->cut_after(1 + random() % 120);
        generation.live();
        if (::testing::Test::HasFatalFailure()) return;
        if (random() % 8 == 0) generation.stop_cleanly();
      }
    }
    disk = disk->power_cut(random());
  }
  Generation last{world, *disk, seed, durability};
  last.check();
}

TEST(SpoolPowerCut, AcknowledgedMailIsPresentIntactAndOnce) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    lineage(seed, 10, Durability::Power);
    if (HasFatalFailure()) return;
  }
}

TEST(SpoolPowerCut, ProcessDurabilityMayLoseMailButNeverMixesIt) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    lineage(seed + 1'000'000, 10, Durability::Process);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace mansio::spool
