"""The filter and the policy of examples/plugins: they build against the installed SDK alone, keep the rules, and do in a
running Mansio what the plugin guide says."""
import os
import shutil
import subprocess
import unittest

import rig

BUILD = os.environ["MANSIO_BUILD"]
EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/plugins")

CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
[smtpd]
mynetworks = ["127.0.0.2/32"]
policies = ["recipients"]
filters = ["tag"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[lookup.recipients]
plugin = "lookup-file"
isolation = "%s"
inline = """
alice@mansio.test OK
bob@mansio.test 450 away
"""
[policy.recipients]
plugin = "policy-recipients"
isolation = "%s"
table = "recipients"
otherwise = "550 no such user"
[filter.tag]
plugin = "filter-tag"
isolation = "%s"
hold_pattern = "EICAR"
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
'''


def run(*argv):
    result = subprocess.run(argv, capture_output=True, text=True, timeout=4 * rig.LIMIT)
    if result.returncode != 0:
        raise AssertionError(f"{argv}: {result.returncode}\n{result.stdout[-6000:]}{result.stderr[-6000:]}")
    return result.stdout


class FilterExamples(rig.TestCase):
    def setUp(self):
        super().setUp()
        prefix, build = self.path("prefix"), self.path("build")
        run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "sdk")
        run("cmake", "-S", EXAMPLES, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}")
        run("cmake", "--build", build, "--target", "filter-tag", "policy-recipients")
        self.directory = self.plugins("transport-smtp", "lookup-file")
        for name in ("filter-tag", "policy-recipients"):
            shutil.copy(os.path.join(build, name + ".so"), self.directory)

    def test_they_keep_the_rules_and_do_what_they_say(self):
        self.assertIn("keeps the rules", run(rig.MANSIO, "plugin", "check", os.path.join(self.directory, "filter-tag.so")))
        self.assertIn("keeps the rules", run(rig.MANSIO, "plugin", "check", os.path.join(self.directory, "policy-recipients.so"),
                                             "--option", "table=recipients"))
        sink = self.peer()
        for table, policy, tag in (("inproc", "inproc", "process"), ("inproc", "process", "inproc"),
                                   ("process", "process", "process"), ("process", "inproc", "inproc")):
            with self.subTest(table=table, policy=policy, filter=tag):
                server = rig.Mansio(self.dir, CONFIG % (table, policy, tag, sink.port), plugins=self.directory,
                                    name=f"{table}-{policy}")
                self.addCleanup(server.close)
                server.start()
                with sink.lock:
                    sink.messages.clear()
                with rig.Client(server.port) as client:
                    client.cmd("EHLO outside.test")
                    client.cmd("MAIL FROM:<a@example.com>")
                    self.assertEqual(client.cmd("RCPT TO:<carol@mansio.test>"), (550, "5.7.1 no such user"))
                    self.assertEqual(client.cmd("RCPT TO:<bob@mansio.test>"), (450, "4.7.1 away"))
                    client.cmd("RSET")
                    client.message("a@example.com", ["alice@mansio.test"],
                                   "X-External: no\r\nSubject: hello\r\n there\r\nx-external: never\r\n\r\nbody")
                    client.message("a@example.com", ["alice@mansio.test"], "Subject: v\r\n\r\nEICAR")
                rig.wait_for(lambda: sink.count() == 1, "the message")
                header = sink.messages[0].content.split(b"\r\n\r\n")[0]
                self.assertTrue(header.endswith(b"\r\nSubject: [EXTERNAL] hello\r\n there\r\nX-External: from 127.0.0.1"), header)
                rig.wait_for(lambda: [m["queue_name"] for m in server.queue()] == ["hold"], "the held message alone in the queue")
                with rig.Client(server.port, source="127.0.0.2") as client:
                    client.cmd("EHLO inside.test")
                    client.message("a@example.com", ["alice@mansio.test"], "Subject: hello\r\n\r\nbody")
                rig.wait_for(lambda: sink.count() == 2, "the message from inside")
                self.assertNotIn(b"EXTERNAL", sink.messages[1].content)
                server.close()


if __name__ == "__main__":
    unittest.main()
