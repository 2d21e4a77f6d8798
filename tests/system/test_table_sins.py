"""Lookups that break the rules (tests/fixtures/lookup-sins) where they are asked for new mail, in RCPT, and for mail that
is in the queue, by the router. In process they take the process along that asked; in a process of their own nobody else.
Nothing hangs for good, nobody is called unknown, and mail that does not need the table flows."""
import contextlib
import unittest

import rig
import sins

HEAD = '''
myhostname = "mx.mansio.test"
mydestination = ["sin.example"]
%s
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.good]
plugin = "transport-discard"
[queue]
minimal_backoff_time = "300s"
'''
TABLE = '''
[lookup.sin]
plugin = "%s"
isolation = "%s"
time_limit = "2s"
'''
ROUTE = '''
[transport.away]
plugin = "transport-smtp"
[[route]]
transport = "{}"
nexthop = "[127.0.0.1]:%d"
'''
SINS = ("lookup-sin-blocks-loop", "lookup-sin-aborts", "lookup-sin-never-completes", "lookup-sin-throws-in-call",
        "lookup-sin-throws-in-constructor")
KILLS = ("lookup-sin-blocks-loop", "lookup-sin-aborts")  # the process that its code runs in
SOON = 30 * rig.SLOW  # until a process that ended has a successor, seconds


class TableSins(rig.TestCase):
    def each(self):
        """A server for each sin and mode whose own recipients are in that table. The last is ended by the test's end."""
        for sin in SINS:
            for mode in ("inproc", "process"):
                with self.subTest(sin=sin, mode=mode):
                    config = HEAD % 'local_recipient_maps = ["sin"]' + TABLE % (sin, mode) + '[[route]]\ntransport = "good"\n'
                    server = self.mansio(config, name=f"{sin}-{mode}", env=sins.quiet(sin),
                                         plugins=self.plugins(sin, "transport-discard"))
                    yield server, sin, mode
                    server.close()

    def rcpt(self, server, recipient):
        """The code that RCPT gets on a connection of its own; 0: the connection ended."""
        with contextlib.suppress(OSError), rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            self.assertEqual(c.cmd("MAIL FROM:<a@example.com>")[0], 250)
            return c.cmd(f"RCPT TO:<{recipient}>")[0]
        return 0

    def is_delivered(self, server, recipient):
        """Mail to that recipient, from a client that comes again when its connection breaks."""
        def sent():
            with contextlib.suppress(AssertionError, OSError), rig.Client(server.port) as c:
                c.cmd("EHLO client.test")
                c.message("a@example.com", [recipient], "Subject: good\r\n\r\nx")
                return True
        rig.wait_for(sent, "mail that needs no table to be taken", SOON)
        server.wait_event("delivery", to=recipient, status="sent")

    def test_asked_in_rcpt(self):
        for server, sin, mode in self.each():
            ingress = set(server.pids("ingress."))
            dies = mode == "inproc" and sin in KILLS
            self.assertEqual(self.rcpt(server, "alice@sin.example"), 0 if dies else 451)
            self.is_delivered(server, "bob@good.example")
            if dies:
                rig.wait_for(lambda: not ingress <= server.children().keys(), "the process to be gone")
            else:
                self.assertLessEqual(ingress, server.children().keys())
            if sin == "lookup-sin-blocks-loop":
                who = "ingress" if dies else "host"
                said = f"{who} process ends itself: its loop hangs; its loop is in the code of lookup sin"
                rig.wait_for(lambda: said in server.log_text(), said)

    def test_asked_by_the_router(self):
        for mode in ("inproc", "process"):
            with self.subTest(mode):
                route = ROUTE % rig.free_port()
                server = self.mansio(HEAD % "" + route.format("away"), name=f"router-{mode}",
                                     plugins=self.plugins("lookup-sin-blocks-loop", "transport-discard", "transport-smtp"))
                with rig.Client(server.port) as c:
                    self.assertEqual(c.cmd("EHLO client.test")[0], 250)
                    c.message("a@example.com", ["bob@good.example"], "Subject: waits\r\n\r\nx")
                server.wait_deferred()
                server.write_config(HEAD % 'relocated_maps = ["sin"]' + TABLE % ("lookup-sin-blocks-loop", mode) +
                                    route.format("good"))
                server.cli("reload")
                def routers():
                    return set(server.pids("router"))
                rig.wait_for(lambda: len(routers()) == 1, "the router of the configuration before to have ended")
                router = routers()
                self.assertIn("1 message", server.cli("queue", "reroute", "--all"))
                if mode == "inproc":
                    said = "router process ends itself: its loop hangs; its loop is in the code of lookup sin"
                    rig.wait_for(lambda: said in server.log_text(), said)
                    rig.wait_for(lambda: not router & routers(), "another router")
                else:
                    server.wait_event("no route")
                    self.assertLessEqual(router, server.children().keys())
                self.assertEqual([m["sender"] for m in server.queue()], ["a@example.com"])
                server.write_config(HEAD % "" + route.format("good"))  # mended
                server.cli("reload")
                def goes():
                    server.cli("queue", "reroute", "--all", check=False)
                    server.cli("queue", "flush", "--all", check=False)
                    return server.deliveries(to="bob@good.example", transport="good", status="sent")
                rig.wait_for(goes, "the message to go")
                server.close()


if __name__ == "__main__":
    unittest.main()
