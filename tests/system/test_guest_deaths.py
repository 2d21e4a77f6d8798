"""A filter in the ingress process that ends it, by a fault, abort(), exit() or a loop without end, takes the sessions of all
listeners with it until its breaker opens. From then on on_failure answers, mail of the other listener is all taken and
delivered, and nothing that was acknowledged is lost. After the pause it is tried once; once it is mended it is asked again.
Deaths are counted; nothing here goes by time."""
import contextlib
import os
import signal
import unittest

import rig
import sins

DEATHS = 3  # that open the breaker
AFTER = 20  # messages for each listener, with the breaker open
TAKEN = {250}
DEFERRED = {421, 451}  # by a process that never had the plugin, and does not know which stages it wants; by one that has

CONFIG = '''
myhostname = "mx.mansio.test"
ingress_processes = %(processes)d
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[listener.watched]
listen = ["127.0.0.1:%(watched)d"]
filters = ["dies"]
[filter.dies]
plugin = "filter-dies"
how = "%(how)s"
where = "%(where)s"
path = "{dir}/broken"
breaker_deaths = %(deaths)d
breaker_time = "%(pause)s"
on_failure = "%(on_failure)s"
[transport.good]
plugin = "transport-discard"
[[route]]
transport = "good"
'''
OPEN = ("breaker open: the plugin's code keeps ending processes and is not asked for a while; on_failure answers; mend it or "
        'set isolation = "process", and have it asked at once with mansio reload')
CLOSED = "breaker closed: the plugin answers again"
RESTS = "its code ended processes of Mansio, and it is not asked for a while"


class GuestDeaths(rig.TestCase):
    def breaks(self, broken=True):
        if broken:
            with open(self.path("broken"), "w"):
                pass
        else:
            os.unlink(self.path("broken"))

    def server(self, how="segfaults", on_failure="defer", where="rcpt", pause="3600s", processes=1):
        self.watched = rig.free_port()
        config = CONFIG % {"how": how, "where": where, "on_failure": on_failure, "pause": pause, "watched": self.watched,
                           "deaths": DEATHS, "processes": processes}
        server = rig.Mansio(self.dir, config, plugins=self.plugins("filter-dies", "transport-discard"),
                            name=f"{how}-{on_failure}", env=sins.quiet("filter-dies"))
        self.addCleanup(server.close)
        server.start()
        rig.wait_for_port(self.watched)
        self.acknowledged = 0
        return server

    def end(self, server):
        server.close()

    def send(self, port):
        """The first reply that is not what a client hopes for, or 250 for a message that was taken; 0 for a connection that
        was lost."""
        with contextlib.suppress(OSError), rig.Client(port, greet=False) as client:
            code = client.reply()[0]
            if code != 220:
                return code
            for line in ("EHLO client.test", "MAIL FROM:<a@example.com>", "RCPT TO:<b@two.example>", "DATA",
                         "Subject: x\r\n\r\nx\r\n."):
                code = client.cmd(line)[0]
                if not 200 <= code < 400:
                    return code
            self.acknowledged += 1
            return code
        return 0

    def until_open(self, server, count=1):
        """Clients of both listeners, until the breaker has opened; those that come after it are served."""
        def opened():
            self.send(self.watched)
            self.send(server.port)
            return len(server.events(OPEN)) >= count
        rig.wait_for(opened, "the breaker to open")
        rig.wait_for(lambda: self.send(server.port) == 250, "the listeners to be served again")
        return server.events(OPEN)[-1]

    def deaths(self, server):
        return [e for e in server.events("process ended") if e["reason"].endswith("in the code of filter dies")]

    def all_delivered(self, server, held=0):
        server.wait_event("delivery", count=self.acknowledged - held, status="sent")
        self.assertEqual(len(server.queue()), held)

    def test_mail_that_does_not_need_it_flows_once_the_breaker_is_open(self):
        self.breaks()
        for how, on_failure, codes in (("segfaults", "defer", DEFERRED), ("aborts", "skip", TAKEN), ("exits", "hold", TAKEN),
                                       ("spins", "defer", DEFERRED)):
            with self.subTest(how=how, on_failure=on_failure):
                server = self.server(how, on_failure)
                opened = self.until_open(server)
                self.assertEqual((opened["filter"], opened["hung"], opened["seconds"]), ("dies", how == "spins", 3600))
                self.assertIn("in the code of filter dies", opened["reason"])
                died = len(self.deaths(server))
                self.assertEqual(died, 1 if how == "spins" else DEATHS)
                watched = len(server.events("filter failed", filter="filter.dies", on_failure=on_failure))
                for _ in range(AFTER):
                    self.assertEqual(self.send(server.port), 250)
                    self.assertIn(self.send(self.watched), codes)
                failed = server.events("filter failed", filter="filter.dies", on_failure=on_failure)[watched:]
                self.assertGreaterEqual(len(failed), AFTER)
                self.assertTrue(all(RESTS in e["reason"] for e in failed))
                rig.wait_for(lambda server=server: all(m["queue_name"] == "hold" for m in server.queue()), "deliveries to end")
                held = len(server.queue())
                self.assertGreaterEqual(held, AFTER if on_failure == "hold" else 0)
                self.all_delivered(server, held)
                self.assertEqual(len(self.deaths(server)), died)
                self.end(server)

    def test_deaths_of_several_processes_are_counted_together(self):
        self.breaks()
        server = self.server(processes=2)
        self.until_open(server)
        # Both may have been in it when it opened.
        self.assertIn(len(self.deaths(server)), (DEATHS, DEATHS + 1))
        died = len(self.deaths(server))
        for _ in range(AFTER):
            self.assertIn(self.send(self.watched), DEFERRED)
            self.assertEqual(self.send(server.port), 250)
        self.assertEqual(len(self.deaths(server)), died)
        self.all_delivered(server)

    def test_it_is_tried_after_the_pause_and_rests_for_longer(self):
        self.breaks()
        server = self.server(pause="1s")
        self.assertEqual(self.until_open(server)["seconds"], 1)
        self.assertEqual(self.until_open(server, count=2)["seconds"], 2)
        self.assertEqual(len(self.deaths(server)), DEATHS + 1)
        self.breaks(False)
        rig.wait_for(lambda: self.send(self.watched) == 250, "the filter to be asked again")
        server.wait_event(CLOSED, filter="dies")
        self.assertEqual(len(self.deaths(server)), DEATHS + 1)
        self.all_delivered(server)

    def test_it_is_asked_at_once_after_a_reload(self):
        self.breaks()
        server = self.server()
        self.until_open(server)
        self.assertIn(self.send(self.watched), DEFERRED)
        self.breaks(False)
        server.cli("reload")
        server.wait_event("reloaded", epoch=2)
        self.assertEqual(self.send(self.watched), 250)
        self.all_delivered(server)

    def test_one_that_dies_as_it_starts_does_not_keep_the_server_from_starting(self):
        self.breaks()
        server = self.server(where="start")
        self.assertEqual(len(server.events(OPEN, filter="dies")), 1)
        self.assertEqual(len(self.deaths(server)), DEATHS)
        for _ in range(AFTER):
            self.assertIn(self.send(self.watched), DEFERRED)
            self.assertEqual(self.send(server.port), 250)
        self.all_delivered(server)
        self.breaks(False)
        server.cli("reload")
        self.assertEqual(self.send(self.watched), 250)

    def test_a_reload_to_one_that_dies_as_it_starts_is_refused(self):
        server = self.server(where="start")
        self.breaks()
        self.assertIn("in the code of filter dies", server.cli("reload", check=False)
                      + server.wait_event("reload failed, the old configuration stays in force")[0]["reason"])
        self.assertEqual(self.send(self.watched), 250)
        self.assertEqual(self.send(server.port), 250)
        self.assertEqual(server.events(OPEN), [])
        self.all_delivered(server)

    def test_no_sample_is_there_twice_while_a_reload_waits_for_its_processes(self):
        server = self.server(how="spins", where="start")
        self.breaks()
        server.process.send_signal(signal.SIGHUP)
        rig.wait_for(lambda: len(server.pids("ingress")) == 2, "the new process")
        metrics = server.cli("status", "--metrics").splitlines()
        samples = sorted(line.rpartition(" ")[0] for line in metrics if not line.startswith("#"))
        self.assertEqual(samples, sorted(set(samples)))


if __name__ == "__main__":
    unittest.main()
