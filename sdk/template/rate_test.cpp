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
  FakeHost host{mansio_plugin_entry_1(), {{"most", "5"}}};
  const auto given = [&](std::uint32_t want) { return host.lease({.want = want}).values.at(0); };
  expect(given(3) == "3", "what is wanted is given");
  expect(given(3) == "2", "as long as there is some");
  host.give_back("tenant_rate_limit", "test", 1);
  expect(given(3) == "1", "what comes back is given again");
  expect(host.faults.empty(), "the rules are kept");
  std::printf("%s\n", failures == 0 ? "all tests passed" : "some tests failed");
  return failures == 0 ? 0 : 1;
}
