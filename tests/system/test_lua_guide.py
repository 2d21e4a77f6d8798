"""docs/lua-guide.md: each of its scripts loads, the dialogue below it happens with a running Mansio, and the tests below it
pass."""
import os
import re
import unittest

import rig

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
[smtpd]
mynetworks = ["127.0.0.2/32"]
filters = ["script"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[lookup.users]
plugin = "lookup-file"
inline = """
alice@mansio.test 1
"""
[filter.script]
plugin = "lua"
script = "%s"
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
TABLE = '''
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[lookup.%s]
plugin = "lua"
script = "%s"
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''


def blocks():
    with open(os.path.join(ROOT, "docs", "lua-guide.md")) as f:
        return re.findall(r"^```(\w*)\n(.*?)^```", f.read(), re.M | re.S)


def scripts():
    """Each script, and its dialogue: [(what is sent, how the answer begins)]."""
    found = []
    for language, text in blocks():
        if language == "lua":
            found.append((text, []))
        elif language == "smtp":
            lines = text.splitlines()
            found[-1][1].extend((sent[2:], answer[2:]) for sent, answer in zip(lines[::2], lines[1::2]))
            assert all(l.startswith("> ") for l in lines[::2]) and all(l.startswith("< ") for l in lines[1::2]), text
    return found


def tests():
    """The tests that the guide shows: [(the script above, the test)]."""
    found, script = [], ""
    for language, text in blocks():
        if language == "lua":
            script = text
        elif language == "luatest":
            found.append((script, text))
    return found


class LuaGuide(rig.TestCase):
    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), 0o644)
        return self.path(name)

    def test_its_scripts_do_what_it_says(self):
        plugins = self.plugins("lua", "lookup-file", "transport-discard")
        talked = 0
        for number, (text, dialogue) in enumerate(scripts()):
            with self.subTest(script=text.splitlines()[0]):
                script = self.write(f"{number}.lua", text)
                if not dialogue:
                    name = re.search(r'mansio\.provide\("lookup", "(\w+)"', text)[1]
                    server = rig.Mansio(self.dir, TABLE % (name, script), plugins=plugins, name=f"table{number}")
                    result = rig.run_program("check", "--config", server.config)
                    self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                    self.assertEqual(rig.run_program("lookup", "--config", server.config, name, "ceo@a.test").stdout, "gold\n")
                    self.assertEqual(rig.run_program("lookup", "--config", server.config, name, "a@a.test").returncode, 1)
                    continue
                server = self.mansio(CONFIG % script, plugins=plugins, name=f"script{number}")
                with rig.Client(server.port) as client:
                    for sent, expected in dialogue:
                        code, answer = client.cmd(sent.replace("\\r\\n", "\r\n"))
                        self.assertTrue(f"{code} {answer}".startswith(expected), (sent, code, answer, server.log_text()[-2000:]))
                talked += 1
                server.close()
                server.process = None
        self.assertGreaterEqual(talked, 7)

    def test_its_tests_pass(self):
        self.assertEqual(len(tests()), 1)
        for script, test in tests():
            self.write("policy.lua", script)
            self.write("policy_test.lua", test)
            result = rig.run_program("lua", "test", self.dir)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertIn("\n3 passed, 0 failed, 1 file, ", result.stdout)
            # What it says of a failure: the script takes every recipient.
            self.write("policy.lua", script.replace("if not user(", "if false and not user("))
            result = rig.run_program("lua", "test", self.path("policy_test.lua"))
            shown = [text for _, text in blocks() if "failed: policy_test.lua" in text][0]
            said = result.stdout.replace(self.dir + "/", "")
            for line in shown.splitlines()[:3]:
                self.assertIn(line + "\n", said)

    def test_its_configuration_is_one(self):
        script = self.write("policy.lua", scripts()[0][0])
        tables = "".join(text for language, text in blocks() if language == "toml")
        config = tables.replace("/etc/mansio/policy.lua", script) + '''
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
        server = rig.Mansio(self.dir, config, plugins=self.plugins("lua", "transport-discard"))
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()
