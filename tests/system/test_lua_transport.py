"""A transport in Lua in the whole program: mail goes from SMTP through a script to a web server, each recipient has its own
result, an error in the script defers, a server that is away slows down, and kill -9 of the process that runs it loses
nothing."""
import http.server
import json
import os
import signal
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
plugin = "lua"
script = "{dir}/hook.lua"
allow = ["http"]
isolation = "%s"
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
HOOK = '''
mansio.provide("transport", "hook", {
  deliver = function(delivery)
    local pieces = {}
    for piece in delivery.message:body(4) do pieces[#pieces + 1] = piece end
    for _, recipient in ipairs(delivery.recipients) do
      if recipient.localpart == "fault" and not delivery.message:header("X-Fixed") then error("as asked") end
      local answer = mansio.http.post("http://127.0.0.1:%d/" .. recipient.localpart, table.concat(pieces), {
        headers = {["X-Queue-Id"] = delivery.queue_id, ["X-Sender"] = delivery.sender.address,
                   ["X-Attempts"] = delivery.attempts},
      })
      if answer.status == 200 then
        delivery:sent(recipient, answer.body, {relay = "hook.test"})
      elseif answer.status == 422 then
        delivery:bounce(recipient, "5.1.1", answer.body)
      else
        delivery:defer(recipient, "4.3.2", answer.body, {retry = answer.headers["retry-after"] .. "s"})
      end
    end
  end,
})
'''


class Hook:
    """A web server; on(user) -> (status, text), or HANG."""

    HANG = object()

    def __init__(self, on):
        self.requests = []
        self.lock = threading.Lock()
        self.released = threading.Event()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with hook.lock:
                    hook.requests.append((self.path[1:], self.headers, body))
                    answer = on(self.path[1:])
                if answer is Hook.HANG:
                    hook.released.wait()
                    return
                status, text = answer
                self.send_response(status)
                self.send_header("Retry-After", "1")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def count(self, user):
        with self.lock:
            return sum(1 for path, _, _ in self.requests if path == user)

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


class LuaTransport(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.relay = self.peer()

    def hook(self, on):
        hook = Hook(on)
        self.addCleanup(hook.close)
        return hook

    def start(self, port, isolation="inproc"):
        with open(self.path("hook.lua"), "w") as f:
            f.write(HOOK % port)
        os.chmod(self.path("hook.lua"), 0o644)
        return self.mansio(CONFIG % (isolation, self.relay.port), plugins=self.plugins("lua", "transport-smtp"),
                           name=f"mansio-{isolation}")

    def send(self, server, *recipients, header=""):
        with rig.Client(server.port) as client:
            client.cmd("EHLO test")
            client.message("a@sender.example", recipients, f"Subject: x\r\n{header}\r\n..hello")

    def test_mail_goes_through_a_script_and_each_recipient_has_its_result(self):
        first = set()

        def on(user):
            if user == "unknown":
                return 422, "no such user"
            if user == "busy" and user not in first:
                first.add(user)
                return 503, "busy"
            return 200, "stored " + user
        hook = self.hook(on)
        for isolation in ("inproc", "process"):
            with self.subTest(isolation=isolation):
                first.clear()
                hook.requests.clear()
                with self.relay.lock:
                    self.relay.messages.clear()
                server = self.start(hook.port, isolation)
                self.send(server, "bob@hook.example", "unknown@hook.example", "busy@hook.example")
                sent = server.wait_event("delivery", to="bob@hook.example")[0]
                self.assertEqual((sent["status"], sent["text"], sent["relay"]), ("sent", "stored bob", "hook.test"))
                gone = server.wait_event("delivery", to="unknown@hook.example")[0]
                self.assertEqual((gone["status"], gone["dsn"], gone["text"]), ("bounced", "5.1.1", "no such user"))
                server.wait_event("delivery", to="busy@hook.example", status="sent")
                later = server.deliveries(to="busy@hook.example")[0]
                self.assertEqual((later["status"], later["dsn"]), ("deferred", "4.3.2"))
                headers, body = next((headers, body) for user, headers, body in hook.requests if user == "bob")
                self.assertEqual(body, b".hello\r\n")
                self.assertEqual((headers["X-Queue-Id"], headers["X-Sender"]), (sent["qid"], "a@sender.example"))
                self.assertEqual(hook.count("bob"), 1)
                self.assertEqual([headers["X-Attempts"] for user, headers, _ in hook.requests if user == "busy"], ["0", "1"])
                bounce = rig.wait_for(lambda: [m for m in self.relay.messages if m.recipients == ["a@sender.example"]], "the bounce")
                self.assertIn(b"no such user", bounce[0].content)
                rig.wait_for(lambda: server.queue() == [], "an empty queue")
                server.close()

    def test_an_error_defers_with_one_traceback_and_other_mail_goes_on(self):
        hook = self.hook(lambda user: (200, "stored"))
        server = self.start(hook.port)
        self.send(server, "fault@hook.example")
        line = server.wait_event("delivery", to="fault@hook.example")[0]
        self.assertEqual((line["status"], line["dsn"], line["text"]), ("deferred", "4.3.0", "the transport's script failed"))
        lines = [json.loads(l) for l in server.log_text().splitlines() if line["qid"] in l]
        told = [l for l in lines if "as asked" in l["event"]]
        attempts = [l for l in lines if l["event"] == "delivery"]
        self.assertIn(len(told) - len(attempts), (0, 1), told)  # one may just be under way
        self.assertRegex(told[0]["event"], r"hook\.lua:\d+: as asked.*stack traceback")
        self.send(server, "bob@hook.example")
        server.wait_event("delivery", to="bob@hook.example", status="sent")
        self.assertEqual(hook.count("fault"), 0)

    def test_a_server_that_is_away_defers(self):
        server = self.start(rig.free_port())
        self.send(server, "bob@hook.example")
        line = server.wait_event("delivery", to="bob@hook.example")[0]
        self.assertEqual((line["status"], line["dsn"]), ("deferred", "4.3.0"))

    def test_kill_of_its_process_loses_nothing(self):
        hung = []

        def on(user):
            if not hung:
                hung.append(user)
                return Hook.HANG
            return 200, "stored"
        hook = self.hook(on)
        server = self.start(hook.port)
        self.send(server, "bob@hook.example")
        rig.wait_for(lambda: hook.count("bob") == 1, "the request that hangs")
        killed = server.pids("egress.hook")
        self.assertEqual(len(killed), 1, server.children())
        os.kill(killed[0], signal.SIGKILL)
        server.wait_event("delivery", to="bob@hook.example", status="sent")
        self.assertEqual(hook.count("bob"), 2)
        rig.wait_for(lambda: server.queue() == [], "an empty queue")


if __name__ == "__main__":
    unittest.main()
