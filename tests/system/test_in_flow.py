"""in_flow_delay: while mail comes in faster than it goes out, the client that brings most is slowed down first."""
import re
import threading
import time
import unittest

from rig import LIMIT, Client, TestCase, relay_config, wait_for

DELAY = 0.3


class InFlow(TestCase):
    def setUp(self):
        super().setUp()
        self.open = threading.Event()
        self.addCleanup(self.open.set)

    def server(self):
        def on(command, session, argument):
            if command == "DOT":
                self.open.wait(LIMIT)
        peer = self.peer(on=on)
        return self.mansio(relay_config(peer.port).replace('[smtpd]', '[smtpd]\nclient_name_lookup = false') + f'''
[queue]
in_flow_delay = "{DELAY}s"
in_flow_backlog = 30
'''.replace(f"{DELAY}s", f"{int(DELAY * 1000)}ms"))

    def timed(self, client, n=0):
        begin = time.monotonic()
        client.message("a@example.org", [f"u{n}@example.net"], "x")
        return time.monotonic() - begin

    def held_back(self, server):
        """How many messages were, so far."""
        return sum(float(n) for n in re.findall(r"(?m)^mansio_smtpd_messages_held_back_total\{.*\} (\S+)$", server.cli("status", "--metrics")))

    def is_held_back(self, server, client, n=0):
        before = self.held_back(server)
        self.timed(client, n)
        return self.held_back(server) > before

    def connect(self, server, source):
        client = Client(server.port, source=source)
        self.addCleanup(client.close)
        self.assertEqual(client.cmd("EHLO x")[0], 250)
        return client

    def test_the_run_away_client_is_slowed_down_and_the_other_is_not(self):
        server = self.server()
        # Both take part in the average.
        greedy, modest = self.connect(server, "127.0.0.1"), self.connect(server, "127.0.0.2")
        self.timed(modest)
        for n in range(55):  # those that are being delivered do not count
            greedy.message("a@example.org", [f"g{n}@example.net"], "x")
        server.wait_event("mail comes in faster than it goes out: slowing clients down", 1, level=1)
        wait_for(lambda: self.is_held_back(server, greedy), "the greedy client to be slowed down")
        self.assertGreaterEqual(self.timed(greedy), DELAY)
        for n in range(3):
            self.assertFalse(self.is_held_back(server, modest, n))
        self.open.set()
        wait_for(lambda: server.queue() == [], "an empty queue")
        server.wait_event("slowing clients down less", 1, level=0)
        wait_for(lambda: not self.is_held_back(server, greedy), "the greedy client to be as quick as ever")


if __name__ == "__main__":
    unittest.main()
