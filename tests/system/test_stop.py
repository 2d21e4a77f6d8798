"""A stop with work in hand: deliveries that it interrupts are no attempts."""
import json
import threading
import unittest

from rig import LIMIT, SLOW, Client, Peer, TestCase, relay_config, wait_for

STOP = f'stop_timeout = "{4 * SLOW}s"'  # which a next hop that does not answer uses up
BACKOFF = "[queue]\nminimal_backoff_time = 3600\nmaximal_backoff_time = 3600\n"  # longer than any test


class Stop(TestCase):
    def interrupted(self, queue):
        """A server that was stopped while the next hop had a message and did not answer."""
        self.asked, self.answers = threading.Semaphore(0), threading.Event()

        def on(command, session, argument):
            if command == "DOT" and not self.answers.is_set():
                self.asked.release()
                return Peer.STALL
        self.sink = self.peer(on=on)
        server = self.mansio(relay_config(self.sink.port, STOP) + queue)
        with Client(server.port) as c:
            c.cmd("EHLO client.test")
            c.message("a@example.org", ["b@example.net"], "Subject: x\r\n\r\nx")
        self.assertTrue(self.asked.acquire(timeout=LIMIT))
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.events("process killed"), [])
        return server

    def test_a_stop_expires_nothing(self):
        server = self.interrupted(BACKOFF + "maximal_queue_lifetime = 0\n")
        self.answers.set()
        server.start()
        wait_for(lambda: server.deliveries(status="sent"), "the delivery")
        wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual([m.sender for m in self.sink.messages], ["a@example.org"])
        self.assertTrue(server.deliveries(status="sent")[0]["possible_duplicate"])
        self.assertEqual(server.events("expired"), [])

    def test_what_a_stop_interrupts_is_due_at_once(self):
        server = self.interrupted(BACKOFF)
        server.start()
        self.assertTrue(self.asked.acquire(timeout=LIMIT))
        (waiting,) = server.queue()
        shown = json.loads(server.cli("queue", "show", waiting["queue_id"]))
        (group,) = shown["groups"]
        self.assertEqual((group["attempts"], group["why"]), (0, "delivery"))
        self.assertTrue(shown["possible_duplicate"])


if __name__ == "__main__":
    unittest.main()
