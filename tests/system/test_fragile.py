"""examples/fragile.toml in the whole program, with next hops that refuse connections: bursts do not make "fragile" put mail off
that was not tried, nor one failure "slow", which keeps its delay. The same with a failed_cohort_limit of 1 shows what for."""
import os
import threading
import time
import unittest

import rig

EXAMPLE = os.path.join(os.path.dirname(__file__), "../../examples/fragile.toml")
LIMIT = "destination_concurrency_failed_cohort_limit = 100"
BEFORE, BURST, AFTER = 20, 50, 10  # messages; a burst of refusals is less than a hundred rounds


class Fragile(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.lock = threading.Lock()
        self.refusals = 0  # connections to refuse yet
        self.begun, self.done = [], []  # when transactions were
        self.next_hop = self.peer(on=self.on)

    def on(self, command, session, argument):
        with self.lock:
            if command == "CONNECT" and self.refusals > 0:
                self.refusals -= 1
                return "421 4.3.2 too much at once"
            if command == "MAIL":
                self.begun.append(time.monotonic())
            if command == "DOT":
                self.done.append(time.monotonic())

    def refuse(self, connections):
        with self.lock:
            self.refusals = connections

    def start(self, name, limit=LIMIT):
        with open(EXAMPLE) as f:
            example = f.read()
        # A connection that is kept would pass a burst by.
        for old, new in ((f"{name}:\n", f"{name}:[127.0.0.1]:{self.next_hop.port}\n"), ("127.0.0.1:2525", "127.0.0.1:{port}"),
                         ('plugin = "transport-smtp"', 'plugin = "transport-smtp"\nsmtp_connection_cache_on_demand = false'),
                         (LIMIT, limit)):
            self.assertIn(old, example)
            example = example.replace(old, new)
        self.to = f"b@{name}.example.com"
        self.server = self.mansio(example)

    def send(self, count):
        with rig.Client(self.server.port) as client:
            client.cmd("EHLO client.test")
            for _ in range(count):
                client.message("a@example.org", [self.to], "Subject: x\r\n\r\nHello.\r\n")

    def suspended(self):
        """Deliveries that were put off with no attempt."""
        return [d for d in self.server.deliveries(status="deferred") if "delivery temporarily suspended" in d["text"]]

    def arrived(self, count):
        rig.wait_for(lambda: self.next_hop.count() == count, f"{count} messages at the next hop")

    def burst(self, limit):
        """Mail before a burst of refusals and in it."""
        self.start("fragile", limit)
        self.send(BEFORE)
        self.arrived(BEFORE)
        self.assertEqual(self.server.deliveries(status="deferred"), [])
        self.refuse(10 * BURST)
        self.send(BURST)
        self.server.wait_deferred(BURST)
        self.refuse(0)

    def flush(self):
        self.server.cli("queue", "flush", "--all")
        self.arrived(BEFORE + BURST + AFTER)
        rig.wait_for(lambda: self.server.queue() == [], "an empty queue")

    def test_a_burst_of_refusals_holds_up_only_what_it_met(self):
        self.burst(LIMIT)
        self.assertEqual(self.next_hop.connections, BEFORE + BURST)  # each was tried
        self.send(AFTER)
        self.arrived(BEFORE + AFTER)
        self.assertEqual(self.suspended(), [])
        self.assertEqual({d["transport"] for d in self.server.deliveries()}, {"fragile"})
        self.flush()

    def test_with_a_limit_of_one_it_holds_up_all(self):
        self.burst("destination_concurrency_failed_cohort_limit = 1")
        tried = self.next_hop.connections
        self.assertLess(tried, BEFORE + BURST)
        self.send(AFTER)
        self.server.wait_deferred(BURST + AFTER)  # though the burst is over
        self.assertEqual(len(self.suspended()), BEFORE + BURST + AFTER - tried)
        self.assertEqual((self.next_hop.connections, self.next_hop.count()), (tried, BEFORE))
        self.flush()

    def test_slow_keeps_its_delay_and_a_refusal_is_one_messages_alone(self):
        self.start("slow")
        self.refuse(1)
        self.send(4)
        self.arrived(3)
        self.server.wait_event("delivery", 3, status="sent", transport="slow")
        (refused,) = self.server.deliveries(status="deferred")
        self.assertIn("too much at once", refused["text"])
        self.assertEqual(self.suspended(), [])
        with self.lock:
            waits = [begun - done for done, begun in zip(self.done, self.begun[1:])]
        self.assertEqual(len(waits), 2)
        for wait in waits:
            self.assertGreaterEqual(wait, 0.99)  # one by one; clocks are read a moment apart

    def test_slow_with_a_limit_of_one_puts_all_off_for_one_refusal(self):
        self.start("slow", "destination_concurrency_failed_cohort_limit = 1")
        self.refuse(1)
        self.send(4)
        self.server.wait_deferred(4)
        self.assertEqual(len(self.suspended()), 3)
        self.assertEqual(self.next_hop.connections, 1)


if __name__ == "__main__":
    unittest.main()
