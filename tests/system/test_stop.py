"""A stop with work in hand: deliveries that it interrupts are no attempts, and clients hear of it."""
import json
import signal
import threading
import unittest

from rig import LIMIT, SLOW, Client, Peer, TestCase, free_port, relay_config, wait_for

STOP = f'stop_timeout = "{6 * SLOW}s"'  # which a next hop that does not answer uses up, and a client that does not go on
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

    def test_a_client_that_does_not_end_its_message_is_told_before_it_is_cut_off(self):
        server = self.mansio(relay_config(free_port(), STOP))
        with Client(server.port) as c:
            for command in ("EHLO client.test", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.net>"):
                self.assertEqual(c.cmd(command)[0], 250)
            self.assertEqual(c.cmd("DATA")[0], 354)
            c.send("Subject: x\r\n\r\nhalf a li")
            server.process.send_signal(signal.SIGTERM)
            code, text = c.reply()
            self.assertEqual((code, text.split()[0]), (421, "4.3.2"))
            self.assertEqual(c.reply(), (0, "connection closed"))
            self.assertEqual(server.process.wait(LIMIT), 0)
        for event in ("process killed", "stopped at the deadline with work in hand"):
            self.assertEqual(server.events(event), [])
        server.start()
        self.assertEqual(server.queue(), [])


if __name__ == "__main__":
    unittest.main()
