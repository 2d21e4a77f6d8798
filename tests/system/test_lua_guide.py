"""docs/lua-guide.md: each of its scripts loads, the dialogue and the deliveries below it happen with a running Mansio, mail
goes by its rates and is told of, the tests below it pass, and what its commands print is what they print."""
import http.server
import json
import os
import re
import smtplib
import socketserver
import sqlite3
import subprocess
import threading
import unittest

import rig

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
[smtpd]
mynetworks = ["127.0.0.2/32"]
filters = [%s]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
tls_security_level = "may"
tls_cert_file = "{dir}/cert.pem"
tls_key_file = "{dir}/key.pem"
[lookup.users]
plugin = "lookup-file"
inline = """
alice@mansio.test 1
"""
%s[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
FILTER = '''[filter.%s]
plugin = "lua"
script = "%s"
allow = ["connect", "http", "redis", "sqlite"]
directory = "{dir}"
isolation = "%s"
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
TRANSPORT = '''
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.%s]
plugin = "lua"
script = "%s"
allow = ["http"]
[[route]]
transport = "%s"
'''
AUTH = '''
myhostname = "mx.mansio.test"
[listener.smtp]
listen = ["127.0.0.1:{port}"]
auth = "%s"
sasl_auth_enable = true
tls_auth_only = false
error_sleep_time = 0
[auth.%s]
plugin = "lua"
script = "%s"
allow = ["http"]
[lookup.secrets]
plugin = "lookup-file"
inline = """
alice secret
"""
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
RATE = '''
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[rate.%s]
plugin = "lua"
script = "%s"
[transport.discard]
plugin = "transport-discard"
transport_rate_limit = "60/m"
transport_rate_plugin = "%s"
[[route]]
transport = "discard"
'''
QUEUE = '''
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[policy.traffic]
plugin = "lua"
script = "%s"
isolation = "process"
[queue]
policies = ["traffic"]
[transport.discard]
plugin = "transport-discard"
[transport.bulk]
plugin = "transport-discard"
text = "by bulk"
[[route]]
transport = "discard"
'''
EVENT = '''
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[event.reports]
plugin = "lua"
script = "%s"
allow = ["http"]
[transport.error]
plugin = "transport-error"
[[route]]
transport = "error"
nexthop = "5.1.2 this domain has moved"
'''


# Of a block, and what becomes of it: each is run, or compared with what is printed.
LANGUAGES = {"lua", "smtp", "delivery", "toml", "luatest", "runner", "diff", "sh", "replay", "check", "repl", "call",
             "option", "name"}


def blocks():
    with open(os.path.join(ROOT, "docs", "lua-guide.md")) as f:
        return re.findall(r"^```([^\n]*)\n(.*?)^```$", f.read(), re.M | re.S)


def only(language):
    """The only block of that language."""
    text, = [text for name, text in blocks() if name == language]
    return text


def scripts():
    """Each script, its dialogue: [(what is sent, how the answer begins)], and its deliveries: [(recipient, status, text)]."""
    found = []
    for language, text in blocks():
        if language == "lua":
            found.append((text, [], []))
        elif language == "delivery":
            found[-1][2].extend(line.split(" ", 2) for line in text.splitlines())
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


class Judge(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline().decode()
        self.wfile.write(b"bad\r\n" if line == "sender bad@example.com\n" else b"good\r\n")


class Check(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        sender = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["sender"]
        body = json.dumps({"refuse": "not today"} if sender.startswith("bad@") else {}).encode()
        self.send_response(503 if sender.startswith("away@") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Mailboxes(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b"stored"
        self.send_response({"/nobody": 404, "/busy": 503}.get(self.path, 200))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Accounts(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = (question["user"], question["password"]) == ("alice", "secret") and question["address"] == "127.0.0.1"
        body = b"who are you?"
        self.send_response(503 if question["user"] == "away" else 200 if known else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Reports(http.server.BaseHTTPRequestHandler):
    seen = []

    def do_POST(self):
        self.seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class LuaGuide(rig.TestCase):
    def serve(self, handler):
        """Its port."""
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_address[1]

    def certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=mx", "-keyout", self.path("key.pem"), "-out", self.path("cert.pem")], check=True,
                       capture_output=True)

    def peers(self):
        """What the guide's scripts ask: {as it is written there: as it is here}."""
        redis = rig.free_port()
        self.spawn(["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                    "--dir", self.dir], stdout=subprocess.DEVNULL)
        rig.wait_for_port(redis)
        self.certificate()
        database = self.path("users.db")
        with sqlite3.connect(database) as db:
            db.execute("CREATE TABLE users (address TEXT PRIMARY KEY, quota INTEGER)")
            db.executemany("INSERT INTO users VALUES (?, ?)", [("alice@mansio.test", 1), ("full@mansio.test", 0)])
        db.close()
        os.chmod(database, 0o644)
        return {"127.0.0.1:10040": f"127.0.0.1:{self.serve(Judge)}", "127.0.0.1:8080": f"127.0.0.1:{self.serve(Check)}",
                "127.0.0.1:8081": f"127.0.0.1:{self.serve(Mailboxes)}",
                "127.0.0.1:8082": f"127.0.0.1:{self.serve(Accounts)}", "127.0.0.1:8083": f"127.0.0.1:{self.serve(Reports)}",
                "127.0.0.1:6379": f"127.0.0.1:{redis}", "/etc/mansio/users.db": database}

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), 0o644)
        return self.path(name)

    def test_its_scripts_do_what_it_says(self):
        plugins = self.plugins("lua", "lookup-file", "transport-discard", "transport-error")
        peers = self.peers()
        talked = delivered = 0
        others = set()
        for number, (text, dialogue, deliveries) in enumerate(scripts()):
            with self.subTest(script=text.splitlines()[0]):
                for there, here in peers.items():
                    text = text.replace(there, here)
                script = self.write(f"{number}.lua", text)
                kind, name = (re.findall(r'mansio\.provide\("(\w+)", "(\w+)"', text) or [("", "")])[0]
                if kind == "auth":
                    self.authenticate(name, script, dialogue, plugins)
                    others.add(name)
                    continue
                if kind == "rate":
                    self.limit(name, script, plugins)
                    others.add(name)
                    continue
                if 'mansio.on("route"' in text:
                    self.queue(script, deliveries, plugins)
                    others.add("traffic")
                    continue
                if not kind and not dialogue:
                    self.report(script, plugins)
                    others.add("reports")
                    continue
                if deliveries:
                    self.deliver(text, script, deliveries, plugins)
                    delivered += 1
                    continue
                if not dialogue:
                    self.assertEqual(kind, "lookup")
                    server = rig.Mansio(self.dir, TABLE % (name, script), plugins=plugins, name=f"table{number}")
                    result = rig.run_program("check", "--config", server.config)
                    self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                    self.assertEqual(rig.run_program("lookup", "--config", server.config, name, "ceo@a.test").stdout, "gold\n")
                    self.assertEqual(rig.run_program("lookup", "--config", server.config, name, "a@a.test").returncode, 1)
                    continue
                names = re.findall(r'mansio\.provide\("filter", "(\w+)"', text) or ["script"]
                isolation = "process" if "mansio.state_directory" in text else "inproc"
                filters = "".join(FILTER % (name, script, isolation) for name in names)
                config = CONFIG % (", ".join(f'"{name}"' for name in names), filters)
                server = self.mansio(config, plugins=plugins, name=f"script{number}")
                self.talk(server, dialogue)
                talked += 1
                if "mansio.submit" in text:
                    server.wait_event("delivery", to="postmaster@mansio.test", status="sent")
                if "mansio.command" in text:
                    self.call(server)
                server.close()
        self.assertGreaterEqual(talked, 12)
        self.assertGreaterEqual(delivered, 1)
        self.assertEqual(others, {"accounts", "cram", "hours", "reports", "traffic"})

    def talk(self, server, dialogue):
        with rig.Client(server.port) as client:
            for sent, expected in dialogue:
                code, answer = client.cmd(sent.replace("\\r\\n", "\r\n"))
                self.assertTrue(f"{code} {answer}".startswith(expected), (sent, code, answer, server.log_text()[-2000:]))

    def call(self, server):
        """As the guide calls it; then for the client that the test is."""
        command = only("call").split()
        self.assertEqual(command[:3], ["mansio", "plugin", "call"])
        self.assertEqual(command[3], "policy.script")
        for address in (command[-1], "127.0.0.1"):
            result = rig.run_program("plugin", "call", "--config", server.config, "filter.script", *command[4:-1], address)
            self.assertEqual((result.returncode, "blocked" in result.stdout), (0, True), result.stdout + result.stderr)
        with rig.Client(server.port, greet=False) as client:
            code, text = client.reply()
            self.assertEqual((code // 100, "not today" in text), (5, True), text)

    def authenticate(self, name, script, dialogue, plugins):
        server = self.mansio(AUTH % (name, name, script), plugins=plugins, name=f"auth-{name}")
        self.talk(server, dialogue)
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            self.assertEqual(client.login("alice", "secret")[0], 235)
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            self.assertRaises(smtplib.SMTPAuthenticationError, client.login, "alice", "wrong")
        self.assertNotIn("secret", server.log_text().replace("secrets", ""))
        server.close()

    def limit(self, name, script, plugins):
        server = self.mansio(RATE % (name, script, name), plugins=plugins, name=f"rate-{name}")
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.example")
            for i in range(5):
                client.message("a@example.com", [f"{i}@mansio.test"], "Subject: x\r\n\r\nbody")
        server.wait_event("delivery", 5, status="sent")
        server.close()

    def report(self, script, plugins):
        server = self.mansio(EVENT % script, plugins=plugins, name="event")
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.example")
            client.message("", ["alice@mansio.test"], "Subject: x\r\n\r\nbody")  # no bounce
        line = server.wait_event("delivery", to="alice@mansio.test")[0]
        reports = rig.wait_for(lambda: list(Reports.seen), "the report")
        self.assertEqual(reports, [{"id": line["qid"], "recipient": "alice@mansio.test", "status": line["dsn"],
                                    "why": line["text"]}])
        server.close()

    def queue(self, script, deliveries, plugins):
        server = self.mansio(QUEUE % script, plugins=plugins, name="queue")
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.example")
            client.message("a@example.com", [recipient for recipient, _, _ in deliveries], "Subject: x\r\n\r\nbody")
            client.message("letter@news.example", ["carol@mansio.test"], "Subject: x\r\n\r\nbody")
        for recipient, status, said in deliveries:
            line = server.wait_event("delivery", to=recipient)[0]
            self.assertEqual((line["status"], line["text"]), (status, said))
        self.assertEqual(server.wait_event("delivery", to="carol@mansio.test")[0]["text"], "by bulk")
        server.close()

    def deliver(self, text, script, deliveries, plugins):
        name = re.search(r'mansio\.provide\("transport", "(\w+)"', text)[1]
        server = self.mansio(TRANSPORT % (name, script, name), plugins=plugins, name=f"transport-{name}")
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.example")
            client.message("", [recipient for recipient, _, _ in deliveries], "Subject: x\r\n\r\nbody")  # no bounces
        for recipient, status, said in deliveries:
            line = server.wait_event("delivery", to=recipient)[0]
            self.assertEqual((line["status"], line["text"]), (status, said))
        server.close()

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
            self.assertEqual(result.returncode, 1)
            said = re.sub(r"\S*/policy_test\.lua", "policy_test.lua", result.stdout)
            self.assertEqual(*[re.sub(r"[\d.]+ s$", "s", text.strip()) for text in (only("runner"), said)])

    def test_its_replay_tells_of_the_change(self):
        script, dialogue = [(text, dialogue) for text, dialogue, _ in scripts() if "policy_refused" in text][0]
        change = only("diff").splitlines()
        self.assertEqual(script.count(change[0][1:] + "\n"), 1)
        old = self.write("policy.lua", script)
        new = self.write("policy-new.lua", script.replace(change[0][1:], change[1][1:]))
        self.certificate()
        server = self.mansio(CONFIG.replace("[smtpd]", "[smtpd]\nrecord = true") % ('"script"', FILTER % ("script", old, "inproc")),
                             plugins=self.plugins("lua", "lookup-file", "transport-discard"))
        self.talk(server, dialogue)
        recordings = os.path.join(server.spool, "recordings")

        def ended():
            text = ""
            for name in os.listdir(recordings) if os.path.isdir(recordings) else []:
                with open(os.path.join(recordings, name)) as f:
                    text += f.read()
            return '"event":"disconnect"' in text

        rig.wait_for(ended, "the session to be recorded")
        command = only("sh").split()
        self.assertEqual(command[0], "mansio")
        there = {"policy-new.lua": new, "/var/spool/mansio/recordings": recordings}
        self.assertTrue(set(there) <= set(command), command)
        result = rig.run_program(*[there.get(word, word) for word in command[1:]])
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        shown = only("replay").splitlines()
        said = result.stdout.splitlines()
        self.assertEqual((len(said), said[2:]), (len(shown), shown[2:]))
        self.assertTrue(said[1].startswith("  message "), said)
        self.assertEqual(rig.run_program("replay", "--script", old, recordings).returncode, 0)

    def test_it_has_no_block_that_nobody_runs(self):
        found = blocks()
        self.assertEqual({language for language, _ in found} - LANGUAGES, set())
        with open(os.path.join(ROOT, "docs", "lua-guide.md")) as f:
            self.assertEqual(sum("```" in line for line in f), 2 * len(found))

    def test_its_slips_are_told(self):
        text = scripts()[0][0]
        shown = [block for language, block in blocks() if language == "check"]
        slips = [('"rcpt"', '"rctp"'), ("return mansio.reject", "mansio.reject")]
        self.assertEqual(len(shown), len(slips))
        for (good, slip), expected in zip(slips, shown):
            self.assertEqual(text.count(good), 1)
            result = rig.run_program("lua", "check", self.write("policy.lua", text.replace(good, slip)))
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            said = re.sub(r"\S*/policy\.lua", "/etc/mansio/policy.lua", result.stderr)
            self.assertEqual(said.split(), expected.split())

    def test_a_wrong_name_is_told(self):
        script = self.write("users.lua", 'mansio.provide("lookup", "usres", {lookup = function() end})\n')
        server = rig.Mansio(self.dir, rig.relay_config(1) + f'[lookup.users]\nplugin = "lua"\nscript = "{script}"\n',
                            plugins=self.plugins("lua", "transport-smtp"))
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 1)
        self.assertIn(only("name").strip(), result.stderr.replace(script, "/etc/mansio/users.lua"))

    def test_an_option_that_is_not_given_is_told(self):
        script = self.write("limits.lua", 'mansio.option("key", {required = true, description = "what hashes are made with"})\n'
                            'mansio.on("connect", function() end)\n')
        result = rig.run_program("lua", "check", script)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertEqual(result.stderr.replace(script, "/etc/mansio/limits.lua"), only("option"))
        given = rig.run_program("lua", "check", "--setting", "key=a,b", script)
        self.assertEqual((given.returncode, given.stdout), (0, f"{script}: good\n"), given.stderr)

    def test_its_session_of_the_repl_goes_so(self):
        lines = only("repl").splitlines()
        typed = [line.split(" ", 1)[1] for line in lines if line.startswith(">")]
        printed = [line for line in lines if not line.startswith(">")]
        self.assertTrue(typed and printed)
        result = rig.run_program("lua", "repl", input="\n".join(typed) + "\n")
        self.assertEqual((result.returncode, result.stdout.splitlines()), (0, printed), result.stderr)

    def test_its_configuration_is_one(self):
        script = self.write("policy.lua", scripts()[0][0])
        tables = "".join(text for language, text in blocks() if language == "toml")
        # Those that have to be for what the table is have the script that goes with it.
        for name, call in (("limits", "mansio.option("), ("accounts", 'mansio.provide("auth", "accounts"'),
                           ("hours", 'mansio.provide("rate", "hours"'), ("bounces", 'mansio.on("bounced"')):
            text = next(text for text, _, _ in scripts() if call in text)
            tables = tables.replace(f"/etc/mansio/{name}.lua", self.write(f"{name}.lua", text))
        config = re.sub(r"/etc/mansio/\w+\.lua", script, tables).replace('"/etc/mansio"', f'"{self.dir}"') + '''
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
