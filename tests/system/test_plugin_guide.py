"""docs/plugin-guide.md, followed literally: its commands build the examples against an SDK installed for the test, its
configuration runs them, and they do what it says."""
import os
import re
import subprocess
import unittest

import rig

BUILD = os.environ["MANSIO_BUILD"]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
%s
[transport.rest]
plugin = "transport-discard"
[[route]]
transport = "rest"
'''


def section(title):
    """Of the guide: its blocks, [(language, text)]."""
    with open(os.path.join(ROOT, "docs", "plugin-guide.md")) as f:
        text = f.read()
    return re.findall(r"^```(\w+)\n(.*?)^```", text.split(f"\n## {title}\n")[1].split("\n## ")[0], re.M | re.S)


class PluginGuide(rig.TestCase):
    def build(self, commands):
        """In a directory that looks like a tree of Mansio where the commands look."""
        for name in ("prefix", "tree", "tree/build", "bin"):
            os.mkdir(self.path(name))
        os.symlink(BUILD, self.path("tree/build/release"))
        os.symlink(os.path.join(ROOT, "examples"), self.path("tree/examples"))
        os.symlink(rig.MANSIO, self.path("bin/mansio"))
        env = dict(os.environ, PREFIX=self.path("prefix"), PLUGIN_DIR=self.plugins("transport-discard"),
                   PATH=self.path("bin") + ":" + os.environ["PATH"])
        done = subprocess.run(["sh", "-ec", commands], cwd=self.path("tree"), env=env, capture_output=True, text=True,
                              timeout=8 * rig.LIMIT)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-6000:])
        return done.stdout

    def test_the_examples_build_pass_the_check_and_work(self):
        (_, commands), (_, tables) = section("Two whole plugins")
        said = self.build(commands)
        self.assertEqual(said.count(" keeps the rules\n"), 2)

        os.mkdir(self.path("mail"))
        os.chmod(self.path("mail"), 0o777)
        server = self.mansio(CONFIG % tables.replace("/var/mail", self.path("mail")), plugins=self.path("plugins"))
        self.assertEqual(server.cli("lookup", "users", "root@example.com"), "/root\n")
        for key in ("no-such-user@example.com", "root@other.example"):
            result = rig.run_program("lookup", "users", key, "--config", server.config)
            self.assertEqual((result.returncode, result.stdout), (1, ""))

        with rig.Client(server.port) as client:
            client.cmd("EHLO test")
            for text in ("first", "second"):
                client.message("a@sender.example", ["b@archive.example.com", "c@archive.example.com"],
                               f"Subject: {text}\r\n\r\nFrom here\r\nbody")
        lines = server.wait_event("delivery", count=4, transport="archive", status="sent")
        self.assertEqual({line["text"] for line in lines}, {"appended"})
        with open(self.path("mail", "archive.mbox")) as f:
            mbox = f.read()
        self.assertEqual(len(re.findall(r"^From a@sender\.example ", mbox, re.M)), 2)
        # In either order: both may be under way at once.
        self.assertEqual(sorted(re.findall(r"^Subject: (\w+)$", mbox, re.M)), ["first", "second"])
        self.assertEqual(mbox.count("\n>From here\nbody\n\n"), 2)

    def test_bad_values_are_refused_as_it_says(self):
        (_, commands), (_, tables) = section("Two whole plugins")
        self.build(commands)
        for change, regex in ((("minimum_uid = 0", 'minimum_uid = "many"'), r'minimum_uid is "many", expected an integer'),
                              (("minimum_uid = 0", "minimal_uid = 5"), r"minimal_uid is not an option .* did you mean minimum_uid"),
                              (("minimum_uid = 0", "minimum_uid = -1"), r"minimum_uid is -1, expected 0 or more")):
            with self.subTest(regex):
                server = rig.Mansio(self.dir, CONFIG % tables.replace(*change), plugins=self.path("plugins"))
                result = rig.run_program("check", "--config", server.config)
                self.assertEqual(result.returncode, 1)
                self.assertRegex(result.stderr, regex)

    def test_the_examples_are_short(self):
        for name in ("lookup_system_user.cpp", "transport_mbox.cpp"):
            with open(os.path.join(ROOT, "examples", "plugins", name)) as f:
                self.assertLess(len(f.readlines()), 100, name)


if __name__ == "__main__":
    unittest.main()
