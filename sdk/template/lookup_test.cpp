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
  FakeHost host{mansio_plugin_entry_1(), {{"@OPTION@", "x"}}};
  const auto answer = host.lookup("key");
  expect(answer.status == MANSIO_OK, "a key is found");
  expect(answer.values == std::vector<std::string>{"@FOUND@"}, "its value is as configured");
  expect(host.lookup("").status == MANSIO_NOT_FOUND, "an empty key is not found");
  expect(host.faults.empty(), "the rules are kept");
  std::printf("%s\n", failures == 0 ? "all tests passed" : "some tests failed");
  return failures == 0 ? 0 : 1;
}
