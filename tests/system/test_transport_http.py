"""transport-http in the whole program, against a web server with TLS: what it gets, what its answers mean for the mail, and
that a certificate that is not good takes no mail."""
import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import ssl
import subprocess
import threading
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.hook]
plugin = "transport-http"
url = "https://%s:%d/mail"
isolation = "%s"
%s
[transport.relay]
plugin = "transport-smtp"
[[route]]
domain = ["hook.example"]
transport = "hook"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
'''


class Hook:
    """A web server with TLS whose answers a test chooses: on(headers, body) -> (status, fields, text), or HANG."""

    HANG = object()

    def __init__(self, certificate, on):
        self.requests = []
        self.connections = 0
        self.released = threading.Event()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                hook.connections += 1

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.requests.append((self.headers, body))
                answer = on(self.headers, body)
                if answer is Hook.HANG:
                    hook.released.wait()
                    self.close_connection = True
                    return
                status, fields, text = answer
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, request, address):  # in the connection's thread, so that no handshake keeps the others
                with contextlib.suppress(OSError), context.wrap_socket(request, server_side=True) as wrapped:
                    super().finish_request(wrapped, address)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


class TransportHttp(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.certificate = self.path("hook.pem")
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                               "-keyout", self.path("key.pem"), "-out", self.path("certificate.pem"), "-days", "2",
                               "-subj", "/CN=hook", "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        with open(self.certificate, "w") as out:
            for name in ("key.pem", "certificate.pem"):
                with open(self.path(name)) as part:
                    out.write(part.read())
        self.relay = self.peer()

    def hook(self, on):
        hook = Hook(self.certificate, on)
        self.addCleanup(hook.close)
        return hook

    def start(self, hook, options="", isolation="inproc", host="127.0.0.1", trusted=True):
        if trusted:
            options += '\nca_file = "{dir}/certificate.pem"'
        return self.mansio(CONFIG % (host, hook.port, isolation, options, self.relay.port), plugins=self.plugins("transport-http", "transport-smtp"),
                           name=f"mansio{len(os.listdir(self.dir))}")

    def send(self, server, *recipients):
        with rig.Client(server.port) as client:
            client.cmd("EHLO test")
            return client.message("a@sender.example", recipients, "Subject: x\r\n\r\n..hello")

    def test_a_server_gets_message_and_envelope_with_token_and_signature(self):
        with open(self.path("token"), "w") as f:
            f.write("s3cret\n")
        os.chmod(self.path("token"), 0o644)
        hook = self.hook(lambda headers, body: (200, {}, "stored"))
        for isolation in ("inproc", "process"):
            with self.subTest(isolation=isolation):
                server = self.start(hook, 'bearer_token = { file = "{dir}/token" }\nhmac_secret = "key"', isolation)
                self.send(server, "bob@hook.example", "amy@hook.example")
                line = server.wait_event("delivery", transport="hook", count=2)[0]
                self.assertEqual((line["status"], line["text"]), ("sent", "HTTP 200: stored"))
                self.assertEqual(line["relay"], f"127.0.0.1[127.0.0.1]:{hook.port}")
                headers, body = hook.requests.pop()
                self.assertTrue(body.startswith(b"Received: "), body)
                self.assertTrue(body.endswith(b"Subject: x\r\n\r\n.hello\r\n"), body)
                self.assertEqual(headers["Content-Type"], "message/rfc822")
                self.assertEqual(headers["Mansio-Queue-Id"], line["qid"])
                self.assertEqual(headers["Mansio-Sender"], "<a@sender.example>")
                self.assertEqual(headers.get_all("Mansio-Recipient"), ["<bob@hook.example>", "<amy@hook.example>"])
                self.assertEqual(headers["Authorization"], "Bearer s3cret")
                self.assertEqual(headers["Mansio-Signature"], "sha256=" + hmac.new(b"key", body, hashlib.sha256).hexdigest())
                self.assertNotIn("s3cret", server.log_text())
                server.close()

    def test_json_is_json_and_connections_are_used_again(self):
        hook = self.hook(lambda headers, body: (204, {}, ""))
        server = self.start(hook, 'format = "json"')
        for i in range(5):
            self.send(server, f"user{i}@hook.example")
            server.wait_event("delivery", to=f"user{i}@hook.example", status="sent")
        self.assertEqual(hook.connections, 1)
        envelope = json.loads(hook.requests[0][1])
        self.assertEqual(envelope["sender"], "a@sender.example")
        self.assertEqual(envelope["recipients"], [{"address": "user0@hook.example", "original": "user0@hook.example"}])
        self.assertEqual(envelope["client"]["address"], "127.0.0.1")
        message = base64.b64decode(envelope["message"], validate=True)
        self.assertEqual(len(message), envelope["size"])
        self.assertTrue(message.endswith(b"Subject: x\r\n\r\n.hello\r\n"), message)

    def test_answers_decide_about_the_mail(self):
        seen = {}

        def on(headers, body):
            user = headers["Mansio-Recipient"].strip("<>").split("@")[0]
            seen[user] = seen.get(user, 0) + 1
            if user == "unknown":
                return 422, {}, "5.1.1 no such user"
            if seen[user] > 1:
                return 200, {}, ""
            return {"limited": (429, {"Retry-After": "30"}, "slow down"), "broken": (500, {}, "oops"),
                    "moved": (302, {"Location": "https://127.0.0.1:1/"}, "")}[user]
        server = self.start(self.hook(on))
        for user in ("unknown", "limited", "broken", "moved"):
            self.send(server, user + "@hook.example")
        for user, dsn, text in (("limited", "4.3.2", "HTTP 429, retry after 30 s: slow down"),
                                ("broken", "4.3.0", "HTTP 500: oops"), ("moved", "4.3.0", "HTTP 302")):
            server.wait_event("delivery", to=f"{user}@hook.example", status="sent")
            first = server.deliveries(to=f"{user}@hook.example")[0]
            self.assertEqual((first["status"], first["dsn"], first["text"]), ("deferred", dsn, text))
        unknown = server.wait_event("delivery", to="unknown@hook.example")[0]
        self.assertEqual((unknown["status"], unknown["dsn"]), ("bounced", "5.1.1"))
        # Of trouble with our own programs, as 4.3.0 may be, the postmaster hears besides.
        bounce = rig.wait_for(lambda: [m for m in self.relay.messages if m.recipients == ["a@sender.example"]], "the bounce")
        self.assertIn(b"no such user", bounce[0].content)
        rig.wait_for(lambda: server.queue() == [], "an empty queue")

    def test_a_server_that_hangs_is_given_up_and_others_are_served(self):
        hung = []

        def on(headers, body):
            if "hang@" in headers["Mansio-Recipient"] and not hung:
                hung.append(1)
                return Hook.HANG
            return 200, {}, ""
        server = self.start(self.hook(on), 'timeout = "5s"')
        self.send(server, "hang@hook.example")
        self.send(server, "bob@hook.example")
        server.wait_event("delivery", to="bob@hook.example", status="sent")
        server.wait_event("delivery", to="hang@hook.example", status="sent")
        first = server.deliveries(to="hang@hook.example")[0]
        self.assertEqual((first["status"], first["uncertain"]), ("deferred", True))

    def test_a_certificate_that_is_not_good_gets_no_mail(self):
        hook = self.hook(lambda headers, body: (200, {}, ""))
        for name, kw in (("unknown issuer", {"trusted": False}), ("another name", {"host": "localhost"})):
            with self.subTest(name):
                server = self.start(hook, **kw)
                self.send(server, "bob@hook.example")
                line = server.wait_event("delivery", transport="hook")[0]
                self.assertEqual((line["status"], line["dsn"]), ("deferred", "4.4.1"))
                self.assertIn("SSL", line["text"])
                server.close()
        self.assertEqual(hook.requests, [])
        server = self.start(hook, "tls_verify = false", trusted=False)
        self.send(server, "bob@hook.example")
        server.wait_event("delivery", transport="hook", status="sent")


if __name__ == "__main__":
    unittest.main()
