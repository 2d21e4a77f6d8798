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
  FakeHost host{mansio_plugin_entry_1(), {{"suffix", " (sorry)"}}};
  using Event = mansio::testing::FakeEvent;
  expect(host.tell(Event{.event = MANSIO_EVENT_DELIVERED, .recipient = "a@example.com"}), "it hears of deliveries");
  expect(host.metric("sent") == 1, "and counts them");
  host.tell(Event{.event = MANSIO_EVENT_BOUNCED, .recipient = "b@example.com", .fields = {{"text", "no such user"}}});
  expect(host.log == "0123456789ABC bounced for b@example.com: no such user (sorry)\n", "it logs what bounced");
  expect(!host.tell(Event{.event = MANSIO_EVENT_INSERTED}), "it hears of nothing else");
  expect(host.faults.empty(), "the rules are kept");
  std::printf("%s\n", failures == 0 ? "all tests passed" : "some tests failed");
  return failures == 0 ? 0 : 1;
}
