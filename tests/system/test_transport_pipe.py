"""transport-pipe in the whole program, inside the sandbox: what real programs get, what their ends mean for the mail, and
that one that hangs harms nothing but its own message."""
import base64
import os
import pwd
import re
import shutil
import subprocess
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
%s
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[transport.pipe]
plugin = "transport-pipe"
argv = "{dir}/command ${sender} ${recipient} ${queue_id}"
directory = "{dir}/work"
isolation = "%s"
%s
[transport.relay]
plugin = "transport-smtp"
[[route]]
domain = ["pipe.example"]
transport = "pipe"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 1
'''


class TransportPipe(rig.TestCase):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("work"))
        os.chmod(self.path("work"), 0o777)
        self.relay = self.peer()

    def command(self, text):
        """Replaced by rename: one that runs goes on as it is."""
        with open(self.path("command.new"), "w") as f:
            f.write("#!/bin/sh\n" + text)
        os.chmod(self.path("command.new"), 0o755)
        os.rename(self.path("command.new"), self.path("command"))

    def config(self, options="", isolation="inproc", head=""):
        # Where options have a `user` of their own, rig.py takes it for the program's.
        if os.geteuid() == 0 and "user =" in options and not head:
            head = 'user = "nobody"'
        return CONFIG % (head, isolation, options, self.relay.port)

    def start(self, options="", isolation="inproc"):
        return self.mansio(self.config(options, isolation), plugins=self.plugins("transport-pipe", "transport-smtp"),
                           name=f"mansio{len(os.listdir(self.dir))}")

    def send(self, server, *recipients):
        with rig.Client(server.port) as client:
            client.cmd("EHLO test")
            return client.message("a@sender.example", recipients or ["bob@pipe.example"], "Subject: x\r\n\r\n..hello")

    def work(self, name):
        with open(self.path("work", name)) as f:
            return f.read()

    def test_a_program_gets_message_and_envelope_and_no_descriptor_of_ours(self):
        self.command('printf "%s " "$@" > args\ncat > message\nls /proc/self/fd > descriptors\nenv > environment\n')
        for isolation in ("inproc", "process"):
            with self.subTest(isolation=isolation):
                server = self.start(isolation=isolation)
                self.send(server, "bob@pipe.example", "amy@pipe.example")
                line = server.wait_event("delivery", transport="pipe", count=2)[0]
                self.assertEqual((line["status"], line["relay"]), ("sent", "pipe"))
                self.assertEqual(self.work("args"), f"a@sender.example bob@pipe.example amy@pipe.example {line['qid']} ")
                message = self.work("message")
                self.assertTrue(message.startswith("Received: "), message)
                self.assertTrue(message.endswith("Subject: x\n\n.hello\n"), message)
                self.assertEqual(self.work("descriptors").split(), ["0", "1", "2", "3"])  # the last is ls's own
                variables = {line.split("=")[0] for line in self.work("environment").splitlines()}
                self.assertLessEqual(variables, {"PATH", "PWD", "_", "OLDPWD", "SHLVL"})
                server.close()

    def test_exit_statuses_and_output_decide_about_the_mail(self):
        self.command('cat > /dev/null\ncase $2 in\n  unknown@*) echo who is that; exit 67;;\n'
                     '  full@*) echo 5.2.2 mailbox full; exit 1;;\n  once@*) test -e seen || { > seen; exit 75; };;\nesac\n')
        server = self.start()
        for user in ("unknown", "full", "once", "bob"):
            self.send(server, user + "@pipe.example")
        server.wait_event("delivery", to="once@pipe.example", status="sent")
        self.assertEqual(server.deliveries(to="once@pipe.example")[0]["status"], "deferred")
        unknown = server.wait_event("delivery", to="unknown@pipe.example")[0]
        self.assertEqual((unknown["status"], unknown["dsn"]), ("bounced", "5.1.1"))
        self.assertIn("who is that", unknown["text"])
        full = server.wait_event("delivery", to="full@pipe.example")[0]
        self.assertEqual((full["status"], full["dsn"], full["text"]), ("bounced", "5.2.2", "mailbox full"))
        # Of trouble with our own programs, as 4.3.0 may be, the postmaster hears besides.
        def bounces():
            return [m.content for m in self.relay.messages if m.recipients == ["a@sender.example"]]
        rig.wait_for(lambda: len(bounces()) == 2, "two bounces")
        self.assertIn(b"who is that", b"".join(bounces()))
        rig.wait_for(lambda: server.queue() == [], "an empty queue")

    def test_a_program_that_hangs_is_killed_and_its_mail_tried_again(self):
        self.command('case $2 in hang@*)\n  test -e once || { echo $$ > once; sleep 1000; };;\nesac\ncat > /dev/null\n')
        server = self.start('command_time_limit = "3s"')
        self.send(server, "hang@pipe.example")
        self.send(server, "bob@pipe.example")
        server.wait_event("delivery", to="bob@pipe.example", status="sent")
        server.wait_event("delivery", to="hang@pipe.example", status="sent")
        first = server.deliveries(to="hang@pipe.example")[0]
        self.assertEqual((first["status"], first["uncertain"]), ("deferred", True))
        self.assertIn("time limit", first["text"])
        self.assertFalse(os.path.exists(f"/proc/{self.work('once').strip()}"))

    def test_a_command_ends_with_the_process_that_started_it(self):
        self.command('echo $$ > pid.new; mv pid.new pid; sleep 1000\n')
        server = self.start()
        self.send(server)
        rig.wait_for(lambda: os.path.exists(self.path("work", "pid")), "the command")
        pid = int(self.work("pid"))
        self.command("cat > /dev/null\n")
        egress = server.pids("egress.pipe")[0]
        os.kill(egress, 9)

        def gone():  # or a zombie, which an orphan stays where nobody reaps
            try:
                with open(f"/proc/{pid}/stat") as f:
                    return f.read().rsplit(")", 1)[1].split()[0] == "Z"
            except rig.GONE:
                return True
        rig.wait_for(gone, "the end of the command")
        server.wait_event("delivery", to="bob@pipe.example", status="sent")

    def test_a_program_hears_as_whom_the_client_has_authenticated(self):
        self.command('cat > /dev/null\nprintf "%s|" "$@" > args.new; mv args.new args\n')
        made = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True, capture_output=True, text=True)
        config = self.config().replace("${queue_id}", "${sasl_method} ${sasl_username} ${sasl_sender}").replace(
            "listen = ", 'sasl_auth_enable = true\ntls_auth_only = false\nauth = "users"\nlisten = ')
        config += f'''
[auth.users]
plugin = "auth-table"
table = "users"
[lookup.users]
plugin = "lookup-file"
inline = """
alice {made.stdout.strip()}
"""
'''
        for isolation in ("inproc", "process"):
            with self.subTest(isolation=isolation):
                server = self.mansio(config.replace('"inproc"', f'"{isolation}"'), name="auth-" + isolation)
                with rig.Client(server.port) as client:
                    client.cmd("EHLO test")
                    self.assertEqual(client.cmd("AUTH PLAIN " + base64.b64encode(b"\0alice\0secret").decode())[0], 235)
                    client.message("a@sender.example", ["bob@pipe.example"], "Subject: x\r\n\r\nx", args=" AUTH=c+40sender.example")
                server.wait_event("delivery", transport="pipe", status="sent")
                self.assertEqual(self.work("args"), "a@sender.example|bob@pipe.example|PLAIN|alice|c@sender.example|")
                self.send(server, "amy@pipe.example")  # of one who has not
                server.wait_event("delivery", to="amy@pipe.example", status="sent")
                self.assertEqual(self.work("args"), "a@sender.example|amy@pipe.example||||")
                server.close()

    def test_where_it_is_root_a_program_has_a_user_and_a_root_directory_of_its_own(self):
        self.assertEqual(os.geteuid(), 0, "this test must be run by root: nobody else can change user and root directory")
        os.makedirs(self.path("jail", "work"))
        os.chmod(self.path("jail", "work"), 0o777)
        programs = [shutil.which(name) for name in ("sh", "cat", "id")]
        linked = subprocess.run(["ldd", *programs], check=True, capture_output=True, text=True).stdout
        for file in {*programs, *re.findall(r"(/\S+)(?= \(0x)", linked)}:
            os.makedirs(self.path("jail") + os.path.dirname(file), exist_ok=True)
            shutil.copy(file, self.path("jail") + file)
        with open(self.path("jail", "command"), "w") as f:
            f.write(f"#!{programs[0]}\ncat > message\nid -u > user\npwd > where\ntest -e {self.dir} && exit 1\nexit 0\n")
        os.chmod(self.path("jail", "command"), 0o755)
        for isolation in ("inproc", "process"):
            with self.subTest(isolation=isolation):
                config = self.config('user = "nobody"\nchroot = "{dir}/jail"', isolation, 'user = "root"').replace(
                    "{dir}/command", "/command").replace("{dir}/work", "/work")
                server = self.mansio(config, plugins=self.plugins("transport-pipe", "transport-smtp"), name="root-" + isolation)
                self.send(server, "bob@pipe.example")
                self.send(server, "amy@pipe.example")
                server.wait_event("delivery", 2, transport="pipe", status="sent")
                with open(self.path("jail", "work", "user")) as f:
                    self.assertEqual(f.read().strip(), str(pwd.getpwnam("nobody").pw_uid))
                with open(self.path("jail", "work", "where")) as f:
                    self.assertEqual(f.read().strip(), "/work")
                shutil.rmtree(self.path("jail", "work"))
                os.mkdir(self.path("jail", "work"))
                os.chmod(self.path("jail", "work"), 0o777)
                server.close()

    def test_a_root_directory_is_refused_where_nobody_can_change_it(self):
        self.command("cat > /dev/null\n")
        server = rig.Mansio(self.dir, self.config('chroot = "/"'))
        server.start(wait=False)
        self.addCleanup(rig.end_process, server.process)
        self.assertNotEqual(server.process.wait(rig.LIMIT), 0)
        self.assertRegex(server.log_text(), r'chroot is ..?/..?, but this process runs as user [0-9]+')

    def test_another_user_is_refused_at_the_start(self):
        self.command("cat > /dev/null\n")
        other = next(u.pw_name for u in pwd.getpwall() if u.pw_uid not in (0, os.geteuid(), pwd.getpwnam("nobody").pw_uid))
        server = rig.Mansio(self.dir, self.config(f'user = "{other}"'))
        server.start(wait=False)
        self.addCleanup(rig.end_process, server.process)
        self.assertNotEqual(server.process.wait(rig.LIMIT), 0)
        self.assertRegex(server.log_text(), f'user is ..?{other}..?, but this process runs as user [0-9]+')

    def test_bad_options_are_refused_with_file_and_line(self):
        self.command("cat > /dev/null\n")
        server = rig.Mansio(self.dir, self.config('flags = "Z"').replace("${recipient}", "${sasl_user}"))
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r'mansio\.toml:\d+: .*flags is "Z", expected letters out of')
        self.assertRegex(result.stderr, r'argv has the macro \$\{sasl_user\}, expected one of')


if __name__ == "__main__":
    unittest.main()
