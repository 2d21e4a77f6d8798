"""Versions of a message for some of its recipients, in the whole program: who gets which, what a filter behind does to one
of them, and that a process that dies before the client has its answer leaves nothing, and after it loses nothing. The
plugin is tests/fixtures/filter-odd.c, which gives bob@two.example a version where the field X-Do says "version", with the
rest of that word in its X-Do for the filter behind."""
import os
import pwd
import signal
import unittest

import rig

MODES = ("inproc", "process")

CONFIG = '''
myhostname = "mx.mansio.test"
ingress_processes = 1
[smtpd]
mynetworks = ["127.0.0.0/8"]
filters = ["first", "second"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[filter.first]
plugin = "filter-odd"
isolation = "%(mode)s"
stages = 1024
[filter.second]
plugin = "filter-odd"
isolation = "%(mode)s"
[transport.local]
plugin = "transport-maildir"
directory = "%(mail)s/{domain}/{user}"
[[route]]
transport = "local"
'''
EVERYBODY = ("alice", "bob", "carol")
RECIPIENTS = [who + "@two.example" for who in EVERYBODY]


class Versions(rig.TestCase):
    def each_mode(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                self.mail = self.path("mail-" + mode)
                os.mkdir(self.mail)
                if os.geteuid() == 0:
                    os.chown(self.mail, pwd.getpwnam("nobody").pw_uid, -1)
                server = rig.Mansio(self.dir, CONFIG % {"mode": mode, "mail": self.mail},
                                    plugins=self.plugins("filter-odd", "transport-maildir"), name=mode)
                self.addCleanup(server.close)
                server.start()
                yield server
                server.close()

    def inbox(self, who, n=1):
        """The messages of that mailbox, once there are so many: without what the transport and Mansio put before them."""
        place = os.path.join(self.mail, "two.example", who)
        paths = rig.wait_for(lambda: (lambda p: p if len(p) >= n else None)(rig.maildir_messages(place)), f"{who}'s mail")
        texts = []
        for path in paths:
            with open(path) as f:
                texts.append(f.read())
        return [text[text.index("Subject: "):] for text in texts]

    def empty(self, who):
        return rig.maildir_messages(os.path.join(self.mail, "two.example", who)) == []

    def test_one_of_three_recipients_gets_another_text(self):
        for server in self.each_mode():
            reply = self.client(server).message("a@example.com", RECIPIENTS, "Subject: x\r\nX-Do: version\r\n\r\nold")
            rest = "Subject: x\nX-Do: nothing\nX-For: all\n\nfor the rest\n"
            self.assertEqual(self.inbox("alice"), [rest])
            self.assertEqual(self.inbox("carol"), [rest])
            self.assertEqual(self.inbox("bob"), ["Subject: x\nX-Do: \nX-For: bob\n\nfor bob\n"])
            rig.wait_for(lambda: server.queue() == [], "the queue to be empty")
            main = reply[1].split()[-1]
            self.assertEqual([(e["qid"], e["nrcpt"]) for e in server.events("accepted")][0], (main, 2))
            (version,) = server.events("version of a message", of=main)
            self.assertTrue(server.events("accepted", qid=version["qid"], nrcpt=1))

    def test_a_filter_behind_holds_one_version(self):
        for server in self.each_mode():
            self.client(server).message("a@example.com", RECIPIENTS, "Subject: x\r\nX-Do: versionhold\r\n\r\nold")
            self.inbox("alice")
            self.inbox("carol")
            rig.wait_for(lambda: [m["queue_name"] for m in server.queue()] == ["hold"], "one that is held")
            self.assertTrue(self.empty("bob"))
            (held,) = server.queue()
            self.assertIn("by filter.second: looks bad", server.cli("queue", "show", held["queue_id"]))
            server.cli("queue", "release", held["queue_id"])
            self.assertTrue(self.inbox("bob")[0].endswith("\n\nfor bob\n"))

    def test_a_filter_behind_that_refuses_one_version_refuses_all(self):
        for server in self.each_mode():
            reply = self.client(server).message("a@example.com", RECIPIENTS,
                                                "Subject: x\r\nX-Do: versionreject571\r\n\r\nold", expect=571)
            self.assertEqual(reply, (571, "5.7.9 blocked"))
            self.assertEqual(server.events("accepted"), [])
            self.assertEqual(server.queue(), [])

    def test_nothing_is_there_before_all_versions_are(self):
        for server in self.each_mode():
            client = self.client(server)
            client.cmd("MAIL FROM:<a@example.com>")
            for recipient in RECIPIENTS:
                client.cmd(f"RCPT TO:<{recipient}>")
            client.cmd("DATA")
            client.send("Subject: x\r\nX-Do: versionnever\r\n\r\nold\r\n.\r\n")
            # The second filter has passed the message itself, and thinks about bob's version.
            server.wait_event("stage 10 ", 3, plugin="filter-odd")
            (ingress,) = server.pids("ingress")
            os.kill(ingress, signal.SIGKILL)
            self.assertEqual(client.reply()[0], 0)
            server.wait_event("process ended", crashed=True)
            server.kill()
            server.start()
            self.assertEqual(server.queue(), [])
            self.assertTrue(all(self.empty(who) for who in EVERYBODY))

    def test_what_was_acknowledged_survives_the_death_of_all_processes(self):
        for server in self.each_mode():
            self.client(server).message("a@example.com", RECIPIENTS, "Subject: x\r\nX-Do: versionhold\r\n\r\nold")
            server.kill()
            server.start()
            self.inbox("alice")
            self.inbox("carol")
            rig.wait_for(lambda: [m["queue_name"] for m in server.queue()] == ["hold"], "one that is held")
            server.cli("queue", "release", server.queue()[0]["queue_id"])
            self.assertTrue(self.inbox("bob")[0].endswith("\n\nfor bob\n"))


if __name__ == "__main__":
    unittest.main()
