"""Exchangers that do not answer, servers behind a PIX, paths that swallow large packets, and relays for what nobody takes:
with programs and sockets as they are."""
import os
import socket
import threading
import unittest

from dns_server import DnsServer
from rig import Client, TestCase, free_port, relay_config, wait_for, wait_for_port

SMTP_SINK = "/usr/sbin/smtp-sink"
FIRST, SECOND = "127.0.0.2", "127.0.0.3"  # 127.0.0.1 would be this host, to which other domains' mail does not go


class Silent:
    """Takes connections and says nothing."""

    def __init__(self, host, port):
        self.socket = socket.create_server((host, port), backlog=100)
        self.held = []
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    def _take(self):
        try:
            while True:
                self.held.append(self.socket.accept()[0])
        except OSError:
            pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(10)
        for s in self.held:
            s.close()


class Failover(TestCase):
    def setUp(self):
        super().setUp()
        self.dns = DnsServer({})
        self.addCleanup(self.dns.close)

    def exchangers(self, *hosts):
        """two.example has these for exchangers, all of one preference; returns their port."""
        self.dns.records[("two.example", "MX")] = [(10, f"mx{n}.two.example") for n in range(len(hosts))]
        for n, host in enumerate(hosts):
            self.dns.records[(f"mx{n}.two.example", "A")] = [host]
        return free_port()

    def server(self, options, nexthop):
        config = relay_config(0).replace('nexthop = "[127.0.0.1]:0"', f'nexthop = "{nexthop}"')
        config = config.replace('plugin = "transport-smtp"', 'plugin = "transport-smtp"\n' + options)
        return self.mansio(config + f'\n[dns]\nservers = ["127.0.0.1:{self.dns.port}"]\n')

    def send(self, server, count=1, content="Subject: x\r\n\r\nbody\r\n", to="u{}@example.net"):
        with Client(server.port) as client:
            client.cmd("EHLO test")
            for n in range(count):
                client.message("a@example.org", [to.format(n)], content)

    def test_one_exchanger_that_hangs_delays_few_messages(self):
        port = self.exchangers(FIRST, SECOND)
        silent = Silent(FIRST, port)
        self.addCleanup(silent.close)
        good = self.peer(address=SECOND, port=port)
        server = self.server('smtp_failover_time = "500ms"\nsmtp_connection_cache_on_demand = false', f"two.example:{port}")
        self.send(server, 200)
        wait_for(lambda: good.count() == 200, "200 messages")
        self.assertEqual(server.deliveries(status="deferred"), [])
        self.assertLess(len(silent.held), 40)  # of the 100 that half of the messages would be
        wait_for(lambda: server.queue() == [], "an empty queue")

    def test_an_exchanger_that_comes_back_is_used_again(self):
        port = self.exchangers(FIRST, SECOND)
        silent = Silent(FIRST, port)
        good = self.peer(address=SECOND, port=port)
        server = self.server('smtp_failover_time = "50ms"\nsmtp_probe_interval = "100ms"\nsmtp_connection_cache_on_demand = false',
                             f"two.example:{port}")
        self.send(server, 10)
        wait_for(lambda: good.count() == 10, "10 messages")
        silent.close()
        back = self.peer(address=FIRST, port=port)

        def used():
            self.send(server, 1)
            return back.count()
        wait_for(used, "a message by the exchanger that is back")

    def test_mail_for_a_domain_that_is_not_there_goes_to_the_fallback_relay(self):
        relay = self.peer()
        server = self.server(f'smtp_fallback_relay = ["[127.0.0.1]:{relay.port}"]', "gone.example")
        self.send(server)
        wait_for(lambda: relay.count() == 1, "the message at the relay")
        self.assertEqual(server.events("delivery", status="bounced"), [])

    def test_smtp_sink_behind_a_pix(self):
        port = free_port()
        self.spawn([SMTP_SINK, *(["-u", "nobody"] if os.geteuid() == 0 else []), "-P", f"127.0.0.1:{port}", "100"])
        wait_for_port(port)
        server = self.server('smtp_pix_workaround_threshold_time = 0\nsmtp_pix_workaround_delay_time = "100ms"', f"[127.0.0.1]:{port}")
        self.send(server, 3)
        server.wait_event("delivery", 3, status="sent")
        self.assertIn(f"enabling PIX workarounds for 127.0.0.1[127.0.0.1]:{port}", server.log_text())

    def test_segments_are_as_small_as_asked_for(self):
        seen = []

        def on(command, session, argument):
            if command == "DOT":
                info = session["socket"].getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
                seen.append(info)
        peer = self.peer(on=on)
        server = self.server('smtp_tcp_maxseg = ["127.0.0.1=600"]', f"[127.0.0.1]:{peer.port}")
        self.send(server, 1, "Subject: x\r\n\r\n" + ("x" * 70 + "\r\n") * 2000)
        wait_for(lambda: peer.count() == 1, "the message")
        self.assertLessEqual(seen[0], 600)


if __name__ == "__main__":
    unittest.main()
