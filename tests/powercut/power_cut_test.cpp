// Lives of a spool, each ended by a power cut at some call that changes the disk: random ones, and first and second
// lives of which every call is cut in turn. After every cut the queue process starts on what is left, now and then on
// two such disks with different luck, and the world's claims must hold.
//
// MANSIO_POWER_CUTS=N makes N cuts instead of a few thousand; MANSIO_POWER_SEED=S with --gtest_filter repeats one seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "tests/powercut/machine.hpp"

#if defined(__SANITIZE_ADDRESS__)
// A process that is killed inside a call frees nothing: what it had is left as it was.
extern "C" [[gnu::visibility("default")]] int __lsan_is_turned_off();
extern "C" int __lsan_is_turned_off() { return 1; }
#endif

namespace mansio::test {
namespace {

enum class Faults { None, Writing, Reading, Space };

struct Kind {
  Durability durability = Durability::Power;
  bool mixed = false;
  Faults faults = Faults::None;
};

constexpr unsigned kCutsOfALineage = 10;
constexpr std::uint64_t kNamed = 200;              // octets of a message that hold its name, wherever they begin
constexpr std::uint64_t kLittleRoom = 300 << 10;   // less than the reserve: a queue drains there
constexpr std::uint64_t kEnoughRoom = 1400 << 10;  // more than the reserve
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kCuts = 500;  // which take longer there
#else
constexpr std::uint64_t kCuts = 3000;  // if nobody says otherwise
#endif
constexpr std::uint64_t kEnough = 150;  // cuts in which everything must have happened that can

struct Tally {
  std::uint64_t lineages = 0, cuts = 0, images = 0, starts = 0, faults = 0;
  std::uint64_t refused = 0;  // starts, for want of room
  Events events;
};

// ---- faults
// ----------------------------------------------------------------------------------------------------------

const char *random_part(Random &random) {
  constexpr std::array<const char *, 4> kParts{"segments/", "journal/", "", "epoch"};
  return kParts[random() % kParts.size()];
}

void break_something(FaultFiles &disk, Random &random) {
  const auto nth = 1 + random() % 60;
  const bool forever = random() % 2;
  switch (random() % 5) {
    case 0:
      return disk.fail_any(nth, Status::Busy, forever);  // no space
    case 1:
      return disk.fail(Op::Sync, random_part(random), 1 + nth / 4, Status::Internal, forever);
    case 2:
      return disk.fail(Op::Write, random_part(random), 1 + nth / 2, Status::Internal, forever);
    case 3: {  // no descriptors, no memory: who reads a segment, and who has its pages, cannot be said
      constexpr std::array<Op, 4> kAsked{Op::Duplicate, Op::Shared, Op::Forget, Op::List};
      return disk.fail(kAsked[random() % kAsked.size()], "segments", 1 + nth / 8, Status::Internal, forever);
    }
    default:
      return disk.fail_any(nth, Status::Internal, false);
  }
}

// A bit flips, or a sector dies or reads as zeros, on a disk without power. Who lies there?
Tolerance damage(FaultFiles &disk, World &world, Random &random) {
  Tolerance t;
  world.learn_places(disk);
  const auto paths = disk.paths("/spool/");
  std::vector<std::string> candidates;
  for (const auto &p : paths)
    if (disk.size(p) > 0 && p.find("/corrupt/") == std::string::npos && p.find("/lock") == std::string::npos)
      candidates.push_back(p);
  if (candidates.empty()) return t;
  const auto &path = candidates[random() % candidates.size()];
  auto offset = random() % disk.size(path);
  if (random() % 2) offset %= std::min<std::uint64_t>(disk.size(path), 12 * 1024);
  std::uint64_t from = offset, to = offset + 1;
  // Of headers and of the counter of epochs there are two copies, in sectors of their own: one sector that is lost in
  // this life and the other in a later one are more than they are made for.
  const bool twofold = path.ends_with("/epoch") || offset < spool::kPage;
  const auto how = random() % 3;
  if (how == 0 && !twofold) {
    disk.wipe(path, offset);
    from = offset / kSector * kSector;
    to = from + kSector;
    ++t.wiped;
  } else if (how != 1) {
    disk.flip(path, offset, static_cast<std::uint8_t>(1u << random() % 8));
  } else {
    if (path.ends_with("/epoch")) offset %= spool::kPage;  // one of two slots: without both there is no start
    disk.spoil(path, offset);
    from = offset / spool::kPage * spool::kPage;  // read by pages
    to = from + spool::kPage;
  }
  if (path.find("/journal/") != std::string::npos) t.journal_damaged = true;
  t.damaged = world.lying_in(path, from, to);
  return t;
}

// Another program's files leave so much of the disk: none, a little, less than the reserve, or enough for some mail.
void fill(FaultFiles &disk, Random &random) {
  constexpr std::array<std::uint64_t, 6> kLeft{0, 24 << 10, 200 << 10, 700 << 10, 1300 << 10, 2000 << 10};
  disk.limit(disk.used() + kLeft[random() % kLeft.size()]);
}

// ---- lives
// ----------------------------------------------------------------------------------------------------------

struct Spool {
  explicit Spool(Tally &t) : tally(t) {}
  World world;
  VirtualClock clock;
  Tolerance tolerance;
  Tally &tally;
  Faults faults = Faults::None;
  std::set<std::string> aside;

  template <class F>
  void on(FaultFiles &disk, std::uint64_t seed, F &&what) {
    Machine machine{world, clock, disk, tally.events, seed};
    const auto damage = tally.events.damage;
    try {
      what(machine);
      // What a cut or a failed call leaves behind is never taken for damage.
      if (faults != Faults::Reading && tally.events.damage > damage) throw Failure{"nothing was damaged"};
    } catch (const Failure &f) {
      throw Failure{f.text + "\n" + machine.log()};
    }
    aside.insert(machine.set_aside().begin(), machine.set_aside().end());
  }
  bool start(Machine &machine, FaultFiles &disk, bool alone) {
    machine.note("start");
    machine.tolerance = tolerance;
    ++tally.starts;
    bool started = machine.start_queue(alone);
    if (!started && faults == Faults::Space && machine.refusal.ends_with("no space")) {
      disk.limit(0);  // what was put aside for it is used up: somebody makes room
      ++tally.refused;
      started = machine.start_queue(alone);
    }
    if (started) {
      keeps_what_was_set_aside(disk);
      return true;
    }
    if (!disk.dead()) throw Failure{"the queue does not start: " + machine.refusal};
    return false;
  }
  // An unreadable message goes to corrupt/ with its bytes, or stays where it is; never to nowhere.
  void keeps_what_was_set_aside(const FaultFiles &disk) const {
    if (aside.empty()) return;
    std::string all;
    for (const auto *folder : {"/spool/segments/", "/spool/corrupt/"})
      for (const auto &path : disk.paths(folder)) all += disk.content(path);
    for (const auto &name : aside) {
      const auto mail = world.mail.find(*parse_message_id(name));
      // Its name is in it many times, and in one of the parts that lost sectors leave of it.
      const auto least = kNamed + tolerance.wiped * (kSector + kNamed);
      if (mail == world.mail.end() || mail->second.bytes.size() < least) continue;
      if (world.done_since_unread(mail->first, tolerance)) continue;
      if (all.find(name) == std::string::npos) throw Failure{"set aside, and now nowhere: " + name};
    }
  }
  // One of the disks that a cut may leave.
  void look_at(const FaultFiles &after, std::uint64_t luck, std::uint64_t seed) {
    const auto image = after.power_cut(luck);
    ++tally.images;
    on(*image, seed, [&](Machine &machine) {
      if (start(machine, *image, true)) machine.check(true);
    });
  }
};

// One spool through several lives, each ended by a cut.
void lineage(std::uint64_t seed, const Kind &kind, Tally &tally) {
  Random random{seed};
  Spool spool{tally};
  auto &tolerance = spool.tolerance;
  tolerance.failing = kind.faults != Faults::None;
  spool.faults = kind.faults;
  auto disk = std::make_unique<FaultFiles>();
  disk->hold_pages(8);
  for (unsigned life = 0; life < kCutsOfALineage; ++life) {
    // Now and then the power goes while a start is still recovering, and now and then in or after an orderly stop.
    const bool early = life > 0 && random() % 6 == 0;
    const bool orderly = !early && random() % 8 == 0;
    if (early) disk->cut_after(1 + random() % 12);
    if (kind.faults == Faults::Space && life > 0) fill(*disk, random);
    const auto live = [&](Machine &machine) {
      if (!spool.start(machine, *disk, false)) return;
      machine.check(life > 0);
      if (disk->dead()) return;
      machine.adopt(life > 0);
      machine.start_others();
      machine.fail_copies = kind.faults == Faults::Writing;
      if (!early && !orderly) disk->cut_after(1 + random() % 200);
      if (kind.faults == Faults::Writing && random() % 3) break_something(*disk, random);
      if (kind.faults == Faults::Reading && random() % 4 == 0)
        disk->fail(Op::Read, random_part(random), 1 + random() % 40, Status::Internal, random() % 4 == 0);
      machine.live(orderly ? random() % 400 : 400 + random() % 1500, kind.durability, kind.mixed);
      if (random() % 3) disk->heal();
      if (kind.faults == Faults::Space) fill(*disk, random);
      machine.live(random() % (orderly ? 200 : 800), kind.durability, kind.mixed);
      if (orderly && !disk->dead()) machine.stop_cleanly(random() % 2);
    };
    spool.on(*disk, random(), [&](Machine &machine) {
      live(machine);
      tolerance = machine.tolerance;
      tally.faults += disk->failures();
    });
    spool.clock.advance(static_cast<Nanos>(random() % 100) * kSecond);
    // The clock that a machine wakes up with may be behind.
    if (random() % 4 == 0) spool.clock.step_wall(-static_cast<Nanos>(random() % 2000) * kSecond);
    ++tally.cuts;
    if (random() % 3 == 0) spool.look_at(*disk, random(), random());
    disk = disk->power_cut(random());
    ++tally.images;
    if (kind.faults == Faults::Reading) {
      for (auto n = random() % 3; n > 0; --n) {
        auto t = damage(*disk, spool.world, random);
        tolerance.damaged.merge(t.damaged);
        tolerance.journal_damaged |= t.journal_damaged;
        tolerance.wiped += t.wiped;
      }
    }
  }
  if (kind.faults == Faults::Space) disk->limit(disk->used() + kLittleRoom);
  if (kind.faults == Faults::Reading) disk->heal();  // but for bits that have flipped
  spool.on(*disk, seed, [&](Machine &last) {
    spool.start(last, *disk, true);
    last.check(true);
    last.adopt(true);
    last.start_others();
    const auto deliver = [&] {
      std::string what;
      if (last.deliver_everything()) return;
      spool.world.everything_delivered(last.tolerance, &what);
      throw Failure{"was never delivered: " + what};
    };
    deliver();
    last.check(true);
    if (kind.faults != Faults::Space) return;
    disk->limit(disk->used() + kEnoughRoom);
    if (!last.accepts_again()) throw Failure{"an empty queue on a disk with room accepts nothing"};
    deliver();
  });
}

// A life, cut at its n-th call; 0: not at all. Returns how many calls it took.
std::uint64_t one_life(Spool &spool, FaultFiles &disk, std::uint64_t seed, std::uint64_t n, bool first) {
  if (n > 0) disk.cut_after(n);
  spool.on(disk, seed, [&](Machine &machine) {
    if (!spool.start(machine, disk, false)) return;
    machine.check(!first);
    machine.adopt(!first);
    machine.start_others();
    machine.live(first ? 500 : 200, Durability::Power, false);
    if (seed % 4 == 0 && !disk.dead()) machine.stop_cleanly(false);
  });
  if (n > 0) {
    ++spool.tally.cuts;
    spool.look_at(disk, seed + n, n);
  }
  return disk.operations();
}

std::uint64_t first_life(std::uint64_t seed, std::uint64_t n, Tally &tally) {
  Spool spool{tally};
  FaultFiles disk;
  return one_life(spool, disk, seed, n, true);
}

// Of a spool whose first life ended somewhere: each call of its second one, those of the recovery first.
void second_lives(std::uint64_t seed, Tally &tally) {
  Random random{seed};
  Spool before{tally};
  FaultFiles disk;
  one_life(before, disk, seed, 20 + random() % 200, true);
  before.clock.advance(kSecond);
  const auto luck = random();
  const auto live = [&](std::uint64_t n) {
    Spool spool = before;
    const auto left = disk.power_cut(luck);
    return one_life(spool, *left, seed, n, false);
  };
  const auto calls = live(0);
  for (std::uint64_t n = 1; n <= calls; ++n) live(n);
}

// ---- runs
// ----------------------------------------------------------------------------------------------------------

std::uint64_t from_environment(const char *name, std::uint64_t otherwise) {
  const auto *text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// `share`: of all cuts, in hundredths. `expect`: what must have happened in a whole run of so many seeds.
template <class Life, class Expect>
void run(unsigned share, Life &&life, Expect &&expect, std::uint64_t seeds = 1) {
  const auto cuts = from_environment("MANSIO_POWER_CUTS", kCuts) * share / 100;
  const auto only = from_environment("MANSIO_POWER_SEED", 0);
  const auto first = only ? only : from_environment("MANSIO_POWER_FIRST_SEED", 1);
  const auto *test = ::testing::UnitTest::GetInstance()->current_test_info();
  Tally tally;
  unsigned failures = 0;
  for (auto seed = first; tally.cuts < cuts && (!only || seed == only); ++seed) {
    ++tally.lineages;
    try {
      life(seed, tally);
    } catch (const Failure &f) {
      ++failures;
      ADD_FAILURE() << "seed " << seed << ": " << f.text << "\nrepeat: MANSIO_POWER_SEED=" << seed
                    << " build/release/bin/power-cut --gtest_filter=PowerCut." << test->name();
      if (failures >= 10) break;
    }
  }
  const auto &e = tally.events;
  const auto n = [](std::uint64_t v) { return static_cast<unsigned long long>(v); };
  std::printf("%s: cuts=%llu images=%llu seeds=%llu..%llu starts=%llu faults=%llu failures=%u\n", test->name(),
              n(tally.cuts), n(tally.images), n(first), n(first + tally.lineages - 1), n(tally.starts), n(tally.faults),
              failures);
  std::printf(
      "  recycled %llu, checkpoints %llu, killed in a call %llu, flagged %llu, clean starts %llu, "
      "segments given up %llu, set aside %llu, clock set %llu, copied %llu, replaced %llu, disk full %llu, "
      "put aside and used %llu, starts refused %llu, reports in parts %llu, deliveries given up %llu, leases refused "
      "%llu\n",
      n(e.recycled), n(e.checkpoints), n(e.killed_inside), n(e.flagged), n(e.clean_starts), n(e.abandoned),
      n(e.set_aside), n(e.clock_steps), n(e.copied), n(e.replaced), n(e.full), n(e.put_aside_used), n(tally.refused),
      n(e.in_parts), n(e.given_up), n(e.refused));
  if (only || failures > 0 || tally.cuts < kEnough || tally.lineages < seeds) return;
  EXPECT_GT(e.recycled, 0u);
  EXPECT_GT(e.checkpoints, 0u);
  EXPECT_GT(e.killed_inside, 0u);
  EXPECT_GT(e.flagged, 0u);
  EXPECT_GT(e.clean_starts, 0u);
  EXPECT_GT(e.clock_steps, 0u);
  expect(e);
}

void lineages(const Kind &kind, unsigned share) {
  run(
      share, [&](std::uint64_t seed, Tally &tally) { lineage(seed, kind, tally); },
      [&](const Events &e) {
        EXPECT_GT(e.copied, 0u);
        EXPECT_GT(e.replaced, 0u);
        EXPECT_GT(e.in_parts, 0u);
        EXPECT_GT(e.given_up, 0u);
        EXPECT_GT(e.refused, 0u);
        if (kind.faults == Faults::Space) {
          EXPECT_GT(e.full, 0u);
          EXPECT_GT(e.put_aside_used, 0u);
        }
        if (kind.faults == Faults::Writing) {
          EXPECT_GT(e.abandoned, 0u);
        }
        if (kind.faults == Faults::Reading) {
          EXPECT_GT(e.set_aside, 0u);
        }
      });
}

TEST(PowerCut, WhatWasAcknowledgedIsThereAndWhatIsDoneStaysDone) { lineages({}, 25); }

TEST(PowerCut, ProcessDurabilityMayLoseMailButNeverMixesIt) { lineages({.durability = Durability::Process}, 10); }

TEST(PowerCut, BothDurabilitiesShareASpool) { lineages({.mixed = true}, 10); }

TEST(PowerCut, FailedWritesAndSyncsLoseNothing) { lineages({.mixed = true, .faults = Faults::Writing}, 15); }

TEST(PowerCut, AFullDiskDrainsAndAcceptsMailAgain) { lineages({.mixed = true, .faults = Faults::Space}, 10); }

TEST(PowerCut, UnreadableSectorsAndFlippedBitsCostOnlyWhatLiesThere) { lineages({.faults = Faults::Reading}, 10); }

TEST(PowerCut, AFirstLifeMayEndAtEachOfItsCalls) {
  run(
      15,
      [](std::uint64_t seed, Tally &tally) {
        const auto calls = first_life(seed, 0, tally);
        for (std::uint64_t n = 1; n <= calls; ++n) first_life(seed, n, tally);
      },
      [](const Events &) {}, 4);  // some have no process that is killed inside a call, or none that stops in order
}

TEST(PowerCut, ASecondLifeMayEndAtEachOfItsCalls) {
  run(
      5, second_lives, [](const Events &) {}, 20);
}

}  // namespace
}  // namespace mansio::test
