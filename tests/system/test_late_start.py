"""A plugin that fails to start in the process that uses it: the server starts all the same, on_failure says what becomes of
the mail that needs it, and it is tried again until it starts."""
import contextlib
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[filter.late]
plugin = "starts-later"
path = "{dir}/go"
[filter.skipped]
plugin = "starts-later"
path = "{dir}/go"
on_failure = "skip"
[auth.late]
plugin = "starts-later"
path = "{dir}/go"
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[listener.filtered]
listen = ["127.0.0.1:%d"]
filters = ["late"]
[listener.skips]
listen = ["127.0.0.1:%d"]
filters = ["skipped"]
[listener.submission]
listen = ["127.0.0.1:%d"]
sasl_auth_enable = true
tls_auth_only = false
auth = "late"
[transport.good]
plugin = "transport-discard"
[transport.late]
plugin = "starts-later"
path = "{dir}/go"
[[route]]
domain = ["late.example"]
transport = "late"
[[route]]
transport = "good"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
'''
NOT_THERE = "plugin not started; on_failure answers until it is"


class LateStart(rig.TestCase):
    def send(self, port, recipient):
        """The first code that is not what a client hopes for, or 250 for a message that was taken."""
        with contextlib.suppress(OSError), rig.Client(port, greet=False) as c:
            code = c.reply()[0]
            for line in ("EHLO client.test", "MAIL FROM:<a@example.com>", f"RCPT TO:<{recipient}>", "DATA",
                         "Subject: x\r\n\r\nx\r\n."):
                if code >= 400:
                    break
                code = c.cmd(line)[0]
            return code
        return 0

    def offers_auth(self, port):
        with rig.Client(port) as c:
            return "AUTH" in c.cmd("EHLO client.test")[1]

    def test_the_rest_works_and_it_does_as_soon_as_it_starts(self):
        filtered, skips, submission = rig.free_port(), rig.free_port(), rig.free_port()
        server = self.mansio(CONFIG % (filtered, skips, submission), plugins=self.plugins("starts-later", "transport-discard"))
        self.assertGreaterEqual(len(server.events(NOT_THERE)), 4)
        self.assertIn("filter late: starts-later did not start", {e["reason"].partition(": it")[0] for e in server.events(NOT_THERE)})

        self.assertEqual(self.send(server.port, "b@good.example"), 250)
        self.assertEqual(self.send(skips, "b@good.example"), 250)
        self.assertEqual(self.send(filtered, "b@good.example") // 100, 4)
        self.assertFalse(self.offers_auth(submission))
        self.assertEqual(self.send(server.port, "b@late.example"), 250)
        deferred = server.wait_event("delivery", transport="late", status="deferred")[0]
        self.assertIn("did not start", deferred["text"])
        server.wait_event("delivery", 2, transport="good", status="sent")

        with open(self.path("go"), "w"):
            pass
        rig.wait_for(lambda: self.send(filtered, "b@good.example") == 250, "the filter to start")
        rig.wait_for(lambda: self.offers_auth(submission), "the auth plugin to start")
        server.wait_event("delivery", transport="late", status="sent")
        rig.wait_for(lambda: server.queue() == [], "an empty queue")
        self.assertEqual(server.deliveries(status="bounced"), [])

    def test_what_the_configuration_is_to_blame_for_still_fails_the_start(self):
        config = CONFIG % (rig.free_port(), rig.free_port(), rig.free_port())
        server = rig.Mansio(self.dir, config.replace('"starts-later"', '"starts-never"', 1), plugins=self.plugins("starts-later", "transport-discard"))
        server.start(wait=False)
        self.assertNotEqual(server.process.wait(rig.LIMIT), 0)


if __name__ == "__main__":
    unittest.main()
