"""A configuration that cannot work is refused by `mansio check`, at a start and at a reload in the same words: file,
line, key and what was expected, all problems at once."""
import contextlib
import glob
import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import unittest

import rig

GOOD = rig.relay_config(1)
BAD = GOOD.replace('plugin = "transport-smtp"', '''plugin = "transport-smtp"
smtp_tcp_port = 99999
tls_policy = ["x"]
smtp_connect_timeuot = "5s"
[transport.boxes]
plugin = "transport-maildir"
directory = "relative/{x}"
mode = "9"
over_quota = "huh"
quota = "much"''')
EXPECTED = {
    "transport.relay.smtp_tcp_port": r"is 99999, expected an integer from 1 to 65535",
    "transport.relay.tls_policy": r'holds "x", expected DOMAIN=LEVEL',
    "transport.relay.smtp_connect_timeuot": r"is not an option of transport-smtp; did you mean smtp_connect_timeout\?",
    "transport.boxes.directory": r'is "relative/\{x\}", which must be an absolute path; expected a path',
    "transport.boxes.mode": r'is "9", expected an octal number',
    "transport.boxes.over_quota": r'is "huh", expected "bounce", "defer" or ""',
    "transport.boxes.quota": r'is "much", expected a size',
}

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples")


class ConfigCheck(rig.TestCase):
    def line_of(self, server, text):
        with open(server.config) as f:
            return next(number for number, line in enumerate(f, 1) if line.startswith(text))

    def patterns(self, server):
        return [re.escape(server.config) + f":{self.line_of(server, key.split('.')[-1] + ' =')}: {re.escape(key)} {text}"
                for key, text in EXPECTED.items()]

    def refused(self, text, *patterns, user=None):
        """By check, by run, and by a reload of an instance that had a good one; `patterns` may be a function."""
        server = self.mansio(GOOD)
        if user:
            text = f'user = "{user}"\n' + text
        server.write_config(text)
        if len(patterns) == 1 and callable(patterns[0]):
            patterns = patterns[0](server)
        check = rig.run_program("check", "--config", server.config)
        self.assertEqual(check.returncode, 1, check.stdout)
        reload = rig.run_program("reload", "--config", server.config)
        self.assertNotEqual(reload.returncode, 0)
        (failed,) = server.wait_event("reload failed, the old configuration stays in force")
        reasons = "\n".join(e["reason"] for e in server.events("configuration refused"))
        self.assertEqual(reasons + "\n", check.stderr)
        for pattern in patterns:
            self.assertRegex(check.stderr, pattern)
            self.assertRegex(reload.stdout + reload.stderr, pattern)
            self.assertRegex(failed["reason"], pattern)
        with rig.Client(server.port) as c:  # the old one is in force
            self.assertEqual(c.cmd("EHLO client.test")[0], 250)
        server.stop()
        run = rig.run_program("run", "--config", server.config)
        self.assertEqual(run.returncode, 78, run.stderr)
        said = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{")]
        self.assertEqual("".join(e["reason"] + "\n" for e in said if e["event"] == "configuration refused"), check.stderr)

    def test_values_that_only_a_plugin_can_judge(self):
        self.refused(BAD, self.patterns)

    def test_problems_of_kernel_and_plugins_are_reported_together(self):
        self.refused(BAD.replace("[smtpd]", "log_format = \"postfix\"\n[smtpd]\ntimeout = \"soon\""),
                     lambda server: self.patterns(server) + [r"log_format .*expected it as format in \[log\]",
                                                             r"smtpd\.timeout is \"soon\", expected a duration"])

    def test_a_template_that_cannot_be_used(self):
        with open(self.path("bounce.cf"), "w") as f:
            f.write("nonsense\n")
        self.refused(GOOD + f'[queue]\nbounce_template_file = "{self.path("bounce.cf")}"\n',
                     r"mansio\.toml:\d+: queue\.bounce_template_file names .*bounce\.cf:1: expected failure_template")

    def make_pair(self, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=mx.mansio.test", "-days", "2", "-keyout", self.path(name + ".key"),
                        "-out", self.path(name + ".pem")], check=True, capture_output=True)

    def with_pair(self, certificate, key):
        return GOOD.replace("[smtpd]", f'[smtpd]\ntls_security_level = "may"\ntls_cert_file = "{self.path(certificate)}"\n'
                                       f'tls_key_file = "{self.path(key)}"')

    def test_a_certificate_that_is_none(self):
        self.make_pair("a")
        with open(self.path("junk.pem"), "w") as f:
            f.write("junk\n")
        self.refused(self.with_pair("junk.pem", "a.key"),
                     r"mansio\.toml:\d+: smtpd\.tls_cert_file names .*junk\.pem, which cannot be used .*expected a certificate")

    def test_a_key_of_another_certificate_or_none_at_all(self):
        self.make_pair("a")
        self.make_pair("b")
        self.refused(self.with_pair("a.pem", "b.key"),
                     r"mansio\.toml:\d+: smtpd\.tls_key_file names .*b\.key, which is not the key of")

    def test_a_key_that_only_root_can_read_is_fine(self):
        self.make_pair("a")
        os.chmod(self.path("a.key"), 0o600)
        server = self.mansio(self.with_pair("a.pem", "a.key"))
        self.assertEqual(rig.run_program("check", "--config", server.config).returncode, 0)
        server.process.send_signal(signal.SIGHUP)
        server.wait_event("reloaded", epoch=2)

    def test_a_user_that_does_not_exist_matters_where_processes_drop_to_it(self):
        if os.geteuid() != 0:
            server = self.mansio('user = "no-such-user"\n' + GOOD)
            self.assertEqual(rig.run_program("check", "--config", server.config).returncode, 0)
            return
        self.refused(GOOD, r'mansio\.toml:\d+: user is "no-such-user", but there is no such system user', user="no-such-user")

    def test_an_include_of_a_directory_that_is_not_there_is_empty_everywhere(self):
        server = self.mansio('include = ["conf.d/*.toml"]\n' + GOOD)
        check = rig.run_program("check", "--config", server.config)
        self.assertEqual(check.returncode, 0, check.stderr)

    def test_the_examples_are_good_configurations(self):
        aliases, mailboxes, passwords = self.path("aliases"), self.path("mail.db"), self.path("sasl_passwd")
        with open(aliases, "w") as f:
            f.write("team@example.test alice@example.test\n")
        with open(passwords, "w") as f:
            f.write("[smtp.provider.example]:587 user@example.com:secret\n")
        with contextlib.closing(sqlite3.connect(mailboxes)) as database:
            database.execute("CREATE TABLE mailbox (address TEXT PRIMARY KEY)")
        examples = sorted(glob.glob(os.path.join(EXAMPLES, "*.toml")))
        self.assertGreaterEqual(len(examples), 5)
        for example in examples:
            with self.subTest(example=os.path.basename(example)), open(example) as f:
                text = f.read()
                for path, ours in (("/etc/mansio/aliases", aliases), ("/var/lib/mailboxes/mail.db", mailboxes),
                                   ("/etc/mansio/sasl_passwd", passwords)):
                    text = text.replace(path, ours)
                # The spool is the rig's.
                server = rig.Mansio(self.dir, 'user = "nobody"\n' + re.sub(r"(?m)^spool = .*\n", "", text))
                checked = rig.run_program("check", "--config", server.config)
                self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_the_machine_is_looked_at_too(self):
        server = self.mansio(GOOD)
        check = rig.run_program("check", "--system", "--config", server.config)
        for subject in ("open files", "sync", "space", "spool " + os.path.realpath(server.spool)):
            self.assertRegex(check.stdout, rf"(?m)^(ok|advice|PROBLEM) +{re.escape(subject)}: ")
        self.assertEqual(check.returncode, 1 if "PROBLEM" in check.stdout else 0, check.stdout)
        self.assertFalse(os.path.exists(os.path.join(server.spool, "bench")))
        few = rig.run_program("check", "--system", "--config", server.config, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
        self.assertEqual(few.returncode, 1)
        self.assertRegex(few.stdout, r"PROBLEM +open files: 256, \d+ wanted by .*\n +-> .*LimitNOFILE=\d+")

    def test_the_syslog_name_stands_in_postfixs_lines(self):
        sink = self.peer()
        server = self.mansio(rig.relay_config(sink.port) + '[log]\nformat = "postfix"\nsyslog_name = "postfix"\n')
        with rig.Client(server.port) as c:
            c.cmd("EHLO client.test")
            c.message("a@example.com", ["b@example.org"], "Subject: x\r\n\r\nhello")
        rig.wait_for(lambda: re.search(r" mx postfix/relay\[\d+\]: \w+: to=<b@example\.org>, .*status=sent", server.log_text()),
                     "Postfix's delivery line")


if __name__ == "__main__":
    unittest.main()
