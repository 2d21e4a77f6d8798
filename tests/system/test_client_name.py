"""The client's name: PTR confirmed forward, in a network of the test's own, because 127.0.0.0/8 is "localhost" by rule.
192.0.2.1 is the server there, 198.51.100.7 and 198.51.100.8 are clients."""
import unittest

from dns_server import DnsServer
from namespaces import add_addresses, enter

if __name__ == "__main__":
    enter("n", lambda: add_addresses("192.0.2.1", "198.51.100.7", "198.51.100.8"))

from rig import Client, TestCase  # noqa: E402

CONFIG = """
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
[dns]
servers = ["127.0.0.1:{dns}"]
timeout = 60
[smtpd]
%s
[listener.smtp]
listen = ["192.0.2.1:{port}"]
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:{next}"
"""
REVERSE = "7.100.51.198.in-addr.arpa"


class ClientName(TestCase):
    def start(self, records, smtpd="", silent=()):
        self.dns = DnsServer(records)
        self.dns.silent.update(silent)
        self.addCleanup(self.dns.close)
        self.hop = self.peer()
        config = (CONFIG % smtpd).replace("{dns}", str(self.dns.port)).replace("{next}", str(self.hop.port))
        return self.mansio(config)

    def name(self, server, source="198.51.100.7"):
        """What the log calls a client that connects and leaves."""
        with Client(server.port, host="192.0.2.1", source=source) as client:
            client.cmd("QUIT")
        return server.wait_event("connect", client=source)[-1]["client_name"]

    def test_a_name_whose_address_is_the_clients_is_its_name(self):
        server = self.start({(REVERSE, "PTR"): ["client.example.org"], ("client.example.org", "A"): ["203.0.113.5", "198.51.100.7"]})
        self.assertEqual(self.name(server), "client.example.org")

    def test_the_name_is_in_the_trace_header(self):
        server = self.start({(REVERSE, "PTR"): ["client.example.org"], ("client.example.org", "A"): ["198.51.100.7"]})
        with Client(server.port, host="192.0.2.1", source="198.51.100.7") as client:
            client.cmd("EHLO says.example")
            client.message("a@example.org", ["b@mansio.test"], "Subject: x\r\n\r\nx\r\n")
        server.wait_event("delivery", status="sent")
        text = self.hop.messages[0].content.decode()
        self.assertRegex(text, r"Received: from says\.example \(client\.example\.org \[198\.51\.100\.7\]\)")

    def test_one_of_several_names_is_enough(self):
        server = self.start({(REVERSE, "PTR"): ["other.example.org", "client.example.org"],
                             ("other.example.org", "A"): ["203.0.113.5"], ("client.example.org", "A"): ["198.51.100.7"]})
        self.assertEqual(self.name(server), "client.example.org")

    def test_a_name_that_leads_elsewhere_is_unknown(self):
        server = self.start({(REVERSE, "PTR"): ["bank.example"], ("bank.example", "A"): ["203.0.113.5"]})
        self.assertEqual(self.name(server), "unknown")
        self.assertIn(("bank.example", "A"), self.dns.queries)

    def test_a_name_that_does_not_exist_is_unknown(self):
        server = self.start({(REVERSE, "PTR"): ["gone.example"]})
        self.assertEqual(self.name(server), "unknown")

    def test_an_address_without_a_name_is_unknown(self):
        server = self.start({})
        self.assertEqual(self.name(server, "198.51.100.8"), "unknown")

    def within_the_limit(self, silent):
        server = self.start({(REVERSE, "PTR"): ["client.example.org"], ("client.example.org", "A"): ["198.51.100.7"]},
                            smtpd="client_name_timeout = \"3s\"", silent=[silent])
        self.assertEqual(self.name(server), "unknown")
        # No question was repeated: none had been given up when the client's name was.
        self.assertEqual([name for name, _ in self.dns.queries].count(silent), 1)

    def test_a_silent_name_server_holds_the_client_no_longer_than_the_limit(self):
        self.within_the_limit(REVERSE)

    def test_silence_about_the_address_of_the_name_does_neither(self):
        self.within_the_limit("client.example.org")

    def test_nothing_is_asked_when_it_is_switched_off(self):
        server = self.start({(REVERSE, "PTR"): ["client.example.org"], ("client.example.org", "A"): ["198.51.100.7"]},
                            smtpd="client_name_lookup = false")
        self.assertEqual(self.name(server), "unknown")
        self.assertEqual(self.dns.queries, [])


if __name__ == "__main__":
    unittest.main()
