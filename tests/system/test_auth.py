"""SMTP AUTH against a private Dovecot, by swaks and by hand: PLAIN and LOGIN after STARTTLS, in process and in a process of
its own, relaying for those who are known and for nobody else, and no password in any log or notice."""
import base64
import grp
import os
import pwd
import shutil
import smtplib
import ssl
import subprocess
import unittest

from rig import SLOW, TestCase, wait_for

PASSWORD = "correct-horse"


def encoded(text):
    return base64.b64encode(text.encode()).decode()


class Auth(TestCase):
    def setUp(self):
        super().setUp()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=mx", "-keyout", self.path("key.pem"), "-out", self.path("cert.pem")], check=True,
                       capture_output=True)
        self.socket = self.path("auth")
        self.conf = self.path("dovecot.conf")
        me = pwd.getpwuid(os.geteuid()).pw_name
        root = os.geteuid() == 0
        with open(self.path("users"), "w") as f:
            f.write(f"alice@example.com:{{PLAIN}}{PASSWORD}:1000:1000::/nonexistent::\n")
        os.chmod(self.path("users"), 0o644)
        with open(self.conf, "w") as f:
            f.write(f"""
base_dir = {self.path("run")}
state_dir = {self.path("state")}
log_path = {self.path("dovecot.log")}
protocols = lmtp
listen = 127.0.0.1
default_internal_user = {"dovecot" if root else me}
default_login_user = {"dovenull" if root else me}
default_internal_group = {"dovecot" if root else grp.getgrgid(os.getegid()).gr_name}
ssl = no
auth_mechanisms = plain login
auth_failure_delay = 0 secs
disable_plaintext_auth = no
passdb {{
  driver = passwd-file
  args = username_format=%u {self.path("users")}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {self.path("users")}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service lmtp {{
  chroot =
}}
service auth {{
  unix_listener {self.socket} {{
    mode = 0666
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
""")
        self.addCleanup(self.show_log)
        self.dovecot = self.start_dovecot()

    def start_dovecot(self):
        program = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        process = self.spawn([program, "-F", "-c", self.conf])
        wait_for(lambda: os.path.exists(self.socket), "Dovecot's socket")
        return process

    def show_log(self):
        if self._outcome is not None and not self._outcome.success and os.path.exists(self.path("dovecot.log")):
            with open(self.path("dovecot.log"), errors="replace") as f:
                print(f.read()[-4000:])

    def server(self, sink, auth="", smtpd=""):
        return self.mansio(f'''
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
[auth.dovecot]
plugin = "auth-dovecot"
path = "{self.socket}"
{auth}
[smtpd]
mynetworks = []
error_sleep_time = 0
tls_security_level = "may"
tls_cert_file = "{self.path("cert.pem")}"
tls_key_file = "{self.path("key.pem")}"
[listener.submission]
listen = ["127.0.0.1:{{port}}"]
auth = "dovecot"
sasl_auth_enable = true
sasl_authenticated_header = true
{smtpd}
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:{sink.port}"
[queue]
notify_classes = ["policy", "protocol"]
''')

    def swaks(self, server, *args, user="alice@example.com", password=PASSWORD):
        return subprocess.run(["swaks", "--server", f"127.0.0.1:{server.port}", "--from", "alice@example.com", "--to",
                               "bob@elsewhere.example", "--auth-user", user, "--auth-password", password, *args],
                              capture_output=True, text=True, timeout=60 * SLOW)

    @staticmethod
    def any_certificate():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def offers_auth(self, server):
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.starttls(context=self.any_certificate())
            client.ehlo("test")
            return client.has_extn("auth")

    def no_secrets(self, server, sink):
        for secret in (PASSWORD, encoded(PASSWORD), encoded("\0alice@example.com\0" + PASSWORD),
                       encoded("\0alice@example.com\0wrong")):
            self.assertNotIn(secret, server.log_text())
            with sink.lock:
                for message in sink.messages:
                    self.assertNotIn(secret.encode(), message.content)

    def users_of_dovecot_may_relay(self, auth):
        sink = self.peer()
        server = self.server(sink, auth)
        wait_for(lambda: self.offers_auth(server), "AUTH to be offered")  # by a process of its own once it is there
        for count, mechanism in enumerate(("PLAIN", "LOGIN"), 1):
            said = self.swaks(server, "--tls", "--auth", mechanism)
            self.assertEqual(said.returncode, 0, said.stdout)
            self.assertIn("235 2.7.0 Authentication successful", said.stdout)
            wait_for(lambda: sum(m.sender == "alice@example.com" for m in sink.messages) == count, "the message")
        with sink.lock:
            (message, *_) = [m for m in sink.messages if m.sender == "alice@example.com"]
        self.assertIn(b"with ESMTPSA id", message.content)
        self.assertIn(b"(Authenticated sender: alice@example.com)", message.content)
        accepted = server.wait_event("accepted", 2, sasl_username="alice@example.com")
        self.assertEqual([line["sasl_method"] for line in accepted[:2]], ["PLAIN", "LOGIN"])

        wrong = self.swaks(server, "--tls", "--auth", "PLAIN", password="wrong")
        self.assertIn("535 5.7.8 ", wrong.stdout)
        self.assertNotEqual(wrong.returncode, 0)
        server.wait_event("authentication failed", 1, sasl_method="PLAIN")
        wait_for(lambda: any(b"AUTH [...]" in message.content for message in list(sink.messages)), "the notice of it")
        # Who does not say who he is may still write to us, and only to us.
        stranger = subprocess.run(["swaks", "--server", f"127.0.0.1:{server.port}", "--from", "a@example.org", "--to",
                                   "bob@elsewhere.example"], capture_output=True, text=True, timeout=60 * SLOW)
        self.assertIn("554 5.7.1 Relay access denied", stranger.stdout)
        self.no_secrets(server, sink)
        return server, sink

    def test_users_of_dovecot_may_relay(self):
        self.users_of_dovecot_may_relay("")

    def test_the_plugin_may_have_a_process_of_its_own(self):
        server, _ = self.users_of_dovecot_may_relay('isolation = "process"')
        self.assertIn("host.auth.dovec", " ".join(server.children().values()))

    def test_no_password_is_taken_in_clear(self):
        sink = self.peer()
        server = self.server(sink)
        said = self.swaks(server, "--auth", "PLAIN")
        self.assertNotEqual(said.returncode, 0)
        self.assertNotIn("AUTH PLAIN", said.stdout)
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("test")
            self.assertEqual(client.docmd("AUTH", "PLAIN " + encoded("\0alice@example.com\0" + PASSWORD))[0], 538)
        self.no_secrets(server, sink)

    def test_starttls_forgets_who_authenticated_in_clear(self):
        server = self.server(self.peer(), smtpd="tls_auth_only = false\nsasl_auth_required = true")
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("test")
            self.assertEqual(client.docmd("MAIL", "FROM:<a@example.org>"), (530, b"5.7.0 Authentication required"))
            client.login("alice@example.com", PASSWORD)
            self.assertEqual(client.docmd("MAIL", "FROM:<a@example.org> AUTH=<>")[0], 250)
            client.rset()
            client.starttls(context=self.any_certificate())
            client.ehlo("test")
            self.assertEqual(client.docmd("MAIL", "FROM:<a@example.org>")[0], 530)
            client.login("alice@example.com", PASSWORD)
            self.assertEqual(client.docmd("MAIL", "FROM:<a@example.org>")[0], 250)

    def test_while_dovecot_is_away_everybody_comes_again(self):
        server = self.server(self.peer(), smtpd="tls_auth_only = false")
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("test")
            plain = "PLAIN " + encoded("\0alice@example.com\0" + PASSWORD)
            self.dovecot.terminate()
            self.dovecot.wait(60 * SLOW)
            self.assertEqual(client.docmd("AUTH", plain)[0], 454)
            if os.path.exists(self.socket):
                os.remove(self.socket)
            self.start_dovecot()
            wait_for(lambda: client.docmd("AUTH", plain)[0] == 235, "Dovecot to be asked again")


class AuthTable(TestCase):
    def test_a_table_of_hashed_passwords_will_do_and_binds_senders(self):
        made = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True)
        with open(self.path("passwords"), "w") as f:
            f.write(f"alice {made.stdout.strip()}\n")
        with open(self.path("logins"), "w") as f:
            f.write("alice@mansio.test alice\n")
        for name in ("passwords", "logins"):
            os.chmod(self.path(name), 0o644)
        server = self.mansio(f'''
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
[auth.users]
plugin = "auth-table"
table = "passwords"
[lookup.passwords]
plugin = "lookup-file"
path = "{self.path("passwords")}"
[lookup.logins]
plugin = "lookup-file"
path = "{self.path("logins")}"
[listener.submission]
listen = ["127.0.0.1:{{port}}"]
mynetworks = []
auth = "users"
sasl_auth_enable = true
tls_auth_only = false
error_sleep_time = 0
sender_login_maps = ["logins"]
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
''')
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("test")
            self.assertEqual(client.docmd("AUTH", "PLAIN " + encoded("\0alice\0wrong"))[0], 535)
            client.login("alice", PASSWORD)
            self.assertEqual(client.mail("bob@mansio.test")[0], 250)
            code, text = client.rcpt("x@elsewhere.example")
            self.assertEqual((code, text), (553, b"5.7.1 <bob@mansio.test>: Sender address rejected: not owned by user alice"))
            client.rset()
            client.sendmail("alice@mansio.test", ["x@elsewhere.example"], "Subject: x\r\n\r\nx\r\n")
        server.wait_event("accepted", 1, sasl_username="alice")
        self.assertNotIn(PASSWORD, server.log_text())


if __name__ == "__main__":
    unittest.main()
