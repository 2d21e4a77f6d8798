"""filter-pipe in the whole program: a program's verdict and its edits reach the client and the next hop."""
import contextlib
import os
import pwd
import re
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
%s
[smtpd]
mynetworks = ["127.0.0.0/8"]
filters = ["script"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[filter.script]
plugin = "filter-pipe"
isolation = "%s"
command = ["%s", "--flag"]
%s
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:%d"
'''
SCRIPT = '''#!/bin/sh
test "$1" = --flag || exit 1
message=$(cat)
case $message in
  *virus*) echo "a virus from $SENDER" >&2; exit 69 ;;
  *broken*) exit 1 ;;
esac
printf 'X-Checked: %s\\n%s\\n' "$QUEUE_ID" "$message"
'''


class FilterPipe(rig.TestCase):
    def script(self, text):
        path = self.path("script")
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o755)
        return path

    def config(self, script, port, isolation="process", options="", head=""):
        # Where options have a `user` of their own, rig.py takes it for the program's.
        if os.geteuid() == 0 and "user =" in options and not head:
            head = 'user = "nobody"'
        return CONFIG % (head, isolation, script, options, port)

    def test_a_script_refuses_and_edits_messages(self):
        sink = self.peer()
        server = self.mansio(self.config(self.script(SCRIPT), sink.port))
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.test")
            reply = client.message("a@example.com", ["b@two.example"], "Subject: x\r\n\r\nvirus", expect=550)
            self.assertEqual(reply, (550, "5.7.1 a virus from a@example.com"))
            client.message("a@example.com", ["b@two.example"], "Subject: x\r\n\r\nbroken", expect=451)
            reply = client.message("a@example.com", ["b@two.example"], "Subject: x\r\n\r\nbody")
        # The postmaster hears of the failure, too.
        checked = f"\r\nX-Checked: {reply[1].split()[-1]}\r\nSubject: x\r\n\r\nbody\r\n".encode()
        rig.wait_for(lambda: any(checked in m.content for m in list(sink.messages)), "the message as the script changed it")

    def test_it_needs_a_process_of_its_own(self):
        server = rig.Mansio(self.dir, self.config("/bin/true", 25, isolation="inproc"))
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r':\d+: filter.script.isolation is "inproc", but filter-pipe')

    def test_a_script_may_ask_a_daemon_over_the_network(self):
        sink = self.peer()
        script = self.script(f"#!/bin/bash\ncat > /dev/null\nexec 3<> /dev/tcp/127.0.0.1/{sink.port} && exit 69\n")
        server = self.mansio(self.config(script, sink.port))
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.test")
            client.message("a@example.com", ["b@two.example"], "Subject: x\r\n\r\nbody", expect=550)

    def test_where_it_is_root_a_script_has_a_user_of_its_own(self):
        self.assertEqual(os.geteuid(), 0, "this test must be run by root: nobody else can change user")
        script = self.script('#!/bin/sh\ncat > /dev/null\necho "$(id -u) $PWD" >&2\nexit 69\n')
        server = self.mansio(self.config(script, 25, options='user = "nobody"\ndirectory = "/usr"', head='user = "root"'))
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.test")
            reply = client.message("a@example.com", ["b@two.example"], "Subject: x\r\n\r\nbody", expect=550)
        self.assertEqual(reply, (550, f"5.7.1 {pwd.getpwnam('nobody').pw_uid} /usr"))

    def never_runs(self, why, **config):
        """A server whose filter does not start and says why, and that takes no mail past it."""
        config["options"] = config.get("options", "") + '\non_failure = "defer"'
        server = self.mansio(self.config("/bin/true", 25, **config))
        rig.wait_for(lambda: re.search(why, server.log_text()), "the reason")
        code = 0
        with contextlib.suppress(OSError), rig.Client(server.port, greet=False) as client:
            code = client.reply()[0]
            for line in ("EHLO client.test", "MAIL FROM:<a@example.com>", "RCPT TO:<b@two.example>", "DATA",
                         "Subject: x\r\n\r\nx\r\n."):
                if code >= 400:
                    break
                code = client.cmd(line)[0]
        self.assertEqual(code // 100, 4, code)

    def test_it_runs_as_no_other_user_than_it_was_told(self):
        other = next(u.pw_name for u in pwd.getpwall() if u.pw_uid not in (0, os.geteuid(), pwd.getpwnam("nobody").pw_uid))
        self.never_runs(f'user is ..?{other}..?, but this process runs as user [0-9]+', options=f'user = "{other}"')

    def test_it_does_not_run_as_root(self):
        self.assertEqual(os.geteuid(), 0, "this test must be run by root")
        self.never_runs("user is not given, expected one: this process is root", head='user = "root"')


if __name__ == "__main__":
    unittest.main()
