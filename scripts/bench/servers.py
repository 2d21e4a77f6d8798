"""The programs under comparison, each in a directory of its own on loopback: Postfix's source and sink, Postfix, Mansio.

Postfix has the settings its documentation gives for speed and syncs as it does by default; Mansio has its defaults. Each
is asked the same things: start, stop, whether it is empty, whether all it holds is deferred, to try all of it now."""
import json
import os
import pwd
import re
import signal
import subprocess
import tempfile

from machine import fail, free_port, output, processes, wait_growth, wait_port, wait_until

SOURCE, SINK = "/usr/sbin/smtp-source", "/usr/sbin/smtp-sink"
LONG = "6h"  # with the next hop down, nobody retries by himself while another is measured


class Sink:
    """smtp-sink, whose running counter tells how many messages have come."""

    def __init__(self, port=None, host="127.0.0.1"):
        self.port, self.host, self._last = port or free_port(), host, 0

    def __enter__(self):
        self._out = os.memfd_create("sink")
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        self._process = subprocess.Popen([SINK, *user, "-c", f"{self.host}:{self.port}", "1000"], stdout=self._out, stderr=subprocess.DEVNULL)
        try:
            wait_port(self.port, host=self.host)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._out)

    def count(self):
        # sess=3 quit=2 mesg=100, separated by carriage returns
        size = os.fstat(self._out).st_size
        found = re.findall(rb"mesg=(\d+)[^\d]", os.pread(self._out, 200, max(0, size - 200)))
        self._last = max(self._last, int(found[-1]) if found else 0)
        return self._last

    def rest(self):
        """Between rounds: the counter so far, whose text may go (it grows by some 40 bytes a message)."""
        count = self.count()
        os.ftruncate(self._out, 0)
        return count


class Program:
    """A source of mail at work; ended in every way out. One that gives up ends the run: its rate would be a fiction."""

    def __init__(self, words):
        self._words = words

    def __enter__(self):
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(self._words, stdout=subprocess.DEVNULL, stderr=self._errors)
        return self

    def __exit__(self, *_):
        self.end()
        self._errors.close()

    def end(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def check(self):
        if self._process.poll():
            self._errors.seek(0)
            fail(f"{' '.join(self._words)} ended with {self._process.returncode}: {self._errors.read().decode(errors='replace').strip()}")

    def wait(self, limit):
        try:
            self._process.wait(limit)
        except subprocess.TimeoutExpired:
            fail(f"{' '.join(self._words)} did not end in {limit} s")
        self.check()


class Source(Program):
    """smtp-source."""

    def __init__(self, port, messages, sessions=20, length=5120, recipients=1, persistent=True):
        words = [SOURCE, "-s", str(sessions), "-m", str(messages), "-l", str(length), "-f", "from@example.org", "-t", "to@example.net"]
        words += ["-d"] if persistent else []
        words += ["-r", str(recipients)] if recipients > 1 else []
        super().__init__([*words, f"127.0.0.1:{port}"])


class Postfix:
    name = "Postfix"

    def __init__(self, directory, sink_port, retries=True):
        self.dir, self.port, self.pid = os.path.join(directory, "postfix"), free_port(), None
        self.etc, self.spool, data = (os.path.join(self.dir, d) for d in ("etc", "spool", "data"))
        for d in (self.etc, self.spool, data):
            os.makedirs(d)
        os.chown(data, pwd.getpwnam("postfix").pw_uid, -1)
        patience = "" if retries else f"minimal_backoff_time = {LONG}\nmaximal_backoff_time = {LONG}\nqueue_run_delay = {LONG}\n"
        with open(os.path.join(self.etc, "main.cf"), "w") as f:
            f.write(f"""compatibility_level = 3.6
queue_directory = {self.spool}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = /dev/null
maillog_file_prefixes = /dev, /tmp
myhostname = bench.example.org
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink_port}
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtp_host_lookup = native
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
disable_dns_lookups = yes
default_process_limit = 200
default_destination_concurrency_limit = 100
initial_destination_concurrency = 100
qmgr_message_active_limit = 20000
in_flow_delay = 0
alias_maps =
local_recipient_maps =
{patience}""")
        with open(os.path.join(self.etc, "master.cf"), "w") as f:
            f.write(f"127.0.0.1:{self.port} inet n - n - - smtpd\n")
            for line in ("pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
                         "tlsmgr unix - - n 1000? 1 tlsmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
                         "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify",
                         "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp",
                         "relay unix - - n - - smtp", "showq unix n - n - - showq", "error unix - - n - - error",
                         "retry unix - - n - - error", "discard unix - - n - - discard", "anvil unix - - n - 1 anvil",
                         "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd"):
                f.write(line + "\n")

    def start(self):
        output(["/usr/sbin/postfix", "-c", self.etc, "start"])
        self.pid = int(open(os.path.join(self.spool, "pid/master.pid")).read())
        wait_port(self.port)

    def stop(self):
        """In every way out, so it reports nothing; postfix(1) itself kills what does not end in five seconds."""
        try:
            subprocess.run(["/usr/sbin/postfix", "-c", self.etc, "stop"], capture_output=True, timeout=60)
        except subprocess.TimeoutExpired:
            subprocess.run(["/usr/sbin/postfix", "-c", self.etc, "abort"], capture_output=True, timeout=60)

    def segments(self):
        return 0

    def _held(self, *queues):
        return sum(len(files) for q in queues for _, _, files in os.walk(os.path.join(self.spool, q)))

    def wait_empty(self, limit=60):
        wait_until(lambda: not self._held("incoming", "active", "deferred"), "Postfix's queue to be empty", limit, 0.1)

    def wait_deferred(self, messages):
        """None is being tried."""
        wait_until(lambda: not self._held("incoming", "active"), "Postfix to defer all it has", 60 + messages / 20, 0.2)
        if (held := self._held("deferred")) != messages:
            fail(f"Postfix holds {held} messages where {messages} were sent")

    def flush(self):
        output(["/usr/sbin/postqueue", "-c", self.etc, "-f"])


class Instance:
    """A Mansio with a configuration of the caller's; `spool`, `user`, `plugin_dir` and the log are given here. `top`: lines
    before the first table; `log`: a file that it may make or write to."""
    name = "Mansio"

    def __init__(self, directory, args, config, top="", log="/dev/null"):
        self.dir, self.port, self.args, self.process, self.pid = os.path.join(directory, "mansio"), free_port(), args, None, None
        os.makedirs(self.dir)
        root = os.getuid() == 0
        if root:
            os.chown(self.dir, pwd.getpwnam("nobody").pw_uid, -1)
        self.spool, self.config = os.path.join(self.dir, "spool"), os.path.join(self.dir, "mansio.toml")
        user = 'user = "nobody"' if root else ""
        with open(self.config, "w") as f:
            f.write(f"""myhostname = "bench.example.org"
spool = "{self.spool}"
{user}
plugin_dir = "{os.path.abspath(args.plugins)}"
mydestination = []
log = {{ target = "{log}" }}
{top}
[smtpd]
mynetworks = ["127.0.0.0/8"]
client_name_lookup = false
client_connection_count_limit = 0
[listener.smtp]
listen = ["127.0.0.1:{self.port}"]
{config}""")

    def start(self, wait=True):
        self.process = subprocess.Popen([self.args.mansio, "run", "--config", self.config])
        self.pid = self.process.pid
        if wait:
            wait_port(self.port)
            wait_until(self.summary, "Mansio's queue to answer", 60)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self):
        everyone = processes(self.pid)
        self.process.kill()
        self.process.wait()
        for p in everyone[1:]:  # they die with their parent
            wait_until(lambda p=p: not os.path.exists(f"/proc/{p}"), f"process {p} of Mansio to die", 30, 0.002)

    def queue_pid(self):
        return next(p for p in processes(self.pid)[1:] if open(f"/proc/{p}/comm").read().strip() == "queue")

    def words(self, *words):
        return [self.args.mansio, *words, "--config", self.config]

    def tool(self, *words, **more):
        return output(self.words(*words), **more)

    def summary(self):
        """The queue's counts; None while it does not answer."""
        got = subprocess.run(self.words("status", "--json"), capture_output=True, text=True, timeout=60)
        if self.process.poll() is not None:
            fail(f"Mansio ended with {self.process.returncode}")
        return json.loads(got.stdout).get("queue") if got.returncode == 0 else None

    def metric(self, name):
        found = re.search(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+-]+)$", self.tool("status", "--metrics"), re.M)
        if not found:
            fail(f"Mansio has no metric {name}")
        return float(found[1])

    def segments(self):
        return int(self.metric("mansio_spool_segments"))

    def count(self, state):
        return (self.summary() or {}).get(state, -1)

    def wait_empty(self, limit=60):
        wait_until(lambda: self.count("messages") == 0, "Mansio's queue to be empty", limit, 0.1)

    def wait_deferred(self, messages, stall=60):
        wait_growth(lambda: self.count("deferred"), messages, "deferred in Mansio", stall, 0.2)
        if (held := self.count("messages")) != messages:
            fail(f"Mansio holds {held} messages where {messages} were sent")

    def flush(self):
        self.tool("queue", "flush", "--all")


def relay(directory, sink_port, args, retries=True, transport="", listener="", top=""):
    """Mansio that relays everything to one next hop; `transport`, `listener`: further lines of their tables; `top`: before
    all tables."""
    patience = "" if retries else f'[queue]\nminimal_backoff_time = "{LONG}"\nmaximal_backoff_time = "{LONG}"\n'
    return Instance(directory, args, f"""{listener}
[transport.relay]
plugin = "transport-smtp"
process_limit = 100
initial_destination_concurrency = 20
destination_concurrency_limit = 100
{transport}
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:{sink_port}"
{patience}""", top)
