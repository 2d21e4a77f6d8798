"""AUTH towards Postfix, whose users Dovecot knows: each mechanism of theirs after STARTTLS, under TLS from the first byte on
and in clear, what they say to a wrong password and to who says none, and names and passwords that need quoting on the way."""
import base64
import json
import os
import unittest

from postfix_server import MECHANISMS, Postfix
from rig import Client, TestCase, wait_for

USER, PASSWORD = "relay@example.com", "correct-horse"
ODD_USER, ODD_PASSWORD = "o=hara,relay@example.com", 'p\u00e4ss, "w\u00f6rd"=100% \\'

HEAD = """
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
notify_classes = []
[lookup.passwords]
plugin = "lookup-file"
inline = '''
%s
'''
"""

TRANSPORT = """
[transport.{name}]
plugin = "transport-smtp"
tls_security_level = "{tls}"
smtp_tls_wrappermode = {wrapped}
smtp_sasl_auth_enable = true
smtp_sasl_password_maps = ["passwords"]
smtp_sasl_security_options = ["noanonymous"]
smtp_sasl_tls_security_options = ["noanonymous"]
smtp_sasl_mechanism_filter = [{filter}]
smtp_sasl_auth_soft_bounce = {soft}
{more}
[[route]]
domain = ["{name}.test"]
transport = "{name}"
nexthop = "[127.0.0.1]:{port}"
"""

REST = """
[transport.rest]
plugin = "transport-discard"
[[route]]
transport = "rest"
"""


def transport(name, port, mechanism=None, tls="encrypt", wrapped=False, soft=True, more=""):
    """A transport that mail to `name`.test goes by, with this mechanism or the one that it likes best."""
    return TRANSPORT.format(name=name, port=port, tls=tls, wrapped=str(wrapped).lower(), soft=str(soft).lower(), more=more,
                            filter=f'"{mechanism}"' if mechanism else "")


@unittest.skipIf(os.geteuid() != 0, "only root may start Postfix")
class SmtpAuthPostfix(TestCase):
    def setUp(self):
        super().setUp()
        self.sink = self.peer()
        self.postfix = Postfix(self, self.sink.port, {USER: PASSWORD, ODD_USER: ODD_PASSWORD})

    @staticmethod
    def config(*transports, user=USER, password=PASSWORD, entry="[127.0.0.1]"):
        return HEAD % f"{entry} {user}:{password}" + "".join(transports) + REST

    def server(self, *transports, **kw):
        return self.mansio(self.config(*transports, **kw))

    @staticmethod
    def send(server, *names):
        with Client(server.port) as client:
            client.cmd("EHLO test")
            for name in names:
                client.message("a@example.org", [f"b@{name}.test"], f"Subject: {name}\r\n\r\n.. {name}\r\n..\r\nend\r\n")

    def message(self, name):
        """What Postfix handed on to `name`.test."""
        def arrived():
            with self.sink.lock:
                return [m for m in self.sink.messages if m.recipients == [f"b@{name}.test"]]
        (message,) = wait_for(arrived, f"the message to {name}.test")
        return message

    def taken_from(self, name, user, protocol):
        """Postfix knew who it was, and nothing was lost."""
        content = self.message(name).content
        self.assertIn(f"(Authenticated sender: {user})".encode(), content)
        self.assertIn(f"by submit.postfix.test (Postfix) with {protocol} id".encode(), content)
        self.assertTrue(content.endswith(f"\r\n\r\n. {name}\r\n.\r\nend\r\n\r\n".encode()), content)

    def noted(self, mechanism, user=USER, count=1):
        """Postfix says of so many messages that they are of that user, who has authenticated with this mechanism."""
        line = f"sasl_method={mechanism}, sasl_username={user}\n"
        wait_for(lambda: self.postfix.log_text().count(line) >= count, f"{count} log lines of Postfix with {line}")
        self.assertEqual(self.postfix.log_text().count(line), count)

    def no_secrets(self, server, user=USER, password=PASSWORD):
        shown = server.log_text() + server.cli("queue", "list", "--json")
        said = [base64.b64encode(text.encode()).decode() for text in (password, f"\0{user}\0{password}")]
        for secret in (password, json.dumps(password)[1:-1], json.dumps(password, ensure_ascii=False)[1:-1], *said):
            self.assertNotIn(secret, shown)

    def each_mechanism(self, port, protocol, mechanisms=MECHANISMS, **kw):
        names = {mechanism.lower(): mechanism for mechanism in mechanisms}
        server = self.server(*(transport(name, port, mechanism, **kw) for name, mechanism in names.items()))
        self.send(server, *names)
        for name, mechanism in names.items():
            self.taken_from(name, USER, protocol)
            self.noted(mechanism)
        lines = server.wait_event("delivery", len(names), status="sent")
        self.assertEqual(server.deliveries(status="deferred"), [])
        self.no_secrets(server)
        return lines

    def test_each_mechanism_after_starttls(self):
        for line in self.each_mechanism(self.postfix.starttls, "ESMTPSA"):
            self.assertTrue(line["tls"].startswith("TLSv1.3 "), line)

    def test_each_mechanism_under_tls_from_the_first_byte_on(self):
        for line in self.each_mechanism(self.postfix.wrapped, "ESMTPSA", wrapped=True):
            self.assertTrue(line["tls"].startswith("TLSv1.3 "), line)

    def test_each_mechanism_that_shows_no_password_in_clear(self):
        for line in self.each_mechanism(self.postfix.clear, "ESMTPA", MECHANISMS[2:], tls="none"):
            self.assertFalse(line.get("tls"), line)

    def test_in_clear_postfix_offers_no_plain_and_mail_waits(self):
        server = self.server(transport("plain", self.postfix.clear, "PLAIN", tls="none"))
        self.send(server, "plain")
        (line, *_) = server.wait_event("delivery", status="deferred")
        self.assertEqual(line["dsn"], "4.7.0")
        self.assertIn("offers AUTH ", line["text"])
        self.assertNotIn("PLAIN", line["text"])
        self.assertEqual(self.sink.count(), 0)

    def test_the_strongest_of_what_postfix_offers_is_taken(self):
        server = self.server(transport("encrypted", self.postfix.starttls), transport("clear", self.postfix.clear, tls="none"))
        self.send(server, "encrypted", "clear")
        self.taken_from("encrypted", USER, "ESMTPSA")
        self.taken_from("clear", USER, "ESMTPA")
        self.noted("SCRAM-SHA-256", count=2)

    def test_an_authenticated_connection_is_used_again(self):
        server = self.server(transport("again", self.postfix.starttls, more="""destination_concurrency_limit = 1
smtp_connection_cache_destinations = ["[127.0.0.1]"]
smtp_connection_cache_time_limit = "60s"
"""))
        self.send(server, *["again"] * 5)
        wait_for(lambda: self.sink.count() == 5, "the messages")
        self.noted("SCRAM-SHA-256", count=5)
        self.assertGreater(max(line["conn_use"] for line in server.wait_event("delivery", 5, status="sent")), 1)
        with self.sink.lock:
            for message in self.sink.messages:
                self.assertIn(f"(Authenticated sender: {USER})".encode(), message.content)

    def test_each_mechanism_quotes_names_and_passwords(self):
        names = {mechanism.lower(): mechanism for mechanism in MECHANISMS}
        server = self.server(*(transport(name, self.postfix.starttls, mechanism) for name, mechanism in names.items()),
                             user=ODD_USER, password=ODD_PASSWORD)
        self.send(server, *names)
        for name, mechanism in names.items():
            self.taken_from(name, ODD_USER, "ESMTPSA")
            self.noted(mechanism, ODD_USER)
        self.assertEqual(server.deliveries(status="deferred"), [])
        self.no_secrets(server, ODD_USER, ODD_PASSWORD)

    def test_mail_waits_with_postfixs_reply_while_the_password_is_wrong(self):
        names = {mechanism.lower(): mechanism for mechanism in MECHANISMS}
        transports = [transport(name, self.postfix.starttls, mechanism) for name, mechanism in names.items()]
        server = self.server(*transports, password="wrong-horse")
        self.send(server, *names)
        for name, mechanism in names.items():
            (line, *_) = server.wait_event("delivery", to=f"b@{name}.test", status="deferred", dsn="4.7.8")
            self.assertIn("AUTH was refused: 535 5.7.8 Error: authentication failed", line["text"])
            wait_for(lambda: f"SASL {mechanism} authentication failed" in self.postfix.log_text(), "Postfix's log to say so")
        self.assertEqual((self.sink.count(), server.deliveries(status="bounced")), (0, []))
        self.no_secrets(server, password="wrong-horse")
        server.write_config(self.config(*transports))
        server.cli("reload")
        for name in names:
            self.taken_from(name, USER, "ESMTPSA")
        self.no_secrets(server)

    def test_mail_is_returned_for_a_wrong_password_where_so_told(self):
        server = self.server(transport("hard", self.postfix.wrapped, wrapped=True, soft=False), password="wrong-horse")
        self.send(server, "hard")
        (line,) = server.wait_event("delivery", to="b@hard.test", status="bounced")
        self.assertEqual(line["dsn"], "5.7.8")
        self.assertIn("said: 535 5.7.8 Error: authentication failed", line["text"])
        self.assertIn("(in reply to AUTH)", line["text"])
        self.assertEqual(self.sink.count(), 0)

    def test_postfix_refuses_who_has_no_password(self):
        server = self.server(transport("stranger", self.postfix.starttls), entry="[127.0.0.2]")
        self.send(server, "stranger")
        (line,) = server.wait_event("delivery", to="b@stranger.test", status="bounced")
        self.assertEqual(line["dsn"], "5.7.1")
        self.assertIn("554 5.7.1 ", line["text"])
        self.assertIn("Access denied", line["text"])
        self.assertNotIn("sasl_method", self.postfix.log_text())
        self.assertEqual(self.sink.count(), 0)


if __name__ == "__main__":
    unittest.main()
