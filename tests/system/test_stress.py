"""Stress: clients that do nothing hold all places of a listener, and one that has mail gets through all the same."""
import re
import time
import unittest

from rig import LIMIT, SLOW, Client, TestCase, relay_config, wait_for

PLACES = 4
TIMEOUT, LASTS = 2 * SLOW, 6 * SLOW  # seconds


class Stress(TestCase):
    def server(self, smtpd=""):
        self.hop = self.peer()
        config = relay_config(self.hop.port, "ingress_processes = 2")
        return self.mansio(config.replace("[smtpd]", f"""[smtpd]
client_name_lookup = false
connection_limit = {PLACES}
stress_timeout = "{int(TIMEOUT * 1000)}ms"
stress_time = "{int(LASTS * 1000)}ms"
{smtpd}"""))

    def fill(self, server):
        """Clients that take all places and say nothing. Of two that compete for the last place both may be refused."""
        held = []

        def full():
            client = Client(server.port, greet=False)
            self.addCleanup(client.close)
            if client.reply()[0] == 220:
                held.append(client)
            return len(held) == PLACES
        wait_for(full, "all places to be taken")
        return held

    def stressed(self, server):
        """In how many processes the listener is."""
        text = server.cli("status", "--metrics")
        return sum(float(n) for n in re.findall(r"(?m)^mansio_smtpd_stressed\{.*\} (\S+)$", text))

    def test_a_good_client_gets_through_while_idle_ones_hold_all_places(self):
        server = self.server()
        begin = time.monotonic()
        idle = self.fill(server)
        wait_for(lambda: self.stressed(server) == 2, "both processes to know")

        def admitted():
            client = Client(server.port, greet=False)
            self.addCleanup(client.close)
            return client if client.reply()[0] == 220 else None
        good = wait_for(admitted, "a place")  # long before `timeout`, of five minutes
        self.assertEqual(good.cmd("EHLO good.example")[0], 250)
        good.message("a@example.org", ["b@example.net"], "Subject: x\r\n\r\nx\r\n")
        good.close()
        self.assertGreaterEqual(time.monotonic() - begin, TIMEOUT)
        wait_for(lambda: self.hop.count() == 1, "the message")
        for client in idle:
            self.assertEqual(client.reply()[0], 421)
        self.assertTrue(server.events("timeout", stress=True))

        server.wait_event("listener no longer under stress", 1, listener="smtp")
        wait_for(lambda: self.stressed(server) == 0, "both processes to know")
        self.assertEqual(len(server.events("listener under stress", listener="smtp")), 1)
        self.assertEqual(len(server.events("listener no longer under stress")), 1)
        with Client(server.port) as client:  # errors are forgiven again
            self.assertEqual(client.cmd("nonsense")[0], 500)
            self.assertEqual(client.cmd("nonsense")[0], 500)

    def test_the_first_error_ends_a_session_under_stress(self):
        server = self.server()
        with Client(server.port) as client:
            self.assertEqual(client.cmd("nonsense")[0], 500)
            self.assertEqual(client.cmd("NOOP")[0], 250)
        idle = self.fill(server)
        idle[-1].send("nonsense\r\n")
        self.assertEqual([idle[-1].reply()[0] for _ in range(2)], [500, 421])

    def test_a_listener_may_be_without_it(self):
        server = self.server("stress_threshold = 0")
        idle = self.fill(server)
        with Client(server.port, greet=False) as refused:
            self.assertEqual(refused.reply()[0], 421)
        time.sleep(TIMEOUT + 1)
        for client in idle:
            self.assertEqual(client.cmd("NOOP")[0], 250)
        self.assertEqual(server.events("listener under stress"), [])


if __name__ == "__main__":
    unittest.main()
