// Random lives of a spool, each ended by a power cut at any call that changes the disk. After every cut the queue
// process starts on what is left, several times over with different luck, and the world's claims must hold.
//
// MANSIO_POWER_CUTS=N runs N cuts instead of a few thousand; MANSIO_POWER_SEED=S with --gtest_filter repeats one seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/powercut/machine.hpp"

namespace mansio::test {
namespace {

enum class Faults { None, Writing, Reading };

struct Kind {
  Durability durability = Durability::Power;
  bool mixed = false;
  Faults faults = Faults::None;
};

constexpr unsigned kCutsOfALineage = 10;
constexpr unsigned kImages = 3;  // of each cut

struct Tally {
  std::uint64_t lineages = 0, cuts = 0, starts = 0, faults = 0, refused = 0;
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
  switch (random() % 4) {
    case 0:
      return disk.fail_any(nth, Status::Busy, forever);  // no space
    case 1:
      return disk.fail(Op::Sync, random_part(random), 1 + nth / 4, Status::Internal, forever);
    case 2:
      return disk.fail(Op::Write, random_part(random), 1 + nth / 2, Status::Internal, forever);
    default:
      return disk.fail_any(nth, Status::Internal, false);
  }
}

// A bit flips or a sector dies on a disk without power. Who lies there?
Tolerance damage(FaultFiles &disk, const World &world, Random &random) {
  Tolerance t;
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
  if (random() % 2) {
    disk.flip(path, offset, static_cast<std::uint8_t>(1u << random() % 8));
  } else {
    disk.spoil(path, offset);
    from = offset / spool::kPage * spool::kPage;  // read by pages
    to = from + spool::kPage;
  }
  if (path.find("/journal/") != std::string::npos) t.journal_damaged = true;
  t.damaged = world.lying_in(path, from, to);
  return t;
}

// ---- lineages
// --------------------------------------------------------------------------------------------------------

// One spool through several lives, each ended by a cut.
void lineage(std::uint64_t seed, const Kind &kind, Tally &tally) {
  Random random{seed};
  World world;
  VirtualClock clock;
  Tolerance tolerance;
  tolerance.failing = kind.faults != Faults::None;
  auto disk = std::make_unique<FaultFiles>();
  const auto start = [&](Machine &machine, FaultFiles &on, bool alone) {
    machine.note("start");
    machine.tolerance = tolerance;
    ++tally.starts;
    if (machine.start_queue(alone)) return true;
    if (!on.dead()) throw Failure{"the queue does not start: " + machine.refusal + "\n" + machine.log()};
    return false;
  };
  const auto run = [&](Machine &machine, auto &&what) {
    try {
      what();
    } catch (const Failure &f) {
      throw Failure{f.text + "\n" + machine.log()};
    }
  };
  for (unsigned life = 0; life < kCutsOfALineage; ++life) {
    // Now and then the power goes while a start is still recovering.
    const bool early = life > 0 && random() % 6 == 0;
    if (early) disk->cut_after(1 + random() % 12);
    {
      Machine machine{world, clock, *disk, random()};
      run(machine, [&] {
        if (!start(machine, *disk, false)) return;
        machine.check(life > 0);
        if (disk->dead()) return;
        machine.adopt(life > 0);
        machine.start_others();
        if (!early) disk->cut_after(1 + random() % 200);
        if (kind.faults == Faults::Writing && random() % 3) break_something(*disk, random);
        if (kind.faults == Faults::Reading && random() % 4 == 0)
          disk->fail(Op::Read, random_part(random), 1 + random() % 40, Status::Internal, random() % 4 == 0);
        machine.live(400 + random() % 1500, kind.durability, kind.mixed);
        if (random() % 3) disk->heal();
        machine.live(random() % 800, kind.durability, kind.mixed);
        tolerance = machine.tolerance;
        tally.faults += disk->failures();
        if (random() % 8 == 0 && !disk->dead()) machine.stop_cleanly();
      });
    }
    clock.advance(static_cast<Nanos>(random() % 100) * kSecond);
    for (unsigned image = 1; image < kImages; ++image) {
      const auto other = disk->power_cut(random());
      Machine machine{world, clock, *other, random()};
      ++tally.cuts;
      run(machine, [&] {
        if (start(machine, *other, true)) machine.check(true);
      });
    }
    disk = disk->power_cut(random());
    ++tally.cuts;
    if (kind.faults == Faults::Reading && random() % 3 == 0) {
      auto t = damage(*disk, world, random);
      tolerance.damaged.merge(t.damaged);
      tolerance.journal_damaged |= t.journal_damaged;
    }
  }
  Machine last{world, clock, *disk, seed};
  run(last, [&] {
    start(last, *disk, true);
    last.check(true);
    last.adopt(true);
    last.start_others();
    std::string what;
    if (kind.faults != Faults::Reading && !last.deliver_everything()) {
      world.everything_delivered(&what);
      throw Failure{"was never delivered: " + what};
    }
  });
}

std::uint64_t from_environment(const char *name, std::uint64_t otherwise) {
  const auto *text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// `share`: of all cuts, in hundredths.
void lineages(const Kind &kind, unsigned share) {
  const auto cuts = from_environment("MANSIO_POWER_CUTS", 3000) * share / 100;
  const auto only = from_environment("MANSIO_POWER_SEED", 0);
  const auto first = only ? only : from_environment("MANSIO_POWER_FIRST_SEED", 1);
  const auto *test = ::testing::UnitTest::GetInstance()->current_test_info();
  Tally tally;
  unsigned failures = 0;
  for (auto seed = first; tally.cuts < cuts && (!only || seed == only); ++seed) {
    ++tally.lineages;
    try {
      lineage(seed, kind, tally);
    } catch (const Failure &f) {
      ++failures;
      ADD_FAILURE() << "seed " << seed << ": " << f.text << "\nrepeat: MANSIO_POWER_SEED=" << seed
                    << " build/release/bin/power-cut --gtest_filter=PowerCut." << test->name();
      if (failures >= 10) break;
    }
  }
  std::printf("%s: cuts=%llu seeds=%llu..%llu starts=%llu faults=%llu failures=%u\n", test->name(),
              static_cast<unsigned long long>(tally.cuts), static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(first + tally.lineages - 1),
              static_cast<unsigned long long>(tally.starts), static_cast<unsigned long long>(tally.faults), failures);
}

TEST(PowerCut, WhatWasAcknowledgedIsThereAndWhatIsDoneStaysDone) { lineages({}, 50); }

TEST(PowerCut, ProcessDurabilityMayLoseMailButNeverMixesIt) { lineages({.durability = Durability::Process}, 10); }

TEST(PowerCut, BothDurabilitiesShareASpool) { lineages({.mixed = true}, 15); }

TEST(PowerCut, FailedWritesAndSyncsLoseNothing) { lineages({.mixed = true, .faults = Faults::Writing}, 15); }

TEST(PowerCut, UnreadableSectorsAndFlippedBitsCostOnlyWhatLiesThere) { lineages({.faults = Faults::Reading}, 10); }

}  // namespace
}  // namespace mansio::test
