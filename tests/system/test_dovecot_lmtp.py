"""Delivery into a private Dovecot over LMTP, read back with doveadm; its own replies for each recipient."""
import os
import pwd
import shutil
import subprocess
import unittest

from rig import Client, TestCase, free_port, wait_for


class DovecotLmtp(TestCase):
    def setUp(self):
        super().setUp()
        me = pwd.getpwuid(os.geteuid()).pw_name
        # As root, mail is kept as nobody: Dovecot refuses to keep it as root.
        keeper = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.mail = self.path("mail")
        os.makedirs(self.mail)
        os.chown(self.mail, keeper.pw_uid, keeper.pw_gid)
        self.socket = self.path("lmtp")
        self.port = free_port()
        self.conf = self.path("dovecot.conf")
        users = self.path("users")
        with open(users, "w") as f:
            for name in ("alice", "bob", "full"):
                quota = "userdb_quota_rule=*:bytes=1" if name == "full" else ""
                f.write(f"{name}@example.com:{{PLAIN}}x:{keeper.pw_uid}:{keeper.pw_gid}::{self.mail}/{name}::{quota}\n")
        os.chmod(users, 0o644)
        with open(self.conf, "w") as f:
            f.write(f"""
base_dir = {self.path("run")}
state_dir = {self.path("state")}
log_path = {self.path("dovecot.log")}
protocols = lmtp
listen = 127.0.0.1
default_internal_user = {me if os.geteuid() else "dovecot"}
default_login_user = {me if os.geteuid() else "dovenull"}
default_internal_group = {self.group() if os.geteuid() else "dovecot"}
ssl = no
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_plugins = quota
plugin {{
  quota = maildir:User quota
  quota_grace = 0
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
service anvil {{
  chroot =
}}
service lmtp {{
  chroot =
  unix_listener {self.socket} {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.port}
  }}
}}
service stats {{
  chroot =
  unix_listener stats-reader {{
    mode = 0600
  }}
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@example.com
}}
""")
        dovecot = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        self.dovecot = self.spawn([dovecot, "-F", "-c", self.conf])
        wait_for(lambda: os.path.exists(self.socket), "Dovecot's socket")
        self.addCleanup(self.show_log)

    @staticmethod
    def group():
        import grp
        return grp.getgrgid(os.getegid()).gr_name

    def show_log(self):
        if self._outcome is not None and not self._outcome.success and os.path.exists(self.path("dovecot.log")):
            with open(self.path("dovecot.log"), errors="replace") as f:
                print(f.read()[-4000:])

    def server(self, nexthop):
        return self.mansio(f'''
myhostname = "mx.mansio.test"
mydestination = ["example.com", "mansio.test"]
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{{port}}"]
[transport.dovecot]
plugin = "transport-lmtp"
[[route]]
transport = "dovecot"
nexthop = "{nexthop}"
''')

    def fetch(self, user):
        """The texts of a user's messages, as Dovecot gives them out."""
        result = subprocess.run(["doveadm", "-c", self.conf, "fetch", "-u", f"{user}@example.com", "text", "mailbox", "INBOX"],
                                capture_output=True, text=True, timeout=60)
        return [text for text in result.stdout.split("text:\n") if text.strip()]

    def send(self, server, recipients, sender="sender@example.org"):
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.message(sender, recipients,
                           "From: sender@example.org\r\nSubject: into Dovecot\r\n\r\n.. two dots, then one\r\n..\r\nend\r\n")

    def read_back(self, nexthop, relay):
        server = self.server(nexthop)
        self.send(server, ["alice@example.com", "bob@example.com"])
        for user in ("alice", "bob"):
            texts = wait_for(lambda: self.fetch(user), f"mail for {user}")
            self.assertEqual(len(texts), 1)
            self.assertIn("Subject: into Dovecot", texts[0])
            self.assertIn("\n. two dots, then one\n.\nend\n", texts[0].replace("\r\n", "\n"))
        sent = server.wait_event("delivery", 2, status="sent")
        self.assertTrue(all(relay in line["relay"] for line in sent), sent)
        wait_for(lambda: server.queue() == [], "an empty queue")

    def test_a_message_is_read_back_as_it_was_sent_over_a_unix_socket(self):
        self.read_back(f"unix:{self.socket}", self.socket)

    def test_a_message_is_read_back_as_it_was_sent_over_tcp(self):
        self.read_back(f"[127.0.0.1]:{self.port}", f"[127.0.0.1]:{self.port}")

    def each_recipient(self, nexthop):
        server = self.server(nexthop)
        self.send(server, ["alice@example.com", "nobody-here@example.com", "full@example.com"], sender="")
        wait_for(lambda: self.fetch("alice"), "mail for alice")
        self.assertEqual(server.wait_event("delivery", 1, to="alice@example.com")[0]["status"], "sent")
        unknown = server.wait_event("delivery", 1, to="nobody-here@example.com")[0]
        self.assertEqual((unknown["status"], unknown["dsn"]), ("bounced", "5.1.1"))
        # Dovecot answers "over quota" with 4.2.2 or 5.2.2 as it is configured; it must not have been taken.
        full = server.wait_event("delivery", 1, to="full@example.com")[0]
        self.assertIn(full["status"], ("deferred", "bounced"))
        self.assertRegex(full["dsn"], r"^[45]\.2\.2$")

    def test_each_recipient_has_its_own_outcome_over_a_unix_socket(self):
        self.each_recipient(f"unix:{self.socket}")

    def test_each_recipient_has_its_own_outcome_over_tcp(self):
        self.each_recipient(f"[127.0.0.1]:{self.port}")


if __name__ == "__main__":
    unittest.main()
