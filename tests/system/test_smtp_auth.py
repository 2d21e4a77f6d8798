"""AUTH towards next hops: every mechanism against servers that this file writes anew, what becomes of mail where AUTH is not
possible, and TLS from the first byte on; then two of Mansio, one of which submits to the other. No password is in any log."""
import base64
import hashlib
import hmac
import os
import secrets
import ssl
import subprocess
import unittest

from rig import Client, TestCase, free_port, wait_for

USER, PASSWORD = "relay@example.com", "correct-horse"

CONFIG = """
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
notify_classes = []
[transport.relay]
plugin = "transport-smtp"
smtp_sasl_auth_enable = true
smtp_sasl_password_maps = ["passwords"]
%(options)s
%(passwords)s
"""

TABLE = """
[lookup.passwords]
plugin = "lookup-file"
inline = '''
%s
'''
"""


def encoded(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


class Authenticator:
    """A server's side of AUTH for the `on` of a Peer: one user, one mechanism. MAIL is for those who have authenticated."""

    def __init__(self, mechanism, user=USER, password=PASSWORD):
        self.mechanism, self.user, self.password = mechanism, user, password
        self.extensions = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "AUTH " + mechanism)

    def __call__(self, command, session, argument):
        waiting = session.pop("next", None)
        if waiting:
            return waiting(session, base64.b64decode(argument))
        if command == "AUTH":
            words = argument.split(" ")
            if words[1].upper() != self.mechanism:
                return "504 5.5.4 not that one"
            first = base64.b64decode(words[2]) if len(words) > 2 else None
            begin = {"PLAIN": self.plain, "LOGIN": self.login, "CRAM-MD5": self.cram}.get(self.mechanism, self.scram)
            return begin(session, first)
        if command == "MAIL" and not session.get("authenticated"):
            return "530 5.7.0 Authentication required"
        return None

    def end(self, session, good):
        session["authenticated"] = good
        return "235 2.7.0 Authentication successful" if good else "535 5.7.8 Authentication failed"

    def plain(self, session, first):
        if first is None:
            session["next"] = self.plain
            return "334 "
        return self.end(session, first == f"\0{self.user}\0{self.password}".encode())

    def login(self, session, first):
        right = (self.user.encode(), self.password.encode())

        def user(session, said):
            session["next"] = lambda session, word: self.end(session, (said, word) == right)
            return "334 " + encoded("Password:")
        session["next"] = user
        return "334 " + encoded("Username:")

    def cram(self, session, first):
        challenge = f"<{secrets.token_hex(8)}@peer.test>"

        def digest(session, said):
            right = hmac.new(self.password.encode(), challenge.encode(), "md5").hexdigest()
            return self.end(session, said.decode() == f"{self.user} {right}")
        session["next"] = digest
        return "334 " + encoded(challenge)

    def scram(self, session, first):
        name = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[self.mechanism]
        bare = first.decode().split(",", 2)[2]  # after "n,,"
        user, nonce = (part[2:] for part in bare.split(","))
        nonce += secrets.token_hex(8)
        salt = secrets.token_bytes(16)
        server_first = f"r={nonce},s={encoded(salt)},i=4096"

        def proof(session, said):
            without, _, given = said.decode().rpartition(",p=")
            spoken = ",".join((bare, server_first, without)).encode()
            salted = hashlib.pbkdf2_hmac(name, self.password.encode(), salt, 4096)
            key = hmac.new(salted, b"Client Key", name).digest()
            signature = hmac.new(hashlib.new(name, key).digest(), spoken, name).digest()
            right = bytes(a ^ b for a, b in zip(key, signature))
            if user != self.user or without != f"c=biws,r={nonce}" or not hmac.compare_digest(base64.b64decode(given), right):
                return self.end(session, False)
            session["next"] = lambda session, nothing: self.end(session, nothing == b"")
            server_key = hmac.new(salted, b"Server Key", name).digest()
            return "334 " + encoded("v=" + encoded(hmac.new(server_key, spoken, name).digest()))
        session["next"] = proof
        return "334 " + encoded(server_first)


class SmtpAuth(TestCase):
    def certificate(self, name="localhost"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=" + name, "-keyout", self.path("key.pem"), "-out", self.path("cert.pem")], check=True,
                       capture_output=True)
        os.chmod(self.path("key.pem"), 0o644)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("cert.pem"), self.path("key.pem"))
        return context

    def knowing(self, mechanism, **kw):
        known = Authenticator(mechanism)
        return self.peer(on=known, extensions=known.extensions, **kw)

    @staticmethod
    def route(port, domain=None):
        which = f'domain = ["{domain}"]\n' if domain else ""
        return f'[[route]]\n{which}transport = "relay"\nnexthop = "[127.0.0.1]:{port}"\n'

    def config(self, port, options="", password=PASSWORD, passwords=None):
        """Everything is relayed to that port, as USER."""
        if passwords is None:
            passwords = TABLE % f"[127.0.0.1]:{port} {USER}:{password}"
        return CONFIG % {"options": options, "passwords": passwords} + self.route(port)

    def start(self, port, options="", **kw):
        return self.mansio(self.config(port, options, **kw))

    def send(self, server, recipient="b@example.net"):
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.message("a@example.org", [recipient], "Subject: x\r\n\r\nx\r\n")

    def arrives(self, server, peer):
        self.send(server)
        wait_for(lambda: peer.count() == 1, "the message")
        (line,) = server.wait_event("delivery", status="sent")
        self.no_secrets(server)
        return line

    def waits(self, server, peer, dsn, *texts):
        self.send(server)
        (line, *_) = server.wait_event("delivery", status="deferred")
        self.assertEqual(line["dsn"], dsn)
        for text in texts:
            self.assertIn(text, line["text"])
        self.assertEqual(peer.count(), 0)
        self.assertNotIn("MAIL", self.verbs(peer))
        self.no_secrets(server)

    def verbs(self, peer):
        with peer.lock:
            return [command for command, _ in peer.commands]

    def no_secrets(self, *servers):
        said = (PASSWORD, encoded(PASSWORD), encoded(f"\0{USER}\0{PASSWORD}"))
        for server in servers:
            shown = server.log_text() + server.cli("queue", "list", "--json")
            for secret in said:
                self.assertNotIn(secret, shown)

    def test_each_mechanism_satisfies_a_server(self):
        peers = {name: self.knowing(name) for name in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")}
        lines = "\n".join(f"[127.0.0.1]:{peer.port} {USER}:{PASSWORD}" for peer in peers.values())
        routes = "".join(self.route(peer.port, name.lower() + ".test") for name, peer in peers.items())
        server = self.mansio(CONFIG % {"options": 'smtp_sasl_security_options = ["noanonymous"]', "passwords": TABLE % lines} +
                             routes + self.route(peers["PLAIN"].port))
        for name in peers:
            self.send(server, f"b@{name.lower()}.test")
        for name, peer in peers.items():
            wait_for(lambda: peer.count() == 1, f"the message by way of {name}")
            self.assertEqual(self.verbs(peer).count("AUTH"), 1)
        self.assertEqual(server.deliveries(status="deferred"), [])
        self.no_secrets(server)

    def test_a_transport_in_a_process_of_its_own_authenticates_too(self):
        peer = self.knowing("SCRAM-SHA-256")
        server = self.mansio(self.config(peer.port, 'isolation = "process"'),
                             plugins=self.plugins("transport-smtp", "lookup-file"))
        self.arrives(server, peer)

    def test_plain_is_for_tls_and_only_where_so_told(self):
        peer = self.knowing("PLAIN", tls=self.certificate())
        server = self.start(peer.port, 'tls_security_level = "encrypt"')
        self.waits(server, peer, "4.7.0", "offers AUTH PLAIN", "smtp_sasl_tls_security_options")
        self.assertNotIn("AUTH", self.verbs(peer))
        server.write_config(self.config(peer.port, 'tls_security_level = "encrypt"\n'
                                                   'smtp_sasl_tls_security_options = ["noanonymous"]'))
        server.cli("reload")
        wait_for(lambda: peer.count() == 1, "the message")
        (line,) = server.wait_event("delivery", status="sent")
        self.assertTrue(line["tls"].startswith("TLSv1.3 "), line)
        self.no_secrets(server)

    def test_mail_waits_for_a_server_without_auth(self):
        peer = self.peer()
        self.waits(self.start(peer.port), peer, "4.7.0", "SASL authentication failed", "offers no AUTH without TLS")

    def test_mail_waits_while_the_password_is_refused(self):
        peer = self.knowing("SCRAM-SHA-256")
        table = self.path("passwords")

        def write(password):
            with open(table + ".new", "w") as f:
                f.write(f"[127.0.0.1] {USER}:{password}\n")
            os.chmod(table + ".new", 0o644)
            os.rename(table + ".new", table)
        write("no-longer-it")
        server = self.start(peer.port, passwords=f'[lookup.passwords]\nplugin = "lookup-file"\npath = "{table}"\n')
        self.waits(server, peer, "4.7.8", "AUTH was refused: 535 5.7.8 Authentication failed")
        self.assertEqual(server.deliveries(status="bounced"), [])
        write(PASSWORD)
        wait_for(lambda: peer.count() == 1, "the message")
        self.no_secrets(server)

    def test_a_server_that_repeats_what_it_was_told_is_not_quoted(self):
        def on(command, session, argument):
            return f"500 5.5.2 I do not understand {argument}" if command == "AUTH" else None
        peer = self.peer(on=on, extensions=("AUTH PLAIN",))
        server = self.start(peer.port, 'smtp_sasl_security_options = ["noanonymous"]')
        self.waits(server, peer, "4.5.2", "AUTH was refused: 500 5.5.2 (")

    def test_nobody_is_spoken_to_while_the_table_cannot_be_asked(self):
        peer = self.knowing("PLAIN")
        server = self.start(peer.port, passwords=f'''
[lookup.passwords]
plugin = "lookup-redis"
hosts = ["127.0.0.1:{free_port()}"]
query = "GET sasl:%s"
''')
        self.waits(server, peer, "4.3.0", "smtp_sasl_password_maps: Temporary lookup failure")
        self.assertEqual(peer.connections, 0)
        self.assertIn(f"table passwords was asked in vain for [127.0.0.1]:{peer.port}", server.log_text())

    def test_those_without_a_password_are_sent_mail_as_ever(self):
        peer = self.peer(extensions=("PIPELINING", "AUTH PLAIN LOGIN"))
        server = self.start(peer.port, passwords=TABLE % f"[127.0.0.2] {USER}:{PASSWORD}")
        self.arrives(server, peer)
        self.assertNotIn("AUTH", self.verbs(peer))

    def test_tls_may_begin_before_the_greeting(self):
        peer = self.knowing("PLAIN", tls=self.certificate(), wrapped=True)
        server = self.start(peer.port, 'tls_security_level = "encrypt"\nsmtp_tls_wrappermode = true\n'
                                       'smtp_sasl_tls_security_options = ["noanonymous"]')
        line = self.arrives(server, peer)
        self.assertTrue(line["tls"].startswith("TLSv1.3 "), line)
        self.assertNotIn("STARTTLS", self.verbs(peer))
        self.assertEqual(self.verbs(peer).count("EHLO"), 1)

    def submission(self, sink):
        """A submission server: Mansio itself, with its users in a table."""
        made = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True)
        self.certificate()
        return self.mansio(f'''
myhostname = "submit.mansio.test"
[auth.users]
plugin = "auth-table"
table = "users"
[lookup.users]
plugin = "lookup-file"
inline = \'\'\'
{USER} {made.stdout.strip()}
\'\'\'
[smtpd]
mynetworks = []
error_sleep_time = 0
tls_security_level = "encrypt"
tls_cert_file = "{self.path("cert.pem")}"
tls_key_file = "{self.path("key.pem")}"
auth = "users"
[listener.submission]
listen = ["127.0.0.1:{{port}}"]
sasl_auth_enable = true
sasl_auth_required = true
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:{sink.port}"
''', name="submission")

    def test_one_mansio_submits_to_another(self):
        sink = self.peer()
        submission = self.submission(sink)
        server = self.start(submission.port, 'tls_security_level = "encrypt"\nsmtp_sasl_tls_security_options = ["noanonymous"]')
        for n in range(3):  # also over a connection that is used again
            self.send(server, f"b{n}@example.net")
        wait_for(lambda: sink.count() == 3, "the messages")
        (accepted, *_) = submission.wait_event("accepted", 3, sasl_username=USER)
        self.assertEqual(accepted["sasl_method"], "PLAIN")
        with sink.lock:
            self.assertIn(b"with ESMTPSA id", sink.messages[0].content)
        self.no_secrets(server, submission)

    def test_a_wrong_password_keeps_mail_at_home(self):
        sink = self.peer()
        submission = self.submission(sink)
        server = self.start(submission.port, 'tls_security_level = "encrypt"\nsmtp_sasl_tls_security_options = ["noanonymous"]',
                            password="wrong-horse")
        self.waits(server, sink, "4.7.8", "AUTH was refused: 535 5.7.8")
        submission.wait_event("authentication failed", sasl_method="PLAIN")
        self.assertNotIn("wrong-horse", server.log_text() + submission.log_text())

    def test_lmtp_authenticates_as_well(self):
        known = Authenticator("CRAM-MD5")
        peer = self.peer(on=known, extensions=known.extensions, lmtp=True)
        config = CONFIG.replace("transport-smtp", "transport-lmtp").replace("smtp_sasl", "lmtp_sasl")
        server = self.mansio(config % {"options": "", "passwords": TABLE % f"[127.0.0.1] {USER}:{PASSWORD}"} +
                             self.route(peer.port))
        self.arrives(server, peer)
        self.assertEqual(self.verbs(peer)[:3], ["CONNECT", "LHLO", "AUTH"])


if __name__ == "__main__":
    unittest.main()
