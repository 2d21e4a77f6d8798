"""docs/plugin-guide.md, followed literally: its commands build what they should against an SDK installed for the test, its
code compiles or stands in the examples, its configurations pass the check, and they do what it says."""
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib
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


def guide():
    with open(os.path.join(ROOT, "docs", "plugin-guide.md")) as f:
        return f.read()


def blocks(text):
    """[(language, text)]"""
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.M | re.S)


def section(title):
    """Of the guide: its blocks."""
    return blocks(guide().split(f"\n## {title}\n")[1].split("\n## ")[0])


def programs():
    """{name of the plugin: code} of the blocks that are whole ones, and the other blocks of code."""
    whole, parts = {}, []
    for language, text in blocks(guide()):
        if language != "cpp":
            continue
        if re.search(r"^MANSIO_\w+_PLUGIN\(", text, re.M):
            whole[re.search(r'Info info{"([^"]+)"', text)[1]] = text
        else:
            parts.append(text)
    return whole, parts


class PluginGuide(rig.TestCase):
    """What the guide's commands build is built once for all tests, in a directory that looks like a tree of Mansio where the
    commands look."""

    @classmethod
    def setUpClass(cls):
        cls.built = tempfile.mkdtemp(prefix="mansio-test-")
        cls.addClassCleanup(shutil.rmtree, cls.built, ignore_errors=True)
        cls.said = {}
        os.chmod(cls.built, 0o755)
        for name in ("prefix", "plugins", "tree", "tree/build", "bin"):
            os.mkdir(os.path.join(cls.built, name))
        os.symlink(BUILD, os.path.join(cls.built, "tree/build/release"))
        for name in ("examples", "sdk", "plugins"):
            os.symlink(os.path.join(ROOT, name), os.path.join(cls.built, "tree", name))
        os.symlink(rig.MANSIO, os.path.join(cls.built, "bin/mansio"))
        shutil.copy(os.path.join(rig.PLUGINS, "transport-discard.so"), os.path.join(cls.built, "plugins"))

    def of_all(self, *names):
        return os.path.join(self.built, *names)

    def plugins(self, *names):
        assert not names, names
        return self.of_all("plugins")

    def build(self, commands, env=()):
        """What they said, now or when another test had them run."""
        key = commands, tuple(env)
        if key not in self.said:
            env = dict(os.environ, PREFIX=self.of_all("prefix"), PLUGIN_DIR=self.plugins(),
                       PATH=self.of_all("bin") + ":" + os.environ["PATH"], **dict(env))
            done = subprocess.run(["sh", "-ec", commands], cwd=self.of_all("tree"), env=env, capture_output=True, text=True,
                                  timeout=8 * rig.LIMIT)
            self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-6000:])
            self.said[key] = done.stdout
        return self.said[key]

    def test_the_examples_build_pass_the_check_and_work(self):
        (_, commands), (_, tables) = section("Two whole plugins")
        said = self.build(commands)
        self.assertEqual(said.count(" keeps the rules\n"), 2)

        os.mkdir(self.path("mail"))
        os.chmod(self.path("mail"), 0o777)
        server = self.mansio(CONFIG % tables.replace("/var/mail", self.path("mail")), plugins=self.plugins())
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
                server = rig.Mansio(self.dir, CONFIG % tables.replace(*change), plugins=self.plugins())
                result = rig.run_program("check", "--config", server.config)
                self.assertEqual(result.returncode, 1)
                self.assertRegex(result.stderr, regex)

    def test_a_plugin_begun_as_it_says_passes(self):
        ((_, commands),) = section("Begin")
        self.build('cmake --install build/release --prefix "$PREFIX" --component sdk')
        said = self.build(commands, [("CMAKE_PREFIX_PATH", self.of_all("prefix"))])
        self.assertIn("100% tests passed", said)
        self.assertIn(" keeps the rules\n", said)

    def compile_all(self):
        """Into the plugin directory: the whole programs of the guide by its own command, and the examples."""
        (_, commands), _ = section("Two whole plugins")
        self.build(commands)
        command = next(text for language, text in section("A transport in thirty lines") if language == "sh")
        self.build(command)
        self.assertTrue(os.path.exists(self.of_all("tree", "transport-discard.so")))
        whole, _ = programs()
        for name, code in whole.items():
            with open(self.of_all(name + ".cpp"), "w") as f:
                f.write(code)
            mine = command.replace("plugins/transport-discard/transport_discard.cpp", shlex.quote(self.of_all(name + ".cpp")))
            mine = mine.replace("transport-discard.so", shlex.quote(os.path.join(self.plugins(), name + ".so")))
            self.build(mine.replace("g++ ", "g++ -Wall -Wextra -Werror "))

    def test_its_code_compiles_or_stands_in_an_example(self):
        self.compile_all()
        whole, parts = programs()
        self.assertEqual(sorted(whole), ["auth-one", "event-count", "lookup-copies", "lookup-counts", "lookup-provider",
                                         "lookup-shout", "policy-quota", "policy-traffic", "rate-thrifty"])
        folder = os.path.join(ROOT, "examples", "plugins")
        examples = ""
        for name in os.listdir(folder):
            with open(os.path.join(folder, name)) as f:
                examples += f.read()
        self.assertEqual(len(parts), 2)
        for part in parts:
            self.assertIn(part, examples)

    def around(self, given):
        """What the guide leaves out around a fragment: a listener, and a way for mail that no route of the fragment matches."""
        more = ""
        if "listener" not in given:
            more += '[listener.smtp]\nlisten = ["127.0.0.1:{port}"]\n'
        if all(route.keys() & {"recipient", "domain", "sender"} for route in given.get("route", [])):
            more += '[transport.rest]\nplugin = "transport-discard"\n[[route]]\ntransport = "rest"\n'
        return more

    def test_its_configurations_pass_the_check(self):
        self.compile_all()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=mx", "-keyout", self.path("key.pem"), "-out", self.path("cert.pem")], check=True,
                       capture_output=True)
        with open(self.path("password"), "w") as f:
            f.write("secret\n")
        for name in ("key.pem", "password"):
            os.chmod(self.path(name), 0o644)
        tables = [text for language, text in blocks(guide()) if language == "toml"]
        self.assertGreaterEqual(len(tables), 7)
        for number, text in enumerate(tables):
            with self.subTest(text):
                config = text.replace("/etc/mansio", self.dir).replace("/var/mail", self.dir)
                config += self.around(tomllib.loads(config))
                server = rig.Mansio(self.dir, config, name=str(number), plugins=self.plugins())
                result = rig.run_program("check", "--config", server.config)
                self.assertEqual(result.returncode, 0, result.stderr)
                if "[lookup.loud]" in config:
                    self.assertEqual(server.cli("lookup", "loud", "KEY"), "KEY!!\n")

    def test_the_examples_are_short(self):
        folder = os.path.join(ROOT, "examples", "plugins")
        sources = [name for name in os.listdir(folder) if name.endswith(".cpp")]
        self.assertEqual(len(sources), 4)
        for name in sources:
            with open(os.path.join(folder, name)) as f:
                self.assertLess(len(f.readlines()), 100, name)


if __name__ == "__main__":
    unittest.main()
