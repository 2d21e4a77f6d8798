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
  FakeHost host{mansio_plugin_entry_1(), {{"value", "x"}}};
  const auto result = host.run({.stage = MANSIO_STAGE_END_OF_MESSAGE, .content = "Subject: test\r\n\r\nHello.\r\n"});
  expect(result.last->status == MANSIO_OK, "a message passes");
  expect(result.edits == std::vector<std::string>{"add_header X-@CLASS@: x"}, "it has the field, as configured");
  expect(!host.wants(MANSIO_STAGE_RCPT), "other stages are not asked for");
  expect(host.faults.empty(), "the rules are kept");
  std::printf("%s\n", failures == 0 ? "all tests passed" : "some tests failed");
  return failures == 0 ? 0 : 1;
}
