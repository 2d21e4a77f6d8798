"""Who the processes are: nobody in particular when started so, and a configured user when started as root."""
import os
import pwd
import signal
import unittest

from rig import LIMIT, Client, Mansio, TestCase, maildir_messages, wait_for

CONFIG = """
{user}
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.local]
plugin = "transport-maildir"
directory = "{dir}/mail/{local}"
[transport.smtp]
plugin = "transport-smtp"
[[route]]
domain = ["mansio.test"]
transport = "local"
[[route]]
transport = "smtp"
"""


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


class Privileges(TestCase):
    def start(self, account, user="", run_as=None):
        os.mkdir(self.path("mail"))
        if os.geteuid() == 0:
            os.chown(self.path("mail"), account.pw_uid, account.pw_gid)
        return self.mansio(CONFIG.replace("{user}", user), run_as=run_as)

    def deliver(self, server, count):
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.message("a@example.org", ["bob@mansio.test"], "Subject: x\r\n\r\nx\r\n")
        wait_for(lambda: len(maildir_messages(self.path("mail", "bob"))) == count, f"message {count}")

    def confined(self, server, account):
        """Every child has that identity and cannot get another; returns their names."""
        children = server.children()
        for pid, name in children.items():
            try:
                s = status(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue  # of the generation before, which ends when it has nothing in hand
            with self.subTest(process=name):
                self.assertEqual(s["Uid"].split(), [str(account.pw_uid)] * 4)
                self.assertEqual(s["Gid"].split(), [str(account.pw_gid)] * 4)
                self.assertEqual(s["NoNewPrivs"], "1")
                self.assertEqual(s["Seccomp"], "2")  # a filter
                for capabilities in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                    self.assertEqual(int(s[capabilities], 16), 0, capabilities)
        names = set(children.values())
        for expected in ("queue", "router", "control", "ingress", "egress"):
            self.assertTrue(any(n.startswith(expected) for n in names), f"{expected} is not among {names}")
        return names

    def lives(self, server, account):
        """Delivers, reloads, delivers and stops."""
        self.confined(server, account)
        self.deliver(server, 1)
        before = set(server.children())
        server.process.send_signal(signal.SIGHUP)
        server.wait_event("reloaded")
        wait_for(lambda: len(set(server.children()) - before) >= 3, "a new generation")
        self.confined(server, account)
        self.deliver(server, 2)
        wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(server.stop(), 0)

    def test_started_unprivileged_it_delivers_reloads_and_stops(self):
        account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        server = self.start(account, run_as=account)
        self.assertEqual(status(server.process.pid)["Uid"].split(), [str(account.pw_uid)] * 4)
        self.assertEqual(os.stat(server.spool).st_uid, account.pw_uid)
        self.lives(server, account)

    def test_started_as_root_its_children_are_the_configured_user(self):
        self.assertEqual(os.geteuid(), 0, "this test must be run by root: it is about giving up root's privileges")
        account = pwd.getpwnam("daemon")
        server = self.start(account, user='user = "daemon"')
        self.assertEqual(status(server.process.pid)["Uid"].split(), ["0"] * 4)
        for pid in server.children():
            self.assertEqual(status(pid)["Groups"].split(), [str(account.pw_gid)], "groups of root are left")
        self.lives(server, account)

    def test_a_user_that_does_not_exist_is_refused(self):
        self.assertEqual(os.geteuid(), 0, "this test must be run by root: others' children keep their user")
        server = Mansio(self.dir, CONFIG.replace("{user}", 'user = "no-such-user"'))
        self.addCleanup(server.close)
        server.start(wait=False)
        self.assertNotEqual(server.process.wait(LIMIT), 0)
        self.assertIn('mansio.toml:4: user is "no-such-user", but there is no such system user', server.log_text().replace("\\", ""))


if __name__ == "__main__":
    unittest.main()
