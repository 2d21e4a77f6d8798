// What tests of stores hand to the fake host.
//
//   FakeHost host{mansio_plugin_entry_1(), {{"directory", directory}}};
//   EXPECT_EQ(host.commit("a-1", "octets").status, MANSIO_OK);
//   EXPECT_EQ(host.outcome({.id = "a-1", .sequence = 1, .record = "half of it"}).status, MANSIO_OK);
//   EXPECT_EQ(host.read({.id = "a-1"}).values, (std::vector<std::string>{"octets", "half of it"}));
//   EXPECT_EQ(host.scan().values, (std::vector<std::string>{"", "a-1"}));
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "mansio/store.hpp"

namespace mansio::testing {

struct FakeOutcome {
  std::string id;
  std::uint64_t sequence = 1;
  std::string record{};
  bool last = false;
  std::chrono::nanoseconds time_limit = std::chrono::hours{1};
};

struct FakeRead {
  std::string id;
  std::uint64_t offset = 0, length = 512 * 1024;
  std::chrono::nanoseconds time_limit = std::chrono::hours{1};
};

struct FakeScan {
  std::string cursor{};
  std::uint32_t max = 1000;
  std::chrono::nanoseconds time_limit = std::chrono::hours{1};
};

// As the host calls, with a deadline of its own clock.
inline void ask(const mansio_store &store, void *self, mansio_op op, const std::string &id, std::uint64_t length,
                std::int64_t deadline) {
  mansio_store_commit c{};
  c.size = sizeof c;
  c.id = plugin::str(id);
  c.length = length;
  c.deadline = deadline;
  store.commit(self, op, &c);
}
inline void ask(const mansio_store &store, void *self, mansio_op op, const FakeOutcome &outcome,
                std::int64_t deadline) {
  mansio_store_outcome o{};
  o.size = sizeof o;
  o.last = outcome.last ? 1 : 0;
  o.id = plugin::str(outcome.id);
  o.sequence = outcome.sequence;
  o.record = plugin::str(outcome.record);
  o.deadline = deadline;
  store.outcome(self, op, &o);
}
inline void ask(const mansio_store &store, void *self, mansio_op op, const FakeRead &read, std::int64_t deadline) {
  mansio_store_read r{};
  r.size = sizeof r;
  r.id = plugin::str(read.id);
  r.offset = read.offset;
  r.length = read.length;
  r.deadline = deadline;
  store.read(self, op, &r);
}
inline void ask(const mansio_store &store, void *self, mansio_op op, const FakeScan &scan, std::int64_t deadline) {
  mansio_store_scan s{};
  s.size = sizeof s;
  s.max = scan.max;
  s.cursor = plugin::str(scan.cursor);
  s.deadline = deadline;
  store.scan(self, op, &s);
}

}  // namespace mansio::testing
