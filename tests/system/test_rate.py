"""Limits that plugins own: two instances keep one rate, or a number of deliveries at once, in a real redis-server, mail waits or goes as on_failure says while
that is down, a process that is killed or replaced by a reload costs nothing but a moment, and what was not used goes back
when Mansio stops."""
import json
import os
import signal
import subprocess
import threading
import time
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
%s
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.relay]
plugin = "transport-smtp"
transport_rate_plugin = "shared"
%s
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
[rate.shared]
%s
'''


class Rate(rig.TestCase):
    def send(self, server, count):
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            for i in range(count):
                c.message("a@example.com", [f"{i}@one.example"], "Subject: x\r\n\r\nHello.\r\n")

    def redis(self, port):
        process = self.spawn(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                              "--dir", self.dir], stdout=subprocess.DEVNULL)
        rig.wait_for_port(port)
        return process

    def hosts(self, server):
        return server.pids("host.rate")

    def why(self, server):
        """Why the first message that waits does not move."""
        waiting = server.queue()
        if not waiting:
            return {}
        lines = server.cli("queue", "why", "--json", waiting[0]["queue_id"]).splitlines()
        return json.loads(lines[0]) if lines else {}

    def test_two_instances_share_one_limit_and_never_exceed_it(self):
        port, rate, burst, each = rig.free_port(), 40, 10, 40
        self.redis(port)
        begun = []
        sink = self.peer(on=lambda command, session, argument: begun.append(time.monotonic()) if command == "MAIL" else None)
        servers = [self.mansio(CONFIG % ("", f'transport_rate_limit = "{rate}/s"\ntransport_rate_burst = {burst}', sink.port,
                                         f'plugin = "rate-redis"\nhosts = ["127.0.0.1:{port}"]\ntime_limit = "20s"\n'
                                         'timeout = "10s"'), name=name) for name in ("one", "two")]
        start = time.monotonic()
        for server in servers:
            self.send(server, each)
        rig.wait_for(lambda: sink.count() == 2 * each, "every message at the sink")
        for number, at in enumerate(sorted(begun), 1):
            self.assertLessEqual(number, burst + rate * (at - start) + 1e-6, f"delivery {number} after {at - start} s")
        for server in servers:
            server.wait_event("delivery", each, status="sent")

    def test_mail_waits_while_the_owner_fails_and_why_names_it(self):
        port = rig.free_port()
        sink = self.peer()
        server = self.mansio(CONFIG % ("", 'transport_rate_limit = "1000/s"\ntransport_rate_burst = 100', sink.port,
                                       f'plugin = "rate-redis"\nhosts = ["127.0.0.1:{port}"]\nretry_interval = "100ms"'))
        self.send(server, 3)
        server.wait_event("a rate plugin fails: on_failure says what becomes of its limits", rate="shared")
        why = rig.wait_for(lambda: (lambda w: w if "does not answer" in w.get("detail", "") else None)(self.why(server)),
                           "the limit to bind")
        self.assertEqual((why["why"], why["rate_plugin"]), ("transport_rate_limit", "shared"))
        self.assertIn("eligible", why)
        self.assertEqual(sink.count(), 0)
        self.redis(port)
        rig.wait_for(lambda: sink.count() == 3, "the messages at the sink")
        server.wait_event("a rate plugin answers again", rate="shared")

    def test_a_failure_that_is_skipped_leaves_the_configured_rate(self):
        sink = self.peer()
        server = self.mansio(CONFIG % ("", 'transport_rate_limit = "50/s"\ntransport_rate_burst = 100', sink.port,
                                       f'plugin = "rate-redis"\nhosts = ["127.0.0.1:{rig.free_port()}"]\n'
                                       'on_failure = "skip"'))
        self.send(server, 20)
        rig.wait_for(lambda: sink.count() == 20, "the messages at the sink")

    def test_its_process_may_die_and_be_replaced(self):
        sink = self.peer()
        server = self.mansio(CONFIG % ("", 'transport_rate_limit = "1000/s"', sink.port, 'plugin = "rate-odd"'),
                             plugins=self.plugins("rate-odd", "transport-smtp"))
        self.send(server, 2)
        rig.wait_for(lambda: sink.count() == 2, "the first messages")
        before = self.hosts(server)
        self.assertEqual(len(before), 1)
        os.kill(before[0], signal.SIGKILL)
        self.send(server, 2)
        rig.wait_for(lambda: sink.count() == 4, "what came while its process was away")
        before = rig.wait_for(lambda: self.hosts(server), "another process")
        server.cli("reload")
        self.send(server, 2)
        rig.wait_for(lambda: sink.count() == 6, "what came with the reload")
        rig.wait_for(lambda: len(self.hosts(server)) == 1 and self.hosts(server) != before, "the old process to end")
        # The queue may come anew as well.
        queue = server.pids("queue")[0]
        os.kill(queue, signal.SIGKILL)
        server.wait_event("process ready", 2, role="queue")
        rig.wait_for(lambda: self.accepts(server), "the queue to take mail again")
        rig.wait_for(lambda: sink.count() >= 7, "what came after the queue's death")

    def accepts(self, server):
        with rig.Client(server.port) as c:
            c.cmd("EHLO client.test")
            if c.cmd("MAIL FROM:<a@example.com>")[0] != 250:
                return False
            c.cmd("RSET")
            c.message("a@example.com", ["last@one.example"], "Subject: x\r\n\r\nHello.\r\n")
            return True

    def test_what_was_not_used_goes_back_at_the_end(self):
        sink = self.peer(on=lambda command, session, argument: rig.Peer.STALL if command == "MAIL" else None)
        server = self.mansio(CONFIG % ('stop_timeout = "3s"', 'transport_rate_limit = "1/h"\ntransport_rate_burst = 10\n'
                                       'process_limit = 1\ndestination_recipient_limit = 1', sink.port,
                                       'plugin = "rate-odd"'), plugins=self.plugins("rate-odd", "transport-smtp"))
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            c.message("a@example.com", [f"{i}@one.example" for i in range(5)], "Subject: x\r\n\r\nHello.\r\n")
        server.wait_event("gave 5 of transport_rate_limit relay", rate="shared")
        rig.wait_for(lambda: any(command == "MAIL" for command, _ in sink.commands), "the first delivery")
        self.assertEqual(server.stop(), 0)
        server.wait_event("got back 4 of transport_rate_limit relay", rate="shared")

    def shared_places(self, limit, sink_port, redis_port, options="", **kw):
        config = CONFIG.replace('transport_rate_plugin = "shared"\n', "")
        return self.mansio(config % ("", f'process_limit = {limit}\nprocess_limit_plugin = "shared"', sink_port,
                                     f'plugin = "rate-redis"\nhosts = ["127.0.0.1:{redis_port}"]\ntime_limit = "20s"\n'
                                     f'timeout = "10s"\n{options}'), **kw)

    def test_two_instances_have_no_more_deliveries_at_once_than_the_limit(self):
        port, limit, each = rig.free_port(), 3, 15
        self.redis(port)
        lock, running, most = threading.Lock(), [0], [0]

        def count(command, session, argument):
            if command == "MAIL":
                with lock:
                    running[0] += 1
                    most[0] = max(most[0], running[0])
            elif command == "DOT":
                time.sleep(0.05)
                with lock:
                    running[0] -= 1

        sink = self.peer(on=count)
        servers = [self.shared_places(limit, sink.port, port, name=name) for name in ("one", "two")]
        for server in servers:
            self.send(server, each)
        rig.wait_for(lambda: sink.count() == 2 * each, "every message at the sink")
        self.assertLessEqual(most[0], limit)
        for server in servers:
            server.wait_event("delivery", each, status="sent")

    def test_the_places_of_a_node_that_dies_come_back(self):
        port = rig.free_port()
        self.redis(port)
        stuck = self.peer(on=lambda command, session, argument: rig.Peer.STALL if command == "MAIL" else None)
        sink = self.peer()
        options = 'hold_time = "5s"'
        one = self.shared_places(2, stuck.port, port, options, name="one")
        self.send(one, 2)
        rig.wait_for(lambda: sum(command == "MAIL" for command, _ in stuck.commands) == 2, "two deliveries")
        two = self.shared_places(2, sink.port, port, options, name="two")
        self.send(two, 3)
        why = rig.wait_for(lambda: (lambda w: w if w.get("rate_plugin") else None)(self.why(two)), "the limit to bind")
        self.assertEqual((why["why"], why["rate_plugin"]), ("transport_sessions", "shared"))
        self.assertEqual(sink.count(), 0)
        one.kill()
        rig.wait_for(lambda: sink.count() == 3, "the other node's messages")

    def test_check_finds_the_plugins_fit(self):
        for directory, name in ((rig.FIXTURES, "rate-odd"), (rig.PLUGINS, "rate-redis")):
            with self.subTest(name):
                result = rig.run_program("plugin", "check", os.path.join(directory, name + ".so"))
                self.assertEqual(result.returncode, 0, result.stdout)
                self.assertIn("as rate: keeps the rules", result.stdout)


if __name__ == "__main__":
    unittest.main()
