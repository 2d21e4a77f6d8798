"""All roles as threads of one process (run --single) with everything at once: mail that arrives, is refused for now or
for good, over TLS and in clear, into two transports, while the operator looks, holds, releases, reloads and stops.
This is what the thread sanitizer looks at; nothing may be lost either."""
import os
import signal
import ssl
import subprocess
import threading
import unittest

from dns_server import DnsServer
from rig import Client, TestCase, maildir_messages, wait_for

SESSIONS, EACH = 4, 100
CONFIG = """
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
ingress_processes = 2
[smtpd]
mynetworks = ["127.0.0.0/8"]
tls_security_level = "may"
tls_cert_file = "{dir}/cert.pem"
tls_key_file = "{dir}/key.pem"
[dns]
servers = ["127.0.0.1:{dns}"]
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.local]
plugin = "transport-maildir"
directory = "{dir}/mail/{user}"
[transport.relay]
plugin = "transport-smtp"
smtp_tcp_port = {tcp}
[[route]]
domain = ["mansio.test"]
transport = "local"
[[route]]
transport = "relay"
nexthop = "hop.example.net"
"""


class Single(TestCase):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("mail"))
        os.chmod(self.path("mail"), 0o777)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mx", "-keyout",
                        self.path("key.pem"), "-out", self.path("cert.pem")], check=True, capture_output=True)
        self.held_may_go = threading.Event()
        self.refused = set()
        self.hop = self.peer(on=self.on, address="127.0.0.2")  # mail for 127.0.0.1 would be a loop
        dns = DnsServer({("hop.example.net", "MX"): [(10, "mx.example.net")], ("mx.example.net", "A"): ["127.0.0.2"],
                         ("1.0.0.127.in-addr.arpa", "PTR"): ["client.example.net"], ("client.example.net", "A"): ["127.0.0.1"]})
        self.addCleanup(dns.close)
        text = CONFIG.replace("{dns}", str(dns.port)).replace("{tcp}", str(self.hop.port))
        self.server = self.mansio(text, single=True)

    def on(self, command, session, argument):
        """What the next hop answers, by the recipient's name."""
        if command != "RCPT":
            return None
        if "bad-" in argument:
            return "550 5.1.1 no such user"
        if "held-" in argument and not self.held_may_go.is_set():
            return "450 4.2.1 not yet"
        if "later-" in argument and argument not in self.refused:
            self.refused.add(argument)
            return "450 4.2.1 later"
        return None

    def send(self, recipients, tls, sender="sender@example.org"):
        """One session for as long as it goes; what was not acknowledged is sent again (a reload ends sessions)."""
        waiting = list(recipients)
        while waiting:
            try:
                with Client(self.server.port) as c:
                    c.cmd("EHLO client.test")
                    if tls:
                        assert c.cmd("STARTTLS")[0] == 220
                        c.sock = ssl._create_unverified_context().wrap_socket(c.sock)
                        c.file = c.sock.makefile("rb")
                        c.cmd("EHLO client.test")
                    while waiting:
                        c.message(sender, [waiting[0]], "Subject: x\r\n\r\n" + "body\r\n" * (len(waiting) * 20))
                        waiting.pop(0)
            except (OSError, AssertionError):
                continue

    def senders(self, run, tls):
        kinds = ("plain-{}@example.net", "later-{}@example.net", "local-{}@mansio.test", "plain-{}@example.net", "bad-{}@example.net")
        threads, names = [], []
        for session in range(SESSIONS):
            mine = [kinds[i % len(kinds)].format(f"{run}-{session}-{i}") for i in range(EACH)]
            names += mine
            threads.append(threading.Thread(target=self.send, args=(mine, tls and session == 0), daemon=True))
            threads[-1].start()
        return threads, names

    def arrived(self):
        with self.hop.lock:
            there = {r for m in self.hop.messages for r in m.recipients}
        return there | {path.split("/")[-3] + "@mansio.test" for path in maildir_messages(self.path("mail"))}

    def all_arrived(self, names):
        expected = {n for n in names if not n.startswith("bad-")}
        wait_for(lambda: not expected - self.arrived(), "every message")

    def reload(self, epoch):
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_event("reloaded", epoch=epoch)

    def test_mail_holds_reloads_and_stops(self):
        server = self.server
        held = [f"held-{i}@example.net" for i in range(20)]
        self.send(held, tls=False, sender="held@example.org")
        threads, names = self.senders("first", tls=True)
        server.wait_event("delivery", len(held), status="deferred")
        self.assertEqual(server.cli("queue", "hold", "--match", "sender=held@example.org"), "20 messages\n")
        epoch = 1
        while epoch < 3 or any(t.is_alive() for t in threads):
            server.cli("status", "--metrics")
            server.cli("status")
            if epoch < 3:
                epoch += 1
                self.reload(epoch)
            server.queue()
            server.process.send_signal(signal.SIGUSR1)
        self.all_arrived(names)
        bounces = len([n for n in names if n.startswith("bad-")])
        wait_for(lambda: len([m for m in self.hop.messages if not m.sender]) == bounces, "the bounces")
        wait_for(lambda: len(server.queue()) == len(held), "a queue with what is held")
        self.assertEqual({e["queue_name"] for e in server.queue()}, {"hold"})
        self.held_may_go.set()
        server.cli("queue", "release", "--all")
        server.cli("queue", "flush", "--all")
        self.all_arrived(held)

        before = len(server.deliveries())
        threads, names = self.senders("second", tls=False)
        wait_for(lambda: len(server.deliveries()) > before + 50, "mail under way")
        self.assertEqual(server.stop(), 0)
        server.start()
        for t in threads:
            t.join()
        self.all_arrived(names)
        wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
