"""Plugins in processes of their own: transports and tables deliver and answer through them, a message that kills them is
held, a breaker stops their restarts, and on_failure decides what becomes of their mail."""
import os
import signal
import unittest

import rig
import sins


CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.relay]
plugin = "transport-smtp"
isolation = "process"
%s
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
worker_kill_limit = 2
'''

DYING = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.dying]
plugin = "%s"
isolation = "process"
%s
[transport.good]
plugin = "transport-smtp"
[[route]]
domain = ["dying.example"]
transport = "dying"
[[route]]
transport = "good"
nexthop = "[127.0.0.1]:%d"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
notify_classes = []
worker_kill_limit = %d
'''
OPEN = "breaker open: the plugin's process keeps dying and is not started for a while; on_failure answers"


class Isolation(rig.TestCase):
    def send(self, server, recipients, content="Subject: x\r\n\r\nHello.\r\n"):
        with rig.Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
            for r in recipients:
                c.message("a@example.com", [r], content)

    def ours(self, server):
        """What the queue has of the mail sent here: a held message makes one to the postmaster besides, which goes the same
        way."""
        return [m["queue_name"] for m in server.queue() if m["sender"] == "a@example.com"]

    def host(self, server):
        return server.pids("host.")

    def test_a_transport_delivers_through_its_process(self):
        sink = self.peer()
        server = self.mansio(CONFIG % ("", sink.port))
        self.assertEqual(len(self.host(server)), 1)
        self.send(server, [f"{i}@one.example" for i in range(20)])
        rig.wait_for(lambda: sink.count() == 20, "every message at the sink")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        with sink.lock:
            self.assertIn(b"Hello.", sink.messages[0].content)
        self.assertEqual(server.stop(), 0)

    def test_mail_waits_out_the_death_of_the_process(self):
        sink = self.peer()
        server = self.mansio(CONFIG % ("", sink.port))
        old = self.host(server)
        os.kill(old[0], signal.SIGKILL)
        self.send(server, [f"{i}@one.example" for i in range(10)])
        rig.wait_for(lambda: sink.count() >= 10, "every message at the sink")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertNotEqual(self.host(server), old)

    def test_a_reload_changes_to_a_new_process_without_losing_mail(self):
        sink = self.peer()
        server = self.mansio(CONFIG % ("", sink.port))
        old = self.host(server)
        self.send(server, [f"{i}@one.example" for i in range(10)])
        server.cli("reload")
        self.send(server, [f"{i}@two.example" for i in range(10)])
        rig.wait_for(lambda: sink.count() == 20, "every message at the sink")
        rig.wait_for(lambda: len(self.host(server)) == 1 and self.host(server) != old, "the old process to end")
        self.assertEqual(server.events("process killed"), [])

    def sinner(self, name, options):
        config = CONFIG % (options, 1)
        return self.mansio(config.replace('"transport-smtp"', f'"{name}"'), plugins=self.plugins(name, "transport-smtp"))

    def test_a_message_that_kills_its_process_again_and_again_is_held(self):
        server = self.sinner("sin-aborts", "breaker_deaths = 100")
        self.send(server, ["a@one.example"])
        held = server.wait_event("message held: release it once the plugin is repaired")
        self.assertIn("2 delivery processes", held[0]["reason"])
        rig.wait_for(lambda: self.ours(server) == ["hold"], "the message to be held")
        self.assertEqual(server.events("a delivery process died"), [], "the egress lives on")

    def test_a_breaker_stops_the_restarts(self):
        server = self.sinner("sin-aborts", 'breaker_deaths = 2\nbreaker_time = "3600s"')
        self.send(server, ["a@one.example", "b@one.example", "c@one.example"])
        server.wait_event("breaker open: the plugin's process keeps dying and is not started for a while; on_failure answers")
        rig.wait_for(lambda: self.host(server) == [], "the process to be gone")
        self.assertEqual(len(self.ours(server)), 3)

    def dying(self, name, options, next_hop, kills):
        return self.mansio(DYING % (name, options, next_hop.port, kills), plugins=self.plugins(name, "transport-smtp"),
                           env=sins.quiet(name), name=f"mansio{len(os.listdir(self.dir))}")

    def test_a_crash_for_each_call_opens_the_breaker_and_mail_that_does_not_need_the_plugin_flows(self):
        for on_failure in ("defer", "hold"):
            with self.subTest(on_failure=on_failure):
                sink = self.peer()
                server = self.dying("sin-segfaults", f'breaker_deaths = 3\nbreaker_time = "3600s"\non_failure = "{on_failure}"',
                                    sink, 7)
                for i in range(10):
                    self.send(server, [f"{i}@dying.example", f"{i}@good.example"])
                server.wait_event(OPEN, role="host.transport.dying")
                rig.wait_for(lambda: self.host(server) == [], "the process to be gone")
                self.send(server, ["late@dying.example"] + [f"{i}@good.example" for i in range(10, 20)])
                rig.wait_for(lambda: sink.count() == 20, "the other mail at the next hop")
                late = server.wait_event("delivery", to="late@dying.example")[0]
                self.assertEqual(late["status"], "deferred")
                if on_failure == "hold":
                    rig.wait_for(lambda: self.ours(server) == ["hold"] * 11, "all of its mail to be held")
                else:
                    rig.wait_for(lambda: len(self.ours(server)) == 11, "all of its mail to wait")
                    self.assertNotIn("hold", self.ours(server))
                self.assertEqual(server.deliveries(transport="dying", status="sent"), [])
                self.assertEqual(len(server.events("process ended", role="host.transport.dying", crashed=True)), 3)
                self.assertEqual([e for e in server.events("process ended", crashed=True) if not e["role"].startswith("host.")], [])

    def test_a_poisonous_message_is_held_and_all_other_mail_of_the_plugin_is_delivered(self):
        for how in ("call", "later"):
            with self.subTest(how=how):
                server = self.dying("transport-poison", f'breaker_deaths = 2\nbreaker_time = "1s"\nhow = "{how}"', self.peer(), 3)
                self.send(server, ["poison@dying.example"] + [f"{i}@dying.example" for i in range(10)])
                poison = server.wait_event("message held: release it once the plugin is repaired")
                self.send(server, [f"{i}@dying.example" for i in range(10, 20)])
                for i in range(20):
                    server.wait_event("delivery", to=f"{i}@dying.example", status="sent")
                rig.wait_for(lambda: self.ours(server) == ["hold"], "nothing but the poisonous message to be left")
                self.assertEqual([e["qid"] for e in poison], [server.deliveries(to="poison@dying.example")[0]["qid"]])
                self.assertEqual(len(server.events("message held: release it once the plugin is repaired")), 1)
                self.assertGreaterEqual(len(server.events(OPEN, role="host.transport.dying")), 1)

    def test_one_that_uses_more_cpu_than_its_budget_is_ended_though_its_loop_turns(self):
        said = "host process ends itself: it uses more CPU than its cpu_limit"
        for how in ("timer", "thread"):
            with self.subTest(how):
                config = CONFIG % (f'cpu_limit = 0.2\nbreaker_deaths = 100\nhow = "{how}"', 1)
                server = self.mansio(config.replace('"transport-smtp"', '"transport-burns"'), name=how,
                                     plugins=self.plugins("transport-burns"))
                old = self.host(server)
                self.send(server, ["a@one.example"])
                server.wait_event("delivery", to="a@one.example", status="sent")
                rig.wait_for(lambda: said in server.log_text(), said)
                rig.wait_for(lambda: self.host(server) not in ([], old), "another process")
                self.send(server, ["b@one.example"])  # mail goes on in between
                server.wait_event("delivery", to="b@one.example", status="sent")
                server.close()

    def test_a_large_answer_of_a_table_arrives_wherever_the_table_is(self):
        for mode in ("inproc", "process"):
            with self.subTest(mode):
                config = (CONFIG % ('table = "odd"', 1)).replace('"transport-smtp"\nisolation = "process"', '"transport-asks"')
                config += f'[lookup.odd]\nplugin = "lookup-odd"\nisolation = "{mode}"\n'
                server = self.mansio(config, name=mode, plugins=self.plugins("transport-asks", "lookup-odd"))
                self.send(server, ["much@example.com"])
                (delivery,) = server.wait_event("delivery", to="much@example.com")
                self.assertEqual(delivery["status"], "sent", delivery["text"])
                server.close()

    def test_mail_on_which_the_plugin_fails_is_held_where_that_is_configured(self):
        server = self.sinner("sin-throws-in-call", 'on_failure = "hold"')
        self.send(server, ["a@one.example"])
        held = server.wait_event("message held: its transport failed")
        self.assertIn("the plugin failed", held[0]["reason"])
        rig.wait_for(lambda: self.ours(server) == ["hold"], "the message to be held")


if __name__ == "__main__":
    unittest.main()
