"""Mail that plugins put into the queue, from the process that uses them and from one of their own: it is on stable storage
when they hear that it is taken, it goes its way as other mail does, and it is not taken when other mail would not be."""
import contextlib
import json
import os
import re
import signal
import threading
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["own.example"]
local_recipient_maps = ["asks"]
[lookup.asks]
plugin = "submits"
isolation = "{mode}"
[lookup.bin]
plugin = "lookup-file"
inline = "team@alias.example one@sink.example,two@sink.example"
[filter.sees]
plugin = "submits"
isolation = "{mode}"
to = "seen@sink.example"
[transport.copies]
plugin = "submits"
isolation = "{mode}"
to = "{to}"
[smtpd]
mynetworks = ["127.0.0.0/8"]
{smtpd}
[listener.smtp]
listen = ["127.0.0.1:{{port}}"]
filters = {filters}
[transport.relay]
plugin = "transport-smtp"
[[route]]
domain = ["copy.example"]
transport = "copies"
[[route]]
domain = ["nowhere.invalid"]
error = "550 5.1.2 there is no such place"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:{sink}"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
{queue}
'''


class Submits(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.later = False  # whether all recipients are told to come again
        self.sink = self.peer(on=lambda command, *_: "451 4.2.0 come again" if command == "RCPT" and self.later else None)

    def server(self, mode, to="copy@sink.example", filters="[]", smtpd="", queue="", top="", **kw):
        config = top + CONFIG.format(mode=mode, to=to, filters=filters, smtpd=smtpd, queue=queue, sink=self.sink.port)
        return self.mansio(config, plugins=self.plugins("submits", "lookup-file", "transport-smtp"), **kw)

    def send(self, server, recipient, subject="x"):
        with rig.Client(server.port) as client:
            self.assertEqual(client.cmd("EHLO client.test")[0], 250)
            client.message("a@client.test", [recipient], f"Subject: {subject}\r\n\r\nbody of {subject}\r\n")

    def arrived(self, recipient):
        """What came for this one: senders and contents."""
        return [(m.sender, m.content.decode()) for m in self.sink.messages if recipient in m.recipients]

    def subjects(self, recipient):
        return {re.search(r"^Subject: (\S+)", content, re.M)[1] for _, content in self.arrived(recipient)}

    def test_a_transport_submits_what_it_was_to_deliver(self):
        for mode in ("inproc", "process"):
            server = self.server(mode, to=f"{mode}@sink.example", name=mode)
            self.send(server, "b@copy.example", mode)
            to = f"{mode}@sink.example"
            rig.wait_for(lambda to=to: self.arrived(to), "the copy")
            (sender, content), = self.arrived(to)
            self.assertEqual(sender, "a@client.test")
            self.assertEqual(len(re.findall(r"^Received: ", content, re.M)), 2)
            self.assertIn(f"body of {mode}\r\n", content)
            taken, = server.wait_event("submitted")
            self.assertEqual(taken["plugin"], "transport copies")
            self.assertEqual(taken["nrcpt"], 1)
            (line,) = server.wait_event("delivery", to="b@copy.example")
            self.assertEqual(line["status"], "sent")
            self.assertIn(taken["qid"], line["text"])
            server.wait_event("delivery", to=to, status="sent", qid=taken["qid"])
            self.assertRegex(server.cli("status", "--metrics"), r"(?m)^mansio_router_submitted_total\S* 1$")
            self.assertEqual(server.stop(), 0)
            server.process = None

    def test_a_filter_and_a_table_submit_as_well(self):
        for mode in ("inproc", "process"):
            server = self.server(mode, filters='["sees"]', name=mode)
            self.sink.messages.clear()
            self.send(server, "b@sink.example", mode)
            rig.wait_for(lambda: self.arrived("seen@sink.example"), "the filter's mail")
            (sender, content), = self.arrived("seen@sink.example")
            self.assertEqual(sender, "")
            self.assertIn(f"body of {mode}", content)
            # The table is asked for own@own.example, and submits to that address: it is mail of ours, which no table and no
            # filter sees.
            with rig.Client(server.port) as client:
                client.cmd("EHLO client.test")
                client.cmd("MAIL FROM:<a@client.test>")
                self.assertEqual(client.cmd("RCPT TO:<own@own.example>")[0], 250)
            plugins = [e["plugin"] for e in server.wait_event("submitted", 2)]
            self.assertEqual(plugins, ["filter sees", "lookup asks"])
            self.assertEqual(server.stop(), 0)
            server.process = None

    def test_metadata_travels_and_aliases_lead_on(self):
        self.later = True
        server = self.server("process", to="team@alias.example", top='virtual_alias_maps = ["bin"]\nvirtual_alias_domains = ["alias.example"]\n')
        self.send(server, "b@copy.example")
        taken, = server.wait_event("submitted")
        self.assertEqual(taken["nrcpt"], 2)
        server.wait_event("delivery", 2, qid=taken["qid"], status="deferred")
        envelope = json.loads(server.cli("queue", "show", taken["qid"]))["envelope"]
        self.assertEqual(envelope["campaign"], "copies")
        self.later = False
        rig.wait_for(lambda: self.arrived("one@sink.example") and self.arrived("two@sink.example"), "both of the alias")

    def test_mail_that_goes_round_is_stopped(self):
        server = self.server("process", to="again@copy.example", smtpd="hopcount_limit = 5")
        self.send(server, "b@copy.example")
        refused, = server.wait_event("submission refused")
        self.assertIn("too many hops", refused["reason"])
        self.assertEqual(len(server.events("submitted")), 4)
        server.wait_event("delivery", to="a@client.test", status="sent")  # who hears of it

    def test_what_cannot_be_reached_is_refused_for_good(self):
        server = self.server("inproc", to="b@nowhere.invalid")
        self.send(server, "b@copy.example")
        (line,) = server.wait_event("delivery", to="b@copy.example")
        self.assertEqual(line["status"], "bounced")
        self.assertIn("b@nowhere.invalid", line["text"])
        self.assertEqual(server.events("submitted"), [])

    def test_a_plugin_hears_that_new_mail_is_not_welcome(self):
        self.later = True
        server = self.server("process", queue="backlog_limit = 2")
        server.cli("queue", "suspend", "--destination", "copy.example")
        self.send(server, "b@copy.example")
        self.send(server, "b@sink.example")
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.test")
            rig.wait_for(lambda: client.cmd("MAIL FROM:<a@client.test>")[0] == 452 or client.cmd("RSET")[0] != 250, "452 for new mail")
        server.cli("queue", "resume", "--destination", "copy.example")
        (line, *_) = server.wait_event("delivery", to="b@copy.example", status="deferred")
        self.assertIn("Too much mail is waiting", line["text"])
        self.assertEqual(server.events("submitted"), [])
        self.later = False
        rig.wait_for(lambda: self.arrived("copy@sink.example"), "the copy once there is room")

    def test_nothing_that_was_taken_is_lost_when_everything_is_killed(self):
        for mode in ("inproc", "process"):
            with self.subTest(mode):
                self.later = True  # so that nothing leaves before
                server = self.server(mode, to=f"{mode}@sink.example", name=mode)
                for n in range(30):
                    self.send(server, "b@copy.example", f"{mode}.{n}")
                taken = server.wait_event("submitted", 10)  # and the others are under way
                server.kill()
                self.later = False
                server.start()
                expected = {f"{mode}.{n}" for n in range(30)}
                rig.wait_for(lambda: self.subjects(f"{mode}@sink.example") == expected, "all copies")
                for line in taken:
                    server.wait_event("delivery", qid=line["qid"], status="sent")
                self.assertEqual(server.stop(), 0)
                server.process = None

    def test_a_router_that_dies_takes_nothing_with_it(self):
        server = self.server("process")
        over = threading.Event()

        def killer():
            while not over.wait(0.3):
                for pid, role in server.children().items():
                    if role == "router":
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
        thread = threading.Thread(target=killer)
        thread.start()
        try:
            for n in range(60):
                self.send(server, "b@copy.example", f"r.{n}")
            rig.wait_for(lambda: len(server.events("process ended", role="router")) >= 2, "the router to have died")
        finally:
            over.set()
            thread.join()
        expected = {f"r.{n}" for n in range(60)}
        rig.wait_for(lambda: self.subjects("copy@sink.example") == expected, "all copies")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")

    def test_a_reload_leaves_plugins_a_router(self):
        server = self.server("process")
        for n in range(3):
            self.send(server, "b@copy.example", f"g.{n}")
            rig.wait_for(lambda n=n: f"g.{n}" in self.subjects("copy@sink.example"), "the copy")
            server.cli("reload")
        self.send(server, "b@copy.example", "last")
        rig.wait_for(lambda: "last" in self.subjects("copy@sink.example"), "the copy")


if __name__ == "__main__":
    unittest.main()
