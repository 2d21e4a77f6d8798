"""Mail that waits is sent another way: rebind, reroute and requeue in the whole program, over a restart too; from the
pools of a group, and not from one that is suspended where it goes."""
import collections
import json
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["own.test"]
[smtpd]
mynetworks = ["127.0.0.0/8"]
campaign_header = "X-Campaign"
[listener.smtp]
listen = ["127.0.0.1:{port}"]
tenant = "acme"
[transport.relay]
plugin = "transport-smtp"
source_pools = { warm = ["127.0.0.1"], two = ["127.0.0.2"], three = ["127.0.0.3"] }
[transport.spare]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
[[source_group]]
name = "both"
pools = ["two=1", "three=1"]
[queue]
minimal_backoff_time = "1h"
maximal_backoff_time = "1h"
notify_classes = []
'''


NAMES = [("--tenant", "acme"), ("--campaign", "spring"), ("--sender", "me@own.test"), ("--sender", "@own.test")]


def not_now(command, *_):
    return "450 4.2.0 not now" if command == "RCPT" else None


class Rebind(rig.TestCase):
    def waiting(self, first, recipients=("a@own.test",)):
        """An instance with a message that the first next hop did not take."""
        server = self.mansio(CONFIG % first.port)
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            c.message("me@own.test", recipients, "Subject: x\r\nX-Campaign: spring\r\n\r\nHello.\r\n")
        server.wait_deferred(len(recipients))
        return server

    def arrived(self, sink, count=1):
        rig.wait_for(lambda: sink.count() >= count, f"{count} messages at the sink")
        with sink.lock:
            return sorted(r for m in sink.messages for r in m.recipients)

    def test_another_transport_and_next_hop(self):
        first, second = self.peer(on=not_now), self.peer()
        server = self.waiting(first)
        arrival = server.queue()[0]["arrival_time"]
        self.assertIn("1 message", server.cli("queue", "rebind", "--tenant", "acme", "--transport", "spare", "--nexthop",
                                              f"[127.0.0.1]:{second.port}"))
        self.assertEqual(self.arrived(second), ["a@own.test"])
        (sent,) = server.wait_event("delivery", status="sent")
        self.assertEqual(sent["transport"], "spare")
        self.assertIsInstance(arrival, int)
        rig.wait_for(lambda: server.queue() == [], "an empty queue")

    def test_only_what_goes_to_the_destination(self):
        first, second = self.peer(on=not_now), self.peer()
        server = self.waiting(first, ["a@own.test", "b@away.test"])
        server.cli("queue", "rebind", "--destination", "away.test", "--nexthop", f"[127.0.0.1]:{second.port}")
        self.assertEqual(self.arrived(second), ["b@away.test"])
        rig.wait_for(lambda: [r["address"] for m in server.queue() for r in m["recipients"]] == ["a@own.test"],
                     "the other recipient to be left")

    def test_of_a_message_only_what_goes_to_the_destination(self):
        first, second = self.peer(on=not_now), self.peer()
        server = self.waiting(first, ["a@own.test", "b@away.test"])
        qid = server.queue()[0]["queue_id"]
        self.assertIn("1 message", server.cli("queue", "rebind", qid, "--destination", "away.test", "--nexthop",
                                              f"[127.0.0.1]:{second.port}"))
        self.assertEqual(self.arrived(second), ["b@away.test"])
        rig.wait_for(lambda: [r["address"] for m in server.queue() for r in m["recipients"]] == ["a@own.test"],
                     "the other recipient to be left")

    def test_it_outlives_a_restart(self):
        first, second = self.peer(on=not_now), self.peer(on=not_now)
        server = self.waiting(first)
        qid = server.queue()[0]["queue_id"]
        server.cli("queue", "rebind", qid, "--nexthop", f"[127.0.0.1]:{second.port}", "--pool", "warm")
        server.wait_event("delivery", 2, status="deferred")
        self.assertEqual(server.stop(), 0)
        server.start()
        second.on = lambda *_: None
        shown = rig.wait_for(lambda: json.loads(server.cli("queue", "show", qid)), "the message again")
        self.assertEqual(shown["source_pool"], "warm")
        self.assertEqual(shown["groups"][0]["nexthop"], f"[127.0.0.1]:{second.port}")
        rig.wait_for(lambda: server.cli("queue", "flush", "--all") and second.count() == 1, "the message at its new next hop")
        self.assertEqual(first.count(), 0)

    def test_reroute_asks_the_routes_that_there_are_now(self):
        first, second = self.peer(on=not_now), self.peer()
        server = self.waiting(first)
        arrival = server.queue()[0]["arrival_time"]
        server.write_config(CONFIG % second.port)
        server.cli("reload")
        self.assertEqual(second.count(), 0)  # mail that waits keeps its route
        self.assertEqual(server.queue()[0]["arrival_time"], arrival)
        self.assertIn("1 message", server.cli("queue", "reroute", "--match", "transport=relay"))
        self.assertEqual(self.arrived(second), ["a@own.test"])

    def test_suspended_mail_waits_and_goes_when_it_is_resumed(self):
        first, second = self.peer(on=not_now), self.peer()
        server = self.waiting(first)
        qid = server.queue()[0]["queue_id"]
        server.cli("queue", "suspend", "--tenant", "acme", "--reason", "a look")
        server.cli("queue", "rebind", qid, "--nexthop", f"[127.0.0.1]:{second.port}")
        rig.wait_for(lambda: "a look" in server.cli("queue", "why", qid), "the suspension to bind it")
        self.assertEqual(second.count(), 0)
        server.cli("queue", "resume", "--tenant", "acme")
        self.assertEqual(self.arrived(second), ["a@own.test"])

    def test_a_pool_is_suspended_for_one_destination(self):
        first = self.peer(on=not_now)
        server = self.waiting(first)
        qid, to = server.queue()[0]["queue_id"], f"[127.0.0.1]:{first.port}"
        server.cli("queue", "rebind", qid, "--pool", "warm")
        server.cli("queue", "suspend", "--pool", "warm", "--destination", to)
        self.assertIn(f"source pool warm is suspended for {to}", server.cli("queue", "why", qid))
        self.assertIn(f"source_pool warm for {to}: since ", server.cli("queue", "suspensions"))
        for args in (["--pool", "warm"], ["--destination", to]):
            self.assertNotEqual(rig.run_program("queue", "resume", *args, "--config", server.config).returncode, 0)
        server.cli("queue", "resume", "--pool", "warm", "--destination", to)
        self.assertNotIn("suspended", server.cli("queue", "why", qid))
        result = rig.run_program("queue", "suspend", "--pool", "warm", "--tenant", "acme", "--config", server.config)
        self.assertNotEqual(result.returncode, 0)

    def test_mail_of_a_group_leaves_from_its_pools(self):
        seen = collections.Counter()

        def on(command, state, _):
            if command == "DATA" and takes:  # it is pipelined behind the RCPT that is refused, too
                seen[state["socket"].getpeername()[0]] += 1
            return not_now(command) if not takes else None

        takes = []
        first = self.peer(on=on)
        server = self.waiting(first)
        for n in range(3):
            with rig.Client(server.port) as c:
                self.assertEqual(c.cmd("EHLO client.test")[0], 250)
                c.message("me@own.test", [f"{n}@own.test"], "Subject: x\r\n\r\nHello.\r\n")
        server.wait_deferred(4)
        takes.append(True)
        server.cli("queue", "rebind", "--tenant", "acme", "--pool", "both")
        server.cli("queue", "flush", "--all")
        self.arrived(first, 4)
        self.assertEqual(seen, {"127.0.0.2": 2, "127.0.0.3": 2})

    def test_mail_is_suspended_by_each_of_its_names(self):
        first = self.peer(on=not_now)
        server = self.waiting(first)
        qid = server.queue()[0]["queue_id"]
        names = [*NAMES, ("--destination", f"[127.0.0.1]:{first.port}")]
        for tried, (option, name) in enumerate(names, 1):
            server.cli("queue", "suspend", option, name, "--reason", "a look")
            server.cli("queue", "flush", qid)
            rig.wait_for(lambda: f"{name} is suspended: a look" in server.cli("queue", "why", qid), f"{name} to bind it")
            self.assertEqual(len(server.deliveries(status="deferred")), tried)
            server.cli("queue", "resume", option, name)
            server.wait_deferred(tried + 1)  # the flush goes on
        self.assertEqual(server.cli("queue", "suspensions"), "")

    def test_mail_is_sent_another_way_by_each_of_its_names(self):
        peers = [self.peer(on=not_now), self.peer(on=not_now)]
        server = self.waiting(peers[0])
        qid = server.queue()[0]["queue_id"]

        def goes_to(port):
            shown = json.loads(server.cli("queue", "show", qid))
            return [g["nexthop"] for g in shown["groups"]] == [f"[127.0.0.1]:{port}"]

        for verb in ("rebind", "reroute"):
            for option, name in [*NAMES, ("--destination", "own.test")]:
                peers.reverse()
                port = peers[0].port
                if verb == "reroute":
                    server.write_config(CONFIG % port)
                    server.cli("reload")
                to = ["--nexthop", f"[127.0.0.1]:{port}"] if verb == "rebind" else []
                tried = len(server.deliveries(status="deferred"))
                self.assertIn("1 message", server.cli("queue", verb, option, name, *to))
                rig.wait_for(lambda: goes_to(port), f"{verb} {option} {name}")
                server.wait_deferred(tried + 1)  # what is being delivered is left alone

    def test_what_makes_no_sense_is_refused(self):
        server = self.waiting(self.peer(on=not_now))
        qid = server.queue()[0]["queue_id"]
        for args, said in ((["--tenant", "acme"], "where to?"), (["--all", "--transport", "nowhere"], "[transport.nowhere]"),
                           (["--transport", "spare"], "which messages?"),
                           ([qid, "--all", "--transport", "spare"], "neither --all nor --match"),
                           ([qid, "--match", "tenant=acme", "--transport", "spare"], "neither --all nor --match")):
            result = rig.run_program("queue", "rebind", *args, "--config", server.config)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(said, result.stderr)


if __name__ == "__main__":
    unittest.main()
