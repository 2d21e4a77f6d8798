"""kill -9 of every process kind under load loses nothing (kill_run.py; scripts/soak/kill is the long form), and the
bound on duplicates that this is held to is one that can be broken (kill_bound.py)."""
import unittest

import kill_run
from kill_bound import Arrival, Kill, judge
from rig import SLOW, TestCase


class Kills(TestCase):
    def test_no_acknowledged_message_is_lost(self):
        kill_run.run(self, messages=4000 // SLOW, kills=12, seed=7)


class Bound(unittest.TestCase):
    """One message that arrived at 10.0 over a connection of 9.0, and again at 20."""

    def unexcused(self, reported, *kills, at=10.0):
        lines = {"Q": [t for t in (reported, 20.5) if t is not None]}
        arrivals = [Arrival(at, 9.0, "Q"), Arrival(20.0, 19.0, "Q")]
        _, duplicates, unexcused = judge({1: arrivals}, lines, [Kill(b, e, kind, 0.1) for b, e, kind in kills])
        self.assertEqual(duplicates, 1)
        return len(unexcused)

    def test_a_duplicate_without_a_kill_has_no_excuse(self):
        self.assertEqual(self.unexcused(10.01), 1)
        self.assertEqual(self.unexcused(None), 1)

    def test_what_the_queue_had_not_been_told_was_in_flight(self):
        for kind in ("egress", "supervisor"):
            self.assertEqual(self.unexcused(None, (10.02, 10.03, kind)), 0)
        for kind in ("queue", "ingress", "router", "control"):
            self.assertEqual(self.unexcused(None, (10.02, 10.03, kind)), 1)

    def test_bytes_that_a_killed_process_left_were_in_flight(self):
        self.assertEqual(self.unexcused(None, (9.5, 9.6, "egress")), 0)
        self.assertEqual(self.unexcused(None, (8.5, 8.6, "egress")), 1)

    def test_an_outcome_is_unsynced_for_the_window_and_no_longer(self):
        self.assertEqual(self.unexcused(10.01, (10.05, 10.06, "supervisor")), 0)
        self.assertEqual(self.unexcused(10.01, (10.15, 10.16, "supervisor")), 1)

    def test_the_death_of_an_egress_process_undoes_no_report(self):
        self.assertEqual(self.unexcused(10.01, (10.05, 10.06, "egress")), 1)

    def test_the_death_of_the_queue_loses_what_no_egress_process_can_tell_the_next(self):
        self.assertEqual(self.unexcused(10.01, (10.05, 10.06, "queue")), 1)
        self.assertEqual(self.unexcused(10.01, (10.05, 10.06, "queue"), (10.5, 10.6, "egress")), 0)
        self.assertEqual(self.unexcused(10.01, (10.2, 10.3, "queue"), (10.5, 10.6, "egress")), 1)

    def test_a_kill_after_the_duplicate_does_not_excuse_it(self):
        self.assertEqual(self.unexcused(None, (20.1, 20.2, "supervisor")), 1)

    def test_each_kill_counts_what_it_found(self):
        found, duplicates, _ = judge({1: [Arrival(10.0, 9.0, "A")], 2: [Arrival(9.99, 9.0, "B")], 3: [Arrival(5.0, 4.0, "C")]},
                                     {"A": [10.5], "B": [9.995], "C": [5.01]}, [Kill(10.02, 10.03, "supervisor", 0.1)])
        self.assertEqual((dict(found[0]), duplicates), ({"in flight": 1, "unsynced": 1}, 0))


if __name__ == "__main__":
    unittest.main()
