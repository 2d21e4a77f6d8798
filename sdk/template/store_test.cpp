// Unit tests of @NAME@ on the SDK's fake host: no Mansio is needed.
#include <cstdio>
#include <mansio/testing/fake_host.hpp>

using mansio::testing::FakeHost;

static int failures = 0;

static void expect(bool fine, const char *what) {
  if (fine) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

int main() {
  using Values = std::vector<std::string>;
  FakeHost host{mansio_plugin_entry_1()};
  expect(host.commit("a-1", "one").status == MANSIO_OK, "a message is kept");
  expect(host.commit("a-2", std::string(100'000, 'x')).status == MANSIO_OK, "a large one, too");
  expect(host.scan({.max = 1}).values == Values{"a-1", "a-1"}, "it is named, and there are more");
  expect(host.scan({.cursor = "a-1"}).values == Values{"", "a-2"}, "the other is named then");
  expect(host.outcome({.id = "a-1", .sequence = 2, .record = "both"}).status == MANSIO_OK, "an outcome is kept");
  expect(host.outcome({.id = "a-1", .sequence = 1, .record = "one"}).status == MANSIO_OK,
         "an older one is passed over");
  expect(host.read({.id = "a-1", .offset = 1, .length = 1}).values == Values{"n", "both"}, "parts can be read");
  expect(host.read({.id = "a-2"}).values.at(0).size() == 100'000, "and all of it");
  expect(host.commit("a-1", "again").status == MANSIO_OK, "a message may be committed again");
  expect(host.read({.id = "a-1"}).values == Values{"again", ""}, "and its outcome is forgotten");
  expect(host.outcome({.id = "a-1", .last = true}).status == MANSIO_OK, "with the last outcome it goes");
  expect(host.outcome({.id = "a-1", .last = true}).status == MANSIO_OK, "which may be told again");
  expect(host.read({.id = "a-1"}).status == MANSIO_NOT_FOUND, "and is not there any more");
  expect(host.scan().values == Values{"", "a-2"}, "nor named");
  expect(host.faults.empty(), "the rules are kept");
  std::printf("%s\n", failures == 0 ? "all tests passed" : "some tests failed");
  return failures == 0 ? 0 : 1;
}
