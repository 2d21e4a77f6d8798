"""mansio source and mansio sink, against each other and against Postfix's smtp-source, smtp-sink, qmqp-source and qmqp-sink."""
import contextlib
import glob
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from rig import LIMIT, MANSIO, free_port, run_program

SMTP_SINK = "/usr/sbin/smtp-sink"
SMTP_SOURCE = "/usr/sbin/smtp-source"
QMQP_SINK = "/usr/sbin/qmqp-sink"
QMQP_SOURCE = "/usr/sbin/qmqp-source"


class Sink:
    """A running `mansio sink`; `totals` after stop() or wait()."""

    def __init__(self, *options, listen="127.0.0.1:0", env=None):
        self.process = subprocess.Popen([MANSIO, "sink", listen, "--json", *options], stdout=subprocess.PIPE, text=True, env=env)
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line
        self.address = line.split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def wait(self):
        out, _ = self.process.communicate(timeout=LIMIT)
        assert self.process.returncode == 0, self.process.returncode
        return json.loads(out)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def connect(self):
        host, port = self.address.rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=LIMIT)


def source(address, *options):
    done = run_program("source", address, "--json", *options)
    return done.returncode, json.loads(done.stdout), done.stderr


def dumped(directory):
    new = os.path.join(directory, "new")
    for name in sorted(os.listdir(new)):
        with open(os.path.join(new, name), "rb") as f:
            yield f.read()


@contextlib.contextmanager
def postfix_sink(*argv):
    """The port that a sink of Postfix listens on."""
    port = free_port()
    sink = subprocess.Popen([*argv, f"127.0.0.1:{port}", "100"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + LIMIT
        while time.monotonic() < until:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield port
    finally:
        sink.kill()
        sink.wait()


def smtp_sink(*options):
    return postfix_sink(SMTP_SINK, *(["-u", "nobody"] if os.getuid() == 0 else []), *options)


class AgainstPostfix(unittest.TestCase):
    def test_our_source_into_smtp_sink(self):
        with smtp_sink() as port:
            for extra in ([], ["--no-pipelining"], ["--per-connection", "1"], ["-o"], ["-N"]):
                status, totals, errors = source(f"127.0.0.1:{port}", "-m", "200", "-s", "5", "-r", "3", *extra)
                self.assertEqual(status, 0, errors)
                self.assertEqual((totals["accepted"], totals["recipients"]), (200, 600))

    def test_our_source_speaks_lmtp_to_smtp_sink(self):
        with smtp_sink("-L") as port:
            status, totals, errors = source(f"127.0.0.1:{port}", "-L", "-m", "50", "-s", "5", "-r", "3")
            self.assertEqual((status, totals["recipients"]), (0, 150), errors)

    def test_our_source_into_qmqp_sink(self):
        with postfix_sink(QMQP_SINK) as port:
            status, totals, errors = source(f"127.0.0.1:{port}", "--qmqp", "-m", "200", "-s", "5", "-r", "3", "-l", "20000")
            self.assertEqual((status, totals["accepted"], totals["recipients"]), (0, 200, 600), errors)

    def test_qmqp_source_into_our_sink(self):
        with tempfile.TemporaryDirectory() as directory:
            with Sink("--qmqp", "-M", "100", "--dump", directory) as sink:
                subprocess.run([QMQP_SOURCE, "-m", "100", "-s", "5", "-r", "2", "-l", "2000", "-f", "a@b.example", "-t", "user@example.com",
                                sink.address], check=True, timeout=LIMIT)
                totals = sink.wait()
            self.assertEqual((totals["messages"], totals["recipients"], totals["protocol_errors"]), (100, 200, 0))
            self.assertEqual(len(list(dumped(directory))), 100)
            self.assertTrue(all(b"X-Sink-Sender: <a@b.example> " in content for content in dumped(directory)))

    def test_both_sinks_dump_alike(self):
        def fields(directory):
            (name,) = glob.glob(f"{directory}/2*/d.*")
            with open(name) as f:
                text = f.read()
            text = re.sub(r"id [0-9a-f]+;\n\t.*\n", "id X;\n", text)
            return re.sub(r"by \S+ \((mansio sink|smtp-sink)\)", "by X", re.sub(r"\nDate: .*\nMessage-Id: .*", "", text, flags=re.I))

        found = []
        for start in (lambda d: smtp_sink("-d", f"{d}/%Y/d.", "-S", "From x\\n"), None):
            with tempfile.TemporaryDirectory() as directory:
                os.chmod(directory, 0o777)
                with contextlib.ExitStack() as stack:
                    ours = stack.enter_context(Sink("-d", f"{directory}/%Y/d.", "-S", "From x\\n")) if start is None else None
                    address = ours.address if ours else f"127.0.0.1:{stack.enter_context(start(directory))}"
                    subprocess.run([SMTP_SOURCE, "-M", "client.example", "-r", "2", "-l", "30", "-t", "user@example.com", address],
                                   check=True, timeout=LIMIT)
                found.append(fields(directory))
        self.assertEqual(*found)

    def test_smtp_source_into_our_sink(self):
        for extra in (["-d"], []):
            with Sink("--quit-after", "200") as sink:
                subprocess.run([SMTP_SOURCE, *extra, "-m", "200", "-s", "5", "-r", "2", "-l", "2000", "-t", "user@example.com",
                                "inet:" + sink.address], check=True, timeout=LIMIT)
                totals = sink.wait()
            self.assertEqual((totals["messages"], totals["recipients"], totals["protocol_errors"]), (200, 400, 0))

    def test_smtp_source_over_lmtp_and_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            with Sink("--lmtp", "--quit-after", "20", listen=f"unix:{directory}/sink") as sink:
                os.chmod(f"{directory}/sink", 0o777)
                subprocess.run([SMTP_SOURCE, "-L", "-m", "20", "-r", "2", "-t", "user@example.com", f"unix:{directory}/sink"],
                               check=True, timeout=LIMIT)
                self.assertEqual(sink.wait()["recipients"], 40)


class AgainstEachOther(unittest.TestCase):
    def run_pair(self, sink_options, source_options, **kwargs):
        with Sink(*sink_options, **kwargs) as sink:
            status, sent, errors = source(sink.address, *source_options)
            return status, sent, errors, sink.stop()

    def test_in_clear(self):
        status, sent, errors, taken = self.run_pair([], ["-m", "500", "-s", "10", "-r", "2"])
        self.assertEqual(status, 0, errors)
        self.assertEqual((sent["accepted"], taken["messages"], taken["recipients"], sent["connections"]), (500, 500, 1000, 10))
        latency = sent["latency_ms"]
        self.assertTrue(0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"])
        ends, counts = zip(*latency["histogram"])
        self.assertEqual((list(ends), sum(counts)), (sorted(ends), 500))
        self.assertTrue(counts[0] > 0 and counts[-1] > 0 and ends[-1] >= latency["max"])

    def test_the_histogram_has_a_line_a_bar(self):
        with Sink() as sink:
            text = run_program("source", sink.address, "-m", "40").stdout
        bars = re.findall(r"^ *<= ([\d.e+-]+) ms +(\d+)  (#*)$", text, re.M)
        self.assertEqual(sum(int(count) for _, count, _ in bars), 40, text)
        self.assertEqual(max(len(bar) for _, _, bar in bars), 50, text)
        self.assertTrue(all((bar == "") == (count == "0") for _, count, bar in bars), text)

    def test_with_starttls_and_with_tls_from_the_start(self):
        for options in (["--tls"], ["--implicit-tls"]):
            status, sent, errors, taken = self.run_pair(options, ["-m", "50", "-s", "5", *options])
            self.assertEqual(status, 0, errors)
            self.assertEqual((taken["messages"], taken["tls_connections"]), (50, 5))

    def test_a_required_tls_that_is_not_offered_fails(self):
        status, sent, errors, _ = self.run_pair([], ["--tls"])
        self.assertEqual((status, sent["lost"]), (1, 1))
        self.assertIn("STARTTLS", errors)

    def test_certificates_are_verified_when_a_ca_is_given(self):
        with tempfile.TemporaryDirectory() as directory:
            cert, key = f"{directory}/cert.pem", f"{directory}/key.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                            "-subj", "/CN=sink.example", "-addext", "subjectAltName=DNS:sink.example"], check=True, capture_output=True)
            with Sink("--cert", cert, "--key", key) as sink:
                good = source(sink.address, "--tls", "--ca", cert, "--server-name", "sink.example")
                bad = source(sink.address, "--tls", "--ca", cert, "--server-name", "other.example")
            self.assertEqual((good[0], bad[0]), (0, 1), good[2])

    def test_lmtp_answers_for_each_recipient(self):
        status, sent, errors, taken = self.run_pair(["--lmtp", "--reply", "DATA_END~user1:452 4.2.2 full"], ["--lmtp", "-m", "10", "-r", "3"])
        self.assertEqual((status, sent["partly"], sent["recipients"]), (1, 10, 20))
        self.assertEqual((taken["messages"], taken["recipients"], taken["refused_recipients"]), (10, 20, 10))
        self.assertIn("452 4.2.2 full", errors)

    def test_refusals_by_stage(self):
        for stage in ("CONNECT", "HELO", "MAIL", "RCPT", "DATA", "DATA_END"):
            for extra in ([], ["--no-pipelining"]):
                status, sent, errors, taken = self.run_pair(["--reply", f"{stage}:550 5.7.1 no {stage}"], ["-m", "3", *extra])
                self.assertEqual((status, sent["accepted"], sent["refused"], taken["messages"]), (1, 0, 3, 0), (stage, errors))
                self.assertIn(f"no {stage}", errors)

    def test_drops_and_temporary_errors_are_retried_until_taken(self):
        status, sent, errors, taken = self.run_pair(
            ["--drop", "DATA_END:0.3", "--drop", "MAIL:0.1", "--reply", "RCPT:450:0.2", "--delay", "CONNECT:10ms"],
            ["-m", "100", "-s", "10", "--retry-for", "60s"])
        self.assertEqual((status, sent["accepted"], taken["messages"]), (0, 100, 100), errors)
        self.assertGreater(sent["retries"], 0)
        self.assertGreater(taken["dropped_connections"], 0)

    def test_no_pipelining_and_no_extensions(self):
        status, sent, errors, taken = self.run_pair(["--without", "PIPELINING,CHUNKING"], ["-m", "20", "-r", "2", "--no-pipelining"])
        self.assertEqual((status, taken["messages"], taken["protocol_errors"]), (0, 20, 0), errors)

    def test_connections_over_the_limit_are_refused(self):
        with Sink("--max-connections", "1") as sink:
            with sink.connect() as first:
                self.assertTrue(first.recv(100).startswith(b"220 "))
                with sink.connect() as second:
                    self.assertTrue(second.recv(100).startswith(b"421 "))
            self.assertEqual(sink.stop()["refused_connections"], 1)

    def test_the_sink_writes_what_was_sent(self):
        with tempfile.TemporaryDirectory() as directory:
            message = f"{directory}/message"
            with open(message, "w") as f:
                f.write("Subject: dots\n\n.\n..two\nlast")
            status, _, errors, _ = self.run_pair(["--dump", f"{directory}/dump", "--log", f"{directory}/log"],
                                                 ["--message", message, "-f", "a@b.example", "-t", "c{r}@d.example", "-r", "2"])
            self.assertEqual(status, 0, errors)
            (content,) = dumped(f"{directory}/dump")
            self.assertIn(b"X-Sink-Sender: <a@b.example> \r\nX-Sink-Recipient: <c0@d.example> \r\nX-Sink-Recipient: <c1@d.example> \r\n", content)
            self.assertTrue(content.endswith(b"\r\nSubject: dots\r\n\r\n.\r\n..two\r\nlast\r\n"), content)
            with open(f"{directory}/log") as f:
                self.assertIn("from=<a@b.example>", f.read())

    def test_the_source_logs_what_was_accepted(self):
        with tempfile.TemporaryDirectory() as directory:
            self.run_pair([], ["-m", "5", "--run", "x", "--log", f"{directory}/log"])
            with open(f"{directory}/log") as f:
                self.assertEqual(sorted(f.read().split()), [f"x.{n}@source.invalid" for n in range(5)])


# By the manuals of Postfix 3.7.
LETTERS = {"smtp-source": "46AcCdfFlLmMNorRsStTvw", "smtp-sink": "468aAbBcCdDeEfFhHLmMnNpPqQrRsStTuvwW",
           "qmqp-source": "46cCflmMrRstvw", "qmqp-sink": "46cvx"}


class Letters(unittest.TestCase):
    """No option of Postfix's tools is unknown here, as the help says."""

    def taken(self, tool):
        lines = run_program(tool, "--help").stdout.splitlines()
        heads = [line.split()[0].split(",") for line in lines if line.lstrip().startswith("-")]
        return {name[1] for names in heads for name in names if len(name) == 2}

    def test_all_of_the_manuals_are_taken(self):
        for tool, letters in LETTERS.items():
            self.assertEqual(set(letters) - self.taken(tool.split("-")[1]), set(), tool)

    def test_all_that_the_installed_tools_name_are_taken(self):
        for path in (SMTP_SOURCE, SMTP_SINK, QMQP_SOURCE, QMQP_SINK):
            usage = subprocess.run([path], capture_output=True, text=True, timeout=LIMIT).stderr
            named = set("".join(re.findall(r"(?<=[ \[])-(\w+)", usage)))
            self.assertGreater(len(named), 2, usage)
            self.assertEqual(named - self.taken(path.rpartition("-")[2]), set(), path)


class SmtpSourceOptions(unittest.TestCase):
    """What smtp-source's letters do, as the sink sees it."""

    def test_what_is_sent(self):
        with tempfile.TemporaryDirectory() as directory:
            message = f"{directory}/message"
            with open(message, "w") as f:
                f.write("Subject: from a file\n\nx\n")
            with Sink("-4", "-T", "4096", "--dump", f"{directory}/dump") as sink:
                for options in (["-4", "-d", "-A", "-T", "4096", "-M", "client.example", "-S", "hello {n}"],
                                ["-F", message, "-f", "", "-t", "u@d.example"]):
                    status, sent, errors = source(sink.address, *options)
                    self.assertEqual((status, sent["accepted"]), (0, 1), errors)
                sink.stop()
            made, read = sorted(dumped(f"{directory}/dump"), key=lambda content: b"from a file" in content)
            for line in (b"X-Sink-Helo: client.example\r\n", b"X-Sink-Sender: <source@client.example> ",
                         b"X-Sink-Recipient: <user0@client.example> ", b"\r\nSubject: hello 0\r\n"):
                self.assertIn(line, made)
            self.assertIn(b"X-Sink-Sender: <> ", read)
            self.assertTrue(read.endswith(b"\r\nSubject: from a file\r\n\r\nx\r\n"), read)

    def test_over_ipv6(self):
        with Sink("-6", listen="[::1]:0") as sink:
            self.assertTrue(sink.address.startswith("[::1]:"), sink.address)
            status, sent, errors = source(sink.address, "-6", "-m", "3")
            self.assertEqual((status, sent["accepted"]), (0, 3), errors)


class SmtpSinkOptions(unittest.TestCase):
    """What smtp-sink's letters do, as smtp-source's do from the other side."""

    def outcome(self, sink_options, source_options=()):
        with Sink(*sink_options) as sink:
            status, sent, errors = source(sink.address, "-m", "2", *source_options)
            return sent, errors, sink.stop()

    def test_refusals(self):
        for options, said in ((["-f", "rcpt"], "500 5.3.0 Error: command failed"), (["-r", "MAIL"], "450 4.3.0 Error: command failed"),
                              (["-r", ".", "-b", "451 4.1.1 soft"], "451 4.1.1 soft"), (["-f", "data", "-B", "554 5.1.1 hard"], "554 5.1.1 hard"),
                              (["-Q", "RCPT"], "421 4.0.0 Server closing connection")):
            sent, errors, taken = self.outcome(options)
            self.assertEqual((sent["accepted"], taken["messages"]), (0, 0), (options, errors))
            self.assertIn(said, errors)

    def test_drops(self):
        for at in ("CONNECT", "EHLO", "."):
            sent, errors, taken = self.outcome(["-q", at])
            self.assertEqual((sent["lost"], taken["dropped_connections"]), (2, 2), errors)

    def test_a_command_is_not_a_stage(self):
        sent, errors, taken = self.outcome(["-f", "EHLO"])  # the source says HELO then
        self.assertEqual(sent["accepted"], 2, errors)

    def test_a_server_behind_a_pix(self):
        with Sink("-P") as sink, sink.connect() as s, s.makefile("rwb") as stream:
            self.assertEqual(set(stream.readline().decode().strip()), set("20 *"))
            for command, code in ((b"EHLO x\r\n", b"500"), (b"HELO x\r\n", b"250")):
                stream.write(command)
                stream.flush()
                self.assertTrue(stream.readline().startswith(code))

    def test_keywords_left_out(self):
        with Sink("-8", "-E", "-N", "-p") as sink, sink.connect() as s, s.makefile("rwb") as stream:
            stream.readline()
            stream.write(b"EHLO x\r\n")
            stream.flush()
            offered = b""
            while not offered.endswith(b"\r\n") or b"250 " not in offered:
                offered += stream.readline()
            for keyword in (b"8BITMIME", b"ENHANCEDSTATUSCODES", b"DSN", b"PIPELINING"):
                self.assertNotIn(keyword, offered)
            self.assertIn(b"SIZE", offered)

    def test_a_server_without_esmtp_by_another_name(self):
        # What -a, -C and -F leave out is never offered, and what -s logs goes to syslog.
        with Sink("-e", "-h", "mx.example", "-a", "-C", "-F", "-s", "RCPT") as sink:
            with sink.connect() as s, s.makefile("rwb") as stream:
                self.assertTrue(stream.readline().startswith(b"220 mx.example SMTP"))
                stream.write(b"EHLO x\r\n")
                stream.flush()
                self.assertTrue(stream.readline().startswith(b"500"))
            status, sent, errors = source(sink.address)
            self.assertEqual((status, sent["accepted"]), (0, 1), errors)

    def test_a_client_that_says_nothing_is_cut_off(self):
        with Sink("-t", "200ms") as sink, sink.connect() as s:
            said = s.recv(100)
            self.assertTrue(said.startswith(b"220 "))
            while s.recv(100):
                pass

    def test_lmtp(self):
        with Sink("-L") as sink:
            status, sent, errors = source(sink.address, "-L", "-r", "3")
            self.assertEqual((status, sent["recipients"]), (0, 3), errors)

    def test_content_refused_unread(self):
        sent, errors, taken = self.outcome(["-A", "0"], ["-l", "5000000", "--per-connection", "1"])
        self.assertEqual((sent["accepted"], taken["messages"], taken["refused_messages"]), (0, 0, 2), errors)

    def test_delays(self):
        begin = time.monotonic()
        sent, errors, taken = self.outcome(["-w", "200ms", "-H", "100ms", "-W", "rcpt:100ms"], ["-w", "100ms", "-R", "1ms"])
        self.assertEqual(sent["accepted"], 2, errors)
        self.assertGreater(time.monotonic() - begin, 0.9)

    def test_an_end_after_so_many_sessions_or_so_long(self):
        with Sink("-n", "3") as sink:
            source(sink.address, "-m", "3", "--per-connection", "1")
            self.assertEqual(sink.wait()["connections"], 3)
        with Sink("-x", "100ms") as sink:
            self.assertEqual(sink.wait()["connections"], 0)

    def test_no_more_connections_at_once_than_asked_for(self):
        with Sink("-m", "2") as sink:
            status, sent, errors = source(sink.address, "-m", "40", "-s", "8", "--per-connection", "1")
            self.assertEqual((status, sent["accepted"]), (0, 40), errors)
            self.assertEqual(sink.stop()["refused_connections"], 0)

    def test_counters_and_conversations_are_shown(self):
        with subprocess.Popen([MANSIO, "sink", "-c", "-v", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sink:
            address = sink.stdout.readline().split()[-1]
            shown = run_program("source", "-c", "-v", "-m", "2", address).stderr
            sink.terminate()
            _, errors = sink.communicate(timeout=LIMIT)
        self.assertIn("sess=1 quit=1 mesg=2", errors)
        self.assertIn("< MAIL FROM:<source@source.invalid>", errors)
        self.assertIn("> MAIL FROM:<source@source.invalid>", shown)
        self.assertRegex(shown, "(?m)^2$")  # a carriage return, as a text is read

    def test_recipients_are_numbered_as_smtp_source_numbers_them(self):
        with tempfile.TemporaryDirectory() as directory:
            with Sink("--dump", directory) as sink:
                source(sink.address, "-r", "3", "-t", "u@d.example")
                source(sink.address, "-N", "-m", "2", "-r", "2", "-t", "u@d.example")
                sink.stop()
            found = [re.findall(rb"X-Sink-Recipient: <(.*?)>", content) for content in dumped(directory)]
            self.assertEqual(found, [[b"3u@d.example", b"2u@d.example", b"u@d.example"], [b"1u@d.example", b"2u@d.example"],
                                     [b"3u@d.example", b"4u@d.example"]])

    def test_connecting_again_to_a_server_that_refuses(self):
        port = free_port()
        late = subprocess.Popen([MANSIO, "source", "-C", "100", f"127.0.0.1:{port}", "--json"], stdout=subprocess.PIPE, text=True)
        with Sink("-M", "1", listen=f"127.0.0.1:{port}") as sink:
            self.assertEqual(sink.wait()["messages"], 1)
        self.assertEqual(json.loads(late.communicate(timeout=LIMIT)[0])["accepted"], 1)

    def test_user_and_root_directory(self):
        if os.getuid() != 0:  # nobody else may change them
            for option in (["-u", "nobody"], ["-R", "/tmp"]):
                done = run_program("sink", *option, "127.0.0.1:0")
                self.assertEqual((done.returncode, done.stderr.endswith("Operation not permitted\n")), (2, True), done.stderr)
            return
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o777)
            # A leak checker looks through /proc, which is not there below the new root.
            env = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
            with Sink("-u", "nobody", "-R", directory, "-D", "/sub/all", env=env) as sink:
                self.assertEqual(os.readlink(f"/proc/{sink.process.pid}/root"), os.path.realpath(directory))
                with open(f"/proc/{sink.process.pid}/status") as status:
                    self.assertNotIn("Uid:\t0", status.read())
                source(sink.address, "-m", "2")
                sink.stop()
            with open(f"{directory}/sub/all") as f:
                self.assertEqual(f.read().count("X-Client-Addr: 127.0.0.1\n"), 2)


class ByHand(unittest.TestCase):
    """What neither tool sends: BDAT, terminators cut anywhere, commands hidden before the handshake."""

    def talk(self, stream, *commands):
        for command in commands:
            stream.write(command)
            stream.flush()
            while True:
                line = stream.readline()
                if line[3:4] != b"-":
                    break
        return line

    def test_bdat(self):
        with tempfile.TemporaryDirectory() as directory, Sink("--dump", directory) as sink:
            with sink.connect() as s, s.makefile("rwb") as stream:
                stream.readline()
                self.talk(stream, b"EHLO x\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"BDAT 9\r\nA: b\r\n\r\n.")
                self.assertTrue(self.talk(stream, b"BDAT 8 LAST\r\nx\r\n.\r\ny\n").startswith(b"250"))
                self.talk(stream, b"QUIT\r\n")
            sink.stop()
            (content,) = dumped(directory)
            self.assertTrue(content.endswith(b"\r\nA: b\r\n\r\n.x\r\n.\r\ny\n"), content)

    def test_terminators_in_pieces(self):
        for content in (b"", b"A: b\r\n\r\nx\r\n", b"..\r\n..x\r\n.\n.\r\r\n"):
            with tempfile.TemporaryDirectory() as directory, Sink("--dump", directory) as sink:
                with sink.connect() as s, s.makefile("rwb") as stream:
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    stream.readline()
                    self.talk(stream, b"EHLO x\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"DATA\r\n")
                    for octet in content + b".\r\n":
                        s.sendall(bytes([octet]))
                    self.assertTrue(stream.readline().startswith(b"250"))
                    self.assertTrue(self.talk(stream, b"NOOP\r\n").startswith(b"250"))
                sink.stop()
                (found,) = dumped(directory)
                plain = (b"\n" + content).replace(b"\n.", b"\n")[1:]
                self.assertTrue(found.endswith(b"X-Sink-Recipient: <c@d> \r\n" + plain), found)

    def test_commands_before_the_handshake_are_not_obeyed_after_it(self):
        with Sink("--tls") as sink:
            with sink.connect() as s:
                s.recv(100)
                s.sendall(b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<evil@example.com>\r\n")
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                said = b""
                while b"220 2.0.0" not in said:
                    more = s.recv(1000)
                    self.assertTrue(more, said)
                    said += more
                with self.assertRaises(OSError):
                    context.wrap_socket(s).recv(1)
            self.assertEqual(sink.stop()["protocol_errors"], 1)


class Usage(unittest.TestCase):
    def test_mistakes_are_named(self):
        for arguments, said in ((["sink", "127.0.0.1:0", "--reply", "NOWHERE:450"], "the stage is one of"),
                                (["sink", "127.0.0.1:0", "--reply", "RCPT:999"], "expected a reply"),
                                (["sink", "127.0.0.1:0", "--drop", "RCPT:2"], "probability"),
                                (["sink", "127.0.0.1:0", "--delay", "RCPT:soon"], "expected a time"),
                                (["sink", "nonsense"], "expected host:port"),
                                (["source", "unix:"], "a socket's path"),
                                (["source", "127.0.0.1:1", "--message", "/nonexistent"], "cannot be read"),
                                (["source", "--qmqp", "--lmtp", "127.0.0.1:1"], "excludes"),
                                (["sink", "127.0.0.1:0", "-f", "EXPN"], "expected one of CONNECT"),
                                (["sink", "127.0.0.1:0", "-W", "RCPT"], "expected command:delay"),
                                (["sink", "127.0.0.1:0", "-b", "999"], "expected a reply"),
                                (["sink", "127.0.0.1:0", "-u", "no-such-user"], "there is no such user")):
            done = run_program(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
