"""Sessions outlive a reload: they go on with the configuration and the scripts that they began with until they end or their
time is over, while new ones have the new; a stop, or another reload, ends them."""
import os
import signal
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
ingress_processes = 1
%(top)s
[smtpd]
mynetworks = ["127.0.0.0/8"]
min_data_rate = 0
[listener.smtp]
listen = ["127.0.0.1:{port}"]
policies = ["says"]
[policy.says]
plugin = "lua"
script = "{dir}/says.lua"
isolation = "%(mode)s"
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
SCRIPT = '''
mansio.on("rcpt", function(transaction, rcpt)
  if rcpt.localpart == "who" then return mansio.reject("5.7.1", "the %s script") end
end)
'''
STOPPING = (421, "4.3.2 mx.mansio.test Service shutting down")
CLOSED = (0, "connection closed")


class ReloadSessions(rig.TestCase):
    def server(self, mode="inproc", top=""):
        self.write("old")
        return self.mansio(CONFIG % {"mode": mode, "top": top}, name=mode, plugins=self.plugins("lua", "transport-discard"))

    def write(self, which):
        with open(self.path("says.lua"), "w") as f:
            f.write(SCRIPT % which)
        os.chmod(f.name, 0o644)

    def reload(self, server, which):
        self.write(which)
        server.cli("reload")

    def client(self, server):
        client = rig.Client(server.port)
        self.addCleanup(client.close)
        self.assertEqual(client.cmd("EHLO client.test")[0], 250)
        return client

    def assert_script(self, client, which):
        self.assertEqual(client.cmd("MAIL FROM:<a@example.com>")[0], 250)
        self.assertEqual(client.cmd("RCPT TO:<who@two.example>"), (550, f"5.7.1 the {which} script"))
        self.assertEqual(client.cmd("RSET")[0], 250)

    def send(self, client):
        client.message("a@example.com", ["b@two.example"], "Subject: x\r\n\r\nx")

    def half_a_message(self, client):
        self.assertEqual(client.cmd("MAIL FROM:<a@example.com>")[0], 250)
        self.assertEqual(client.cmd("RCPT TO:<b@two.example>")[0], 250)
        self.assertEqual(client.cmd("DATA")[0], 354)
        client.send("Subject: x\r\n\r\nhalf a li")

    def welcome(self, client):
        self.addCleanup(client.close)
        return [client.cmd(line)[0] for line in ("EHLO client.test", "MAIL FROM:<a@example.com>", "RSET")] == [250] * 3

    def sessions_processes(self, server):
        """Those that sessions need."""
        return {pid for pid, name in server.children().items() if name.startswith(("ingress", "host."))}

    def wait_gone(self, server, old):
        rig.wait_for(lambda: not old & server.children().keys(), "the old processes to end")
        self.assertEqual(server.events("process killed"), [])
        self.assertEqual(server.events("stopped at the deadline with work in hand"), [])

    def test_a_session_goes_on_with_the_old_script_until_it_ends(self):
        for mode in ("inproc", "process"):
            with self.subTest(mode):
                server = self.server(mode)
                client = self.client(server)
                self.send(client)
                self.assert_script(client, "old")
                old = self.sessions_processes(server)
                self.reload(server, "new")
                self.assert_script(self.client(server), "new")
                for _ in range(2):
                    self.send(client)
                    self.assert_script(client, "old")
                self.assertLessEqual(old, server.children().keys())
                self.assertEqual(client.cmd("QUIT")[0], 221)
                self.wait_gone(server, old)
                server.wait_event("delivery", 3, status="sent")
                self.assert_script(self.client(server), "new")
                server.close()
                server.process = None

    def test_a_session_that_does_not_end_is_told_when_its_time_is_over(self):
        server = self.server(top=f'drain_timeout = "{16 * rig.SLOW}s"')
        idle, busy = self.client(server), self.client(server)
        self.half_a_message(busy)
        old = self.sessions_processes(server)
        self.reload(server, "new")
        self.assertEqual(idle.reply(), STOPPING)
        self.assertEqual(idle.reply(), CLOSED)
        busy.send("ne\r\n.\r\n")
        self.assertEqual(busy.reply()[0], 250)
        self.assertEqual(busy.reply(), STOPPING)
        self.wait_gone(server, old)

    def test_a_session_in_the_middle_of_a_message_is_cut_off_at_last(self):
        server = self.server(top=f'drain_timeout = "{4 * rig.SLOW}s"')
        busy = self.client(server)
        self.half_a_message(busy)
        old = self.sessions_processes(server)
        self.reload(server, "new")
        self.assertEqual(busy.reply(), STOPPING)
        self.assertEqual(busy.reply(), CLOSED)
        self.wait_gone(server, old)

    def test_a_stop_ends_sessions_of_the_old_configuration_at_once(self):
        # Also one that gives them longer than is left of drain_timeout.
        server = self.server(top='stop_timeout = "1h"\ndrain_timeout = "20m"')
        old = self.client(server)
        self.reload(server, "new")
        new = self.client(server)
        self.assert_script(old, "old")
        server.process.send_signal(signal.SIGTERM)
        for client in (old, new):
            self.assertEqual(client.reply(), STOPPING)
            self.assertEqual(client.reply(), CLOSED)
        self.assertEqual(server.process.wait(rig.LIMIT), 0)
        self.assertEqual(server.events("process killed"), [])

    def test_another_reload_ends_those_of_the_configuration_before_the_last(self):
        server = self.server()
        first = self.client(server)
        old = self.sessions_processes(server)
        self.reload(server, "second")
        second = self.client(server)
        self.assert_script(first, "old")
        self.reload(server, "third")
        self.assertEqual(first.reply(), STOPPING)
        self.assertEqual(first.reply(), CLOSED)
        self.wait_gone(server, old)
        self.send(second)
        self.assert_script(second, "second")
        self.assert_script(self.client(server), "third")

    def test_a_reload_that_is_refused_ends_no_session(self):
        server = self.server()
        first = self.client(server)
        self.reload(server, "second")
        second = self.client(server)
        with open(self.path("says.lua"), "w") as f:
            f.write("mansio.on(")
        server.cli("reload", check=False)
        server.wait_event("reload failed, the old configuration stays in force")
        self.assert_script(first, "old")
        self.assert_script(second, "second")

    def test_a_queue_that_dies_meanwhile_is_known_to_the_old_sessions_as_well(self):
        server = self.server()
        client = self.client(server)
        self.reload(server, "new")
        (queue,) = (pid for pid, name in server.children().items() if name == "queue")
        ready = len(server.events("process ready", role="queue"))
        os.kill(queue, signal.SIGKILL)
        server.wait_event("process ready", ready + 1, role="queue")
        for session in (lambda: rig.Client(server.port), lambda: client):
            rig.wait_for(lambda: self.welcome(session()), "MAIL to be welcome")
        self.send(client)
        self.assert_script(client, "old")
        server.wait_event("delivery", status="sent")


if __name__ == "__main__":
    unittest.main()
