"""Servers that must show a certificate: a next hop with a real one, from an authority of the test's own."""
import ssl
import subprocess
import unittest

from dns_server import DnsServer
from rig import Client, TestCase, wait_for

CONFIG = """
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[dns]
servers = ["127.0.0.1:%(dns)d"]
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
[transport.smtp]
plugin = "transport-smtp"
inet_protocols = "ipv4"
%(options)s
[[route]]
transport = "smtp"
nexthop = "%(hop)s"
"""


class TlsPolicy(TestCase):
    def openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.dir)

    def authority(self):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem")

    def certificate(self, name, signed=True):
        if signed:
            self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=server",
                         "-keyout", "peer.key", "-out", "peer.csr")
            with open(self.path("peer.ext"), "w") as f:
                f.write(f"subjectAltName=DNS:{name}\n")
            self.openssl("x509", "-req", "-in", "peer.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                         "-extfile", "peer.ext", "-out", "peer.pem")
        else:
            self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                         "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name, "-keyout", "peer.key", "-out", "peer.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("peer.pem"), self.path("peer.key"))
        return context

    def start(self, context, options, hop="[mx.peer.test]:{port}"):
        dns = DnsServer({("mx.peer.test", "A"): ["127.0.0.1"]})
        self.addCleanup(dns.close)
        peer = self.peer(tls=context)
        server = self.mansio(CONFIG % {"dns": dns.port, "hop": hop.format(port=peer.port),
                                       "options": options.replace("{hop_port}", str(peer.port))})
        with Client(server.port) as client:
            client.cmd("EHLO test")
            client.message("a@example.org", ["b@example.net"], "Subject: x\r\n\r\nx\r\n")
        return server, peer

    def options(self, level):
        return f'tls_CAfile = "{self.path("ca.pem")}"\ntls_policy = ["mx.peer.test={level}"]'

    def waits(self, context, level, why):
        server, hop = self.start(context, self.options(level))
        (line, *_) = server.wait_event("delivery", status="deferred")
        self.assertEqual(line["dsn"], "4.7.5")
        self.assertIn("Server certificate not trusted: " + why, line["text"])
        self.assertEqual(hop.count(), 0)
        self.assertNotIn("MAIL", [command for command, _ in hop.commands])

    def arrives(self, context, level):
        server, hop = self.start(context, self.options(level))
        wait_for(lambda: hop.count() == 1, "the message")
        (line,) = server.wait_event("delivery", status="sent")
        self.assertTrue(line["tls"].startswith("TLSv1.3 "), line)

    def test_a_policy_may_ask_for_it_for_one_message(self):
        with open(self.path("policy.lua"), "w") as f:
            f.write('mansio.on("mail", function(transaction, sender)\n'
                    '  if sender.localpart == "secret" then transaction.meta.tls_policy = "encrypt" end\n'
                    'end)\n')
        dns = DnsServer({})
        self.addCleanup(dns.close)
        for mode in ("inproc", "process"):
            with self.subTest(mode):
                peer = self.peer()  # which offers no TLS
                options = f'isolation = "{mode}"\n[policy.asks]\nplugin = "lua"\nscript = "{{dir}}/policy.lua"\n'
                config = CONFIG % {"dns": dns.port, "hop": f"[127.0.0.1]:{peer.port}", "options": options}
                server = self.mansio(config.replace("[smtpd]", '[smtpd]\npolicies = ["asks"]'), name=mode)
                with Client(server.port) as client:
                    client.cmd("EHLO test")
                    client.message("open@example.com", ["a@peer.test"], "Subject: x\r\n\r\nx")
                    client.message("secret@example.com", ["b@peer.test"], "Subject: x\r\n\r\nx")
                server.wait_event("delivery", to="a@peer.test", status="sent")
                (deferred, *_) = server.wait_event("delivery", to="b@peer.test", status="deferred")
                self.assertEqual(deferred["dsn"], "4.7.4")
                self.assertEqual([m.recipients for m in peer.messages], [["a@peer.test"]])
                server.close()

    def test_a_self_signed_certificate_is_refused_at_verify(self):
        self.authority()
        self.waits(self.certificate("mx.peer.test", signed=False), "verify", "self-signed certificate")

    def test_a_self_signed_certificate_will_do_for_encrypt(self):
        self.authority()
        self.arrives(self.certificate("mx.peer.test", signed=False), "encrypt")

    def test_the_right_authority_and_name_will_do_for_verify(self):
        self.authority()
        self.arrives(self.certificate("mx.peer.test"), "verify")

    def test_another_name_is_refused(self):
        self.authority()
        self.waits(self.certificate("mx.other.test"), "secure", "the certificate is for none of: mx.peer.test, .mx.peer.test")

    def test_a_name_that_the_policy_gives_will_do(self):
        self.authority()
        self.arrives(self.certificate("mx.other.test"), "secure:mx.other.test")

    def stays(self, key):
        server, peer = self.start(None, f'tls_policy = ["{key}=encrypt"]', hop="[127.0.0.1]:{port}")
        (line, *_) = server.wait_event("delivery", status="deferred")
        self.assertEqual(line["dsn"], "4.7.4")
        self.assertEqual(peer.count(), 0)
        self.assertNotIn("MAIL", [command for command, _ in peer.commands])

    def test_a_key_like_the_next_hop_keeps_mail_from_going_in_clear(self):
        self.stays("[127.0.0.1]:{hop_port}")

    def test_a_key_with_brackets_alone_does_too(self):
        self.stays("[127.0.0.1]")

    def test_a_key_with_a_port_alone_does_too(self):
        self.stays("127.0.0.1:{hop_port}")


if __name__ == "__main__":
    unittest.main()
