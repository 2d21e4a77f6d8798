"""Mailboxes on a file system that is full: 64 KiB, mounted where only this test sees it."""
import os
import unittest

from namespaces import enter, mount_tmpfs

MAIL = "MANSIO_TEST_MAIL"
if __name__ == "__main__":
    enter("m", lambda: os.environ.update({MAIL: mount_tmpfs("64k")}))

from rig import Client, TestCase, maildir_messages, wait_for  # noqa: E402

CONFIG = """
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
[transport.local]
plugin = "transport-maildir"
directory = "{mail}/{local}"
[[route]]
transport = "local"
"""


class FullDisk(TestCase):
    def setUp(self):
        super().setUp()
        self.mail = os.environ[MAIL]

    def test_mail_for_a_full_disk_waits_and_arrives_once_there_is_room(self):
        server = self.mansio(CONFIG.replace("{mail}", self.mail))
        ballast = os.path.join(self.mail, "ballast")
        with open(ballast, "wb") as f:
            f.write(b"x" * 32768)
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.message("a@example.org", ["bob@mansio.test"], b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 3000)
        (line, *_) = server.wait_event("delivery", status="deferred", to="bob@mansio.test")
        self.assertEqual(line["dsn"], "4.3.1")
        self.assertIn("no space left", line["text"])
        self.assertEqual(maildir_messages(self.mail), [])
        # (The next attempt may be under way.)
        wait_for(lambda: os.listdir(os.path.join(self.mail, "bob", "tmp")) == [], "nothing to be left of it")
        # By default the postmaster hears of it, once; his mailbox is on that disk, too.
        server.wait_event("notification", to="postmaster@mx.mansio.test")
        os.unlink(ballast)
        server.wait_event("delivery", status="sent", to="bob@mansio.test")
        wait_for(lambda: server.queue() == [] or len(maildir_messages(os.path.join(self.mail, "postmaster"))) == 1, "the rest")
        (path,) = maildir_messages(os.path.join(self.mail, "bob"))
        self.assertGreater(os.path.getsize(path), 48000)
        self.assertEqual(len(server.events("notification")), 1)


if __name__ == "__main__":
    unittest.main()
