"""The SMTP server as strangers and friends meet it: relay control, limits, TLS, reload, local delivery."""
import os
import pwd
import re
import signal
import subprocess
import unittest

from rig import LIMIT, SLOW, Client, TestCase, free_port, maildir_messages, relay_config, run_program, wait_for

LOCAL = """
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
{top}
[smtpd]
mynetworks = [{networks}]
{smtpd}
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.local]
plugin = "transport-maildir"
directory = "{dir}/mail/{domain}/{user}"
[transport.smtp]
plugin = "transport-smtp"
[[route]]
domain = ["mansio.test", "mx.mansio.test"]
transport = "local"
[[route]]
transport = "smtp"
"""


def server_config(server):
    with open(server.config) as f:
        return f.read()


class Server(TestCase):
    def local(self, networks='"192.0.2.0/24"', smtpd="", top="", **kw):
        os.mkdir(self.path("mail"))
        if os.geteuid() == 0:
            os.chown(self.path("mail"), pwd.getpwnam("nobody").pw_uid, -1)
        text = LOCAL.replace("{networks}", networks).replace("{smtpd}", smtpd).replace("{top}", top)
        return self.mansio(text, **kw)

    def certificate(self, name="cert"):
        key, cert = self.path(name + ".key"), self.path(name + ".pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                        "-keyout", key, "-out", cert], check=True, capture_output=True)
        return f'tls_security_level = "may"\ntls_cert_file = "{cert}"\ntls_key_file = "{key}"\n'

    def test_a_stranger_may_reach_own_domains_and_nothing_else(self):
        server = self.local()
        with Client(server.port) as c:
            c.cmd("EHLO stranger")
            c.cmd("MAIL FROM:<a@example.org>")
            for refused in ("b@example.net", "@mansio.test:b@example.net", "b%example.net@example.com",
                            "b@example.net@example.net", '"b@example.net"@example.com', "b@[192.0.2.77]"):
                code, text = c.cmd(f"RCPT TO:<{refused}>")
                self.assertGreaterEqual(code, 500, refused)
            for accepted in ("b@mansio.test", "B@MANSIO.TEST", "postmaster", "postmaster@mx.mansio.test"):
                self.assertEqual(c.cmd(f"RCPT TO:<{accepted}>")[0], 250, accepted)

    def test_the_postmaster_is_sent_the_transcript_of_a_session_with_errors(self):
        server = self.local(top='[queue]\nnotify_classes = ["protocol", "policy"]')
        with Client(server.port) as c:
            c.cmd("EHLO stranger")
            c.cmd("FROBNICATE now")
            c.cmd("MAIL FROM:<a@example.org>")
            c.cmd("RCPT TO:<b@example.net>")
            c.cmd("QUIT")
        (path,) = wait_for(lambda: maildir_messages(self.path("mail")), "the notice")
        with open(path) as f:
            text = f.read()
        self.assertIn("Return-Path: <double-bounce@mx.mansio.test>", text)
        self.assertIn("Subject: Mansio SMTP server: errors from localhost[127.0.0.1]", text)
        self.assertRegex(text, r"(?s)Transcript of session follows\..* Out: 220 .* In:  EHLO stranger\n Out: 250-.*"
                         r" In:  FROBNICATE now\n Out: 50\d 5\.5\.[12] .* In:  RCPT TO:<b@example\.net>\n Out: 554 5\.7\.1 ")

    def test_postmaster_is_accepted_where_the_routes_refuse(self):
        server = self.local()
        listed = server_config(server).replace('domain = ["mansio.test", "mx.mansio.test"]', 'recipient = ["alice@mansio.test"]')
        refusing = listed.replace('[[route]]\ntransport = "smtp"', '[[route]]\nerror = "550 5.1.1 no such user"')
        with open(server.config, "w") as f:
            f.write(refusing)
        server.process.send_signal(signal.SIGHUP)
        server.wait_event("reloaded")
        with Client(server.port) as c:
            c.cmd("EHLO stranger")
            c.cmd("MAIL FROM:<a@example.org>")
            self.assertEqual(c.cmd("RCPT TO:<bob@mansio.test>")[0], 550)
            self.assertEqual(c.cmd("RCPT TO:<postmaster@example.net>")[0], 554)
            for accepted in ("postmaster", "PostMaster@mansio.test", "postmaster@mx.mansio.test"):
                self.assertEqual(c.cmd(f"RCPT TO:<{accepted}>")[0], 250, accepted)
            c.cmd("DATA")
            c.send("Subject: help\r\n\r\nhelp\r\n.\r\n")
            self.assertEqual(c.reply()[0], 250)
        # All three are one address in the end, and an address gets one copy.
        wait_for(lambda: len(maildir_messages(self.path("mail", "mansio.test", "postmaster"))) == 1, "the postmaster's mail")

    def test_a_configuration_without_a_way_for_postmaster_is_refused(self):
        server = self.local()
        refusing = re.sub(r"\[\[route\]\].*", '[[route]]\nerror = "550 5.1.1 nobody here"\n', server_config(server), flags=re.S)
        with open(server.config, "w") as f:
            f.write(refusing)
        result = run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 1)
        self.assertIn("postmaster has no way", result.stderr)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "postmaster has no way" in server.log_text(), "the refusal of the configuration")
        with Client(server.port) as c:
            c.cmd("EHLO stranger")
            c.cmd("MAIL FROM:<a@example.org>")
            self.assertEqual(c.cmd("RCPT TO:<postmaster>")[0], 250)

    def test_swaks_over_starttls_lands_in_a_maildir(self):
        server = self.local(smtpd=self.certificate())
        result = subprocess.run(["swaks", "--server", f"127.0.0.1:{server.port}", "--tls", "--from", "a@example.org",
                                 "--to", "alice@mansio.test", "--header", "Subject: over TLS"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("TLSv1.", result.stdout)
        (path,) = wait_for(lambda: maildir_messages(self.path("mail")), "the message")
        self.assertIn("/mansio.test/alice/new/", path)
        text = open(path, newline="").read()
        self.assertTrue(text.startswith("Return-Path: <a@example.org>\n"), text[:200])
        self.assertIn("Subject: over TLS", text)
        self.assertRegex(text, r"Received: from .*\n(\s.*\n)*?\s.*with ESMTPS id [0-9A-Z]{13}")
        self.assertNotIn("\r", text)

    def test_curl_sends_a_first_message(self):
        server = self.local()
        with open(self.path("m"), "w", newline="") as f:
            f.write("Subject: first\r\n\r\nHello.\r\n")
        subprocess.run(["curl", "-sS", f"smtp://127.0.0.1:{server.port}", "--mail-from", "a@example.org", "--mail-rcpt",
                        "bob@mansio.test", "-T", self.path("m")], check=True)
        (path,) = wait_for(lambda: maildir_messages(self.path("mail")), "the message")
        self.assertTrue(open(path).read().endswith("\n\nHello.\n"))

    def test_commands_sent_with_starttls_end_the_session(self):
        server = self.local(smtpd=self.certificate())
        with Client(server.port) as c:
            c.cmd("EHLO test")
            c.send("STARTTLS\r\nMAIL FROM:<injected@example.org>\r\n")
            self.assertEqual(c.reply()[0], 554)
            self.assertEqual(c.reply()[0], 0)

    def test_commands_sent_with_starttls_are_not_run_after_the_handshake(self):
        server = self.local(smtpd=self.certificate() + "forbid_unauth_pipelining = false\n")
        import ssl
        with Client(server.port) as c:
            c.cmd("EHLO test")
            c.send("STARTTLS\r\nEHLO injected\r\nMAIL FROM:<injected@example.org>\r\n")
            self.assertEqual(c.reply()[0], 220)
            c.sock = ssl._create_unverified_context().wrap_socket(c.sock)
            c.file = c.sock.makefile("rb")
            self.assertEqual(c.cmd("RCPT TO:<alice@mansio.test>")[0], 503)
            self.assertEqual(c.cmd("VRFY x")[0], 252)  # and nothing else was answered

    def test_certificates_are_reloaded_when_they_change(self):
        import shutil
        import ssl
        options = self.certificate() + "tls_reload_interval = 1\n"
        server = self.local(smtpd=options)

        def subject():
            with Client(server.port) as c:
                c.cmd("EHLO test")
                assert c.cmd("STARTTLS")[0] == 220
                tls = ssl._create_unverified_context().wrap_socket(c.sock)
                return tls.getpeercert(True)
        first = subject()
        self.certificate("other")
        os.rename(self.path("other.key"), self.path("cert.key"))
        os.rename(self.path("other.pem"), self.path("cert.pem"))
        wait_for(lambda: subject() != first, "the new certificate")

    def test_unauthorised_pipelining_is_refused(self):
        server = self.local()
        client = Client(server.port, greet=False)
        client.send("EHLO early\r\nMAIL FROM:<a@example.org>\r\n")
        replies = [client.reply() for _ in range(3)]
        self.assertTrue(any(code in (554, 521) for code, _ in replies), replies)
        client.close()

    def test_limits_are_refused_with_their_codes(self):
        server = self.local(smtpd="message_size_limit = 20000\nrecipient_limit = 3\nheader_size_limit = 5000\nline_length_limit = 1000\n")
        with Client(server.port) as c:
            c.cmd("EHLO test")
            self.assertEqual(c.cmd("MAIL FROM:<a@example.org> SIZE=30000")[0], 552)
            c.cmd("MAIL FROM:<a@example.org>")
            for i in range(3):
                self.assertEqual(c.cmd(f"RCPT TO:<r{i}@mansio.test>")[0], 250)
            self.assertEqual(c.cmd("RCPT TO:<r4@mansio.test>")[0], 452)
            c.cmd("DATA")
            c.send(b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 400 + b".\r\n")
            self.assertEqual(c.reply()[0], 552)
            for content in (b"Subject: x\r\n\r\n" + b"x" * 1500, b"".join(b"X-%d: y\r\n" % i for i in range(1000)),
                            b"".join(b"Received: from x\r\n" for i in range(60)) + b"\r\nx"):
                c.cmd("MAIL FROM:<a@example.org>")
                c.cmd("RCPT TO:<r@mansio.test>")
                c.cmd("DATA")
                c.send(content + b"\r\n.\r\n")
                self.assertGreaterEqual(c.reply()[0], 500)
            self.assertGreaterEqual(c.cmd("NOOP " + "x" * 5000)[0], 500)

    def test_connections_of_one_client_are_limited_over_all_processes(self):
        server = self.local(smtpd="client_connection_count_limit = 3\nclient_event_limit_exceptions = []\n", top="ingress_processes = 3\n")
        clients = []
        for _ in range(3):
            clients.append(Client(server.port))
        for _ in range(6):
            refused = Client(server.port, greet=False)
            self.assertEqual(refused.reply()[0], 421)
            refused.close()
        clients.pop().close()

        def admitted():
            c = Client(server.port, greet=False)
            code = c.reply()[0]
            clients.append(c)
            return code == 220
        wait_for(admitted, "room for another connection")
        for c in clients:
            c.close()

    def test_a_listener_with_few_places_is_not_locked_out_by_another(self):
        few = free_port()
        server = self.local(top=f'[listener.few]\nlisten = ["127.0.0.1:{few}"]\nconnection_limit = 1\n')
        clients = [Client(server.port) for _ in range(3)]
        clients.append(Client(few))
        refused = Client(few, greet=False)
        self.assertEqual(refused.reply()[0], 421)
        for c in (refused, *clients):
            c.close()

    def test_reload_takes_a_good_configuration_and_keeps_the_old_for_a_bad_one(self):
        server = self.local()
        good = open(server.config).read()
        with open(server.config, "w") as f:
            f.write(good + "\nnonsense = 1\n")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "nonsense" in server.log_text(), "the refusal")
        with Client(server.port) as c:
            self.assertEqual(c.cmd("EHLO test")[0], 250)
        with open(server.config, "w") as f:
            f.write(good.replace('mydestination = ["mansio.test"]', 'mydestination = ["mansio.test", "second.test"]')
                    .replace('"mx.mansio.test"]', '"mx.mansio.test", "second.test"]'))
        server.process.send_signal(signal.SIGHUP)

        def accepted():
            with Client(server.port) as c:
                c.cmd("EHLO test")
                c.cmd("MAIL FROM:<a@example.org>")
                return c.cmd("RCPT TO:<b@second.test>")[0] == 250
        wait_for(accepted, "the new configuration")

    def test_check_names_file_line_key_and_what_was_expected(self):
        path = self.path("bad.toml")
        with open(path, "w") as f:
            f.write('myhostname = "x.test"\n[smtpd]\ntimeout = "soon"\nlinelength = 1\n')
        result = run_program("check", "--config", path)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, re.escape(path) + r":3: smtpd\.timeout.*duration")
        self.assertRegex(result.stderr, re.escape(path) + r":4: smtpd\.linelength")

    def test_mail_for_own_domain_over_ipv6(self):
        if not os.path.exists("/proc/net/if_inet6"):
            self.fail("this machine has no IPv6; the test needs [::1]")
        server = self.local()
        text = open(server.config).read().replace(f'"127.0.0.1:{server.port}"', f'"127.0.0.1:{server.port}", "[::1]:{server.port}"')
        server.stop()
        with open(server.config, "w") as f:
            f.write(text)
        server.start()
        with Client(server.port, host="::1") as c:
            c.cmd("EHLO six")
            c.message("a@example.org", ["carol@mansio.test"], "Subject: six\r\n\r\nx\r\n")
        (path,) = wait_for(lambda: maildir_messages(self.path("mail")), "the message")
        self.assertIn("[IPv6:::1]", open(path).read())


if __name__ == "__main__":
    unittest.main()
