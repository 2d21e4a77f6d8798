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
  FakeHost host{mansio_plugin_entry_1(), {{"refuse", "x.example"}}};
  using Stage = mansio::testing::FakeStage;
  const auto refused = host.run(Stage{.stage = MANSIO_STAGE_RCPT, .arguments = {"a@x.example"}});
  expect(refused.last->status == MANSIO_FAIL, "a recipient there is refused");
  expect(refused.last->enhanced == "5.7.1", "with a code");
  const auto taken = host.run(Stage{.stage = MANSIO_STAGE_RCPT, .arguments = {"a@example.com"}});
  expect(taken.last->status == MANSIO_OK, "others are not");
  expect(host.faults.empty(), "the rules are kept");
  std::printf("%s\n", failures == 0 ? "all tests passed" : "some tests failed");
  return failures == 0 ? 0 : 1;
}
