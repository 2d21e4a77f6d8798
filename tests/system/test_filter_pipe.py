"""filter-pipe in the whole program: a program's verdict and its edits reach the client and the next hop."""
import os
import unittest

import rig

CONFIG = '''
myhostname = "mx.mansio.test"
[smtpd]
mynetworks = ["127.0.0.0/8"]
filters = ["script"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[filter.script]
plugin = "filter-pipe"
isolation = "%s"
command = ["%s", "--flag"]
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
    def test_a_script_refuses_and_edits_messages(self):
        script = self.path("script")
        with open(script, "w") as f:
            f.write(SCRIPT)
        os.chmod(script, 0o755)
        sink = self.peer()
        server = self.mansio(CONFIG % ("process", script, sink.port))
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
        server = rig.Mansio(self.dir, CONFIG % ("inproc", "/bin/true", 25))
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r':\d+: filter.script.isolation is "inproc", but filter-pipe')


if __name__ == "__main__":
    unittest.main()
