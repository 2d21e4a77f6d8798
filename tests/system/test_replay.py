"""Sessions are recorded by the whole program and replayed: the same script decides the same, one that was changed is told
apart; nothing of AUTH is in a recording; and mail flows where nothing can be recorded."""
import base64
import glob
import json
import os
import stat
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
ingress_processes = 1
%(top)s
[smtpd]
mynetworks = ["127.0.0.0/8"]
record = true
policies = ["judge"]
filters = ["edit"]
auth = "accounts"
sasl_auth_enable = true
tls_auth_only = false
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[lookup.users]
plugin = "lookup-file"
inline = """
alice@mansio.test 1
"""
[lookup.secrets]
plugin = "lookup-file"
inline = """
alice hush-hush
"""
[auth.accounts]
plugin = "lua"
script = "{dir}/accounts.lua"
[policy.judge]
plugin = "lua"
script = "{dir}/judge.lua"
isolation = "%(mode)s"
[filter.edit]
plugin = "lua"
script = "{dir}/edit.lua"
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
JUDGE = '''
local per_client = mansio.window("clients", "1h")
mansio.on("connect", function(session)
  session.meta.number = ("%.0f"):format(per_client:add(session.client_address))
end)
mansio.on("rcpt", function(transaction, rcpt)
  if not mansio.lookup("users", rcpt.address) then return mansio.reject("5.1.1", "no such user") end
  transaction.meta["x.number"] = transaction.session.meta.number
end)
'''
EDIT = '''
mansio.on("end-of-message", function(transaction, message)
  mansio.sleep("5ms")
  message:set_header("Subject", "[" .. transaction.meta["x.number"] .. "] " .. message:header("Subject"))
  if message:text():find("EICAR") then return mansio.hold("a virus") end
end)
'''
ACCOUNTS = '''
mansio.provide("auth", "accounts", {
  check = function(user, password) return mansio.lookup("secrets", user) == password end,
})
'''
PLUGINS = ("lua", "lookup-file", "transport-discard")


class Replay(rig.TestCase):
    def setUp(self):
        super().setUp()
        for name, text in (("judge.lua", JUDGE), ("edit.lua", EDIT), ("accounts.lua", ACCOUNTS)):
            self.write(name, text)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), 0o644)
        return self.path(name)

    def server(self, mode="inproc", top="", name="mansio"):
        return self.mansio(CONFIG % {"mode": mode, "top": top}, plugins=self.plugins(*PLUGINS), name=name)

    def talk(self, server):
        """Two sessions: with AUTH, a recipient that is refused and two messages."""
        for text in ("Subject: one\r\n\r\nbody", "Subject: two\r\n\r\nEICAR \xe4".encode("latin-1")):
            with rig.Client(server.port) as client:
                client.cmd("EHLO client.test")
                secret = base64.b64encode(b"\0alice\0hush-hush").decode()
                self.assertEqual(client.cmd("AUTH PLAIN " + secret)[0], 235)
                client.cmd("MAIL FROM:<a@example.com>")
                self.assertEqual(client.cmd("RCPT TO:<nobody@mansio.test>"), (550, "5.1.1 no such user"))
                client.cmd("RSET")
                client.message("a@example.com", ["alice@mansio.test"], text)
                client.cmd("QUIT")

    def recordings(self, server):
        """The directory, once all is in it."""
        directory = os.path.join(server.spool, "recordings")

        def text():
            found = ""
            for file in glob.glob(directory + "/*.jsonl"):
                with open(file, errors="replace") as f:
                    found += f.read()
            return found

        rig.wait_for(lambda: text().count('"event":"disconnect"') == 2, "both sessions to be recorded")
        return directory, text()

    def test_the_same_scripts_decide_the_same_and_changed_ones_are_told(self):
        for mode in ("inproc", "process"):
            with self.subTest(isolation=mode):
                server = self.server(mode, name=mode)
                self.talk(server)
                directory, text = self.recordings(server)
                server.close()

                self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700)
                for file in glob.glob(directory + "/*"):
                    self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
                for line in text.splitlines():
                    json.loads(line)
                self.assertNotIn("hush", text)
                self.assertNotIn(base64.b64encode(b"\0alice\0hush-hush").decode(), text)
                self.assertIn('"told":["lookup\\tusers\\tnobody@mansio.test\\tnot found"]', text)

                same = rig.run_program("replay", "--config", server.config, directory)
                self.assertEqual(same.returncode, 0, same.stdout + same.stderr)
                self.assertRegex(same.stdout, r"^2 sessions, \d+ decisions, 0 differ\n$")

                changed = self.write("changed.lua", JUDGE.replace('"5.1.1", "no such user"', '"5.7.1", "go away"'))
                result = rig.run_program("replay", "--script", changed, "--as", "policy.judge", directory)
                self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
                self.assertRegex(result.stdout, r" 127\.0\.0\.1 \(policy\.judge\)\n  rcpt nobody@mansio\.test\n"
                                                r"    recorded  550 5\.1\.1 no such user\n"
                                                r"    now       550 5\.7\.1 go away\n")
                self.assertRegex(result.stdout, r"\n2 sessions, \d+ decisions, 2 differ\n$")

                harmless = self.write("harmless.lua", EDIT.replace('return mansio.hold("a virus")', ""))
                result = rig.run_program("replay", "--script", harmless, "--as", "filter.edit", "--json", directory)
                self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
                lines = [json.loads(line) for line in result.stdout.splitlines()]
                self.assertEqual([line["recorded"] for line in lines[:-1]],
                                 ["accept; change_header 1 Subject: [2] two; hold a virus"])
                self.assertEqual([line["now"] for line in lines[:-1]], ["accept; change_header 1 Subject: [2] two"])
                self.assertEqual((lines[-1]["sessions"], lines[-1]["differing"]), (2, 1))
                one = rig.run_program("replay", "--script", harmless, "--as", "filter.edit", "--session",
                                      lines[0]["session"], directory)
                self.assertIn("1 session, ", one.stdout)

                which = rig.run_program("replay", "--script", changed, directory)
                self.assertEqual(which.returncode, 2)
                self.assertIn("several scripts were recorded: filter.edit, policy.judge; --as NAME", which.stderr)

    def test_a_script_can_be_tried_where_none_watched(self):
        config = CONFIG % {"mode": "inproc", "top": ""}
        for line in ('policies = ["judge"]\n', 'filters = ["edit"]\n'):
            config = config.replace(line, "")
        server = self.mansio(config, plugins=self.plugins(*PLUGINS))
        for _ in range(2):
            with rig.Client(server.port) as client:
                client.cmd("EHLO client.test")
                client.message("a@example.com", ["bob@mansio.test"], "Subject: x\r\n\r\nEICAR")
                client.cmd("QUIT")
        directory, _ = self.recordings(server)
        script = self.write("new.lua", '''
            mansio.on("end-of-message", function(transaction, message)
              if message:text():find("EICAR") then return mansio.reject("5.7.1", "a virus") end
            end)''')
        result = rig.run_program("replay", "--script", script, directory)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertEqual(result.stdout.count("    recorded  accept\n    now       550 5.7.1 a virus\n"), 2)

    def test_a_listener_is_recorded_and_another_one_is_not(self):
        other = rig.free_port()
        config = CONFIG % {"mode": "inproc", "top": ""}
        config = config.replace("record = true\n", "").replace(
            'listen = ["127.0.0.1:{port}"]\n',
            'listen = ["127.0.0.1:{port}"]\nrecord = true\n[listener.quiet]\nlisten = ["127.0.0.1:%d"]\n' % other)
        server = self.mansio(config, plugins=self.plugins(*PLUGINS))
        for number in range(2):
            for port, sender in ((other, f"quiet{number}@example.com"), (server.port, f"seen{number}@example.com")):
                with rig.Client(port) as client:
                    client.cmd("EHLO client.test")
                    client.message(sender, ["alice@mansio.test"], f"Subject: from {sender}\r\n\r\nbody")
                    client.cmd("QUIT")
        _, text = self.recordings(server)
        self.assertEqual(len(server.events("accepted")), 4)
        for number in range(2):
            self.assertIn(f"seen{number}@example.com", text)
        self.assertNotIn("quiet", text)
        self.assertEqual(server.stop(), 0)  # and nothing more of the other one is written in the end
        self.assertNotIn("quiet", self.recordings(server)[1])

    def test_mail_flows_where_nothing_can_be_recorded(self):
        self.write("file", "no directory")
        server = self.server(top='record_directory = "{dir}/file"')
        self.talk(server)
        self.talk(server)
        self.assertEqual(len(server.wait_event("accepted", 4)), 4)
        self.assertEqual(len(server.wait_event("sessions are not recorded")), 1)

    def test_what_cannot_be_tried_is_said(self):
        config = rig.Mansio(self.dir, CONFIG % {"mode": "inproc", "top": ""}, plugins=self.plugins(*PLUGINS)).config
        missing = rig.run_program("replay", "--config", config, self.path("missing"))
        self.assertEqual((missing.returncode, missing.stderr), (2, self.path("missing") + " cannot be read\n"))
        other = self.write("other.jsonl", '{"mansio_recording":7}\n')
        result = rig.run_program("replay", "--config", config, other)
        self.assertEqual(result.returncode, 2)
        self.assertIn(other + ": line 1: this is a recording of another version", result.stderr)
        slip = rig.run_program("replay", "--script", self.write("slip.lua", "mansio.onn()"), "--as", "policy.judge", other)
        self.assertEqual(slip.returncode, 2)
        self.assertEqual(rig.run_program("replay", "--config", config).returncode, 64)


if __name__ == "__main__":
    unittest.main()
