"""The examples of the plugins' READMEs, given to `mansio check` as they stand there: options of the plugin and of the host, the
listeners, routes and tables around them. What a README leaves out, because it is every configuration's, is added."""
import glob
import os
import re
import subprocess
import tomllib
import unittest

import rig

PLUGINS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../plugins")
REST = '''
[transport.rest]
plugin = "transport-discard"
[[route]]
transport = "rest"
'''


def examples(readme):
    with open(readme) as f:
        return re.findall(r"^```toml\n(.*?)^```", f.read(), re.M | re.S)


class Readmes(rig.TestCase):
    def setUp(self):
        super().setUp()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=mx", "-keyout", self.path("key.pem"), "-out", self.path("cert.pem")], check=True,
                       capture_output=True)
        with open(self.path("cert.pem")) as f:
            files = {"hook-ca.pem": f.read()}
        for name in ("hook.token", "hook.secret", "dspam.secret"):
            files[name] = "secret\n"
        files["passwords"] = "alice $6$salt$hash\n"
        files["sasl_passwd"] = "[smtp.provider.example]:587 user@example.com:password\n"
        files["aliases"] = "team@example.com alice@example.com\n"
        for name, text in files.items():
            with open(self.path(name), "w") as f:
                f.write(text)
        for name in (*files, "key.pem", "cert.pem"):
            os.chmod(self.path(name), 0o644)

    def whole(self, example):
        text = example.replace("/etc/mansio", self.dir)
        given = tomllib.loads(text)
        head = 'user = "nobody"\n' if os.geteuid() == 0 else ""  # a table's `user` is another one
        if "listener" not in given:
            text += '[listener.smtp]\nlisten = ["127.0.0.1:{port}"]\n'
        if all(route.keys() & {"recipient", "domain", "sender"} for route in given.get("route", [])):
            text += REST
        return head + text

    def test_every_example_is_a_good_configuration(self):
        seen = {}
        for readme in sorted(glob.glob(os.path.join(PLUGINS, "*", "README.md"))):
            plugin = os.path.basename(os.path.dirname(readme))
            for number, example in enumerate(examples(readme)):
                with self.subTest(plugin=plugin, example=number):
                    server = rig.Mansio(self.dir, self.whole(example), name=f"{plugin}-{number}")
                    checked = rig.run_program("check", "--config", server.config)
                    wrong = [line for line in checked.stderr.splitlines() if not line.endswith("which is not there")]
                    self.assertEqual(wrong, [])
                    seen.setdefault(plugin, []).append(f'plugin = "{plugin}"' in example)
        for file in sorted(glob.glob(os.path.join(rig.PLUGINS, "*.so"))):
            plugin = os.path.basename(file).removesuffix(".so")
            self.assertTrue(any(seen.get(plugin, [])), f"the README of {plugin} has no example of it")


if __name__ == "__main__":
    unittest.main()
