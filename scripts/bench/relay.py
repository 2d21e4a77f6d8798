"""The comparison behind scripts/bench/relay. Everything on loopback, each server in a directory of its own."""
import argparse
import json
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

SOURCE, SINK = "/usr/sbin/smtp-source", "/usr/sbin/smtp-sink"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, limit=60):
    end = time.monotonic() + limit
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise SystemExit(f"error: nothing listens on port {port} after {limit} s")
            time.sleep(0.05)


def tree_cpu(pid):
    """CPU seconds of a process and its living descendants, and of the children they have reaped."""
    total, stack, ticks = 0.0, [pid], os.sysconf("SC_CLK_TCK")
    while stack:
        p = stack.pop()
        try:
            fields = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
            total += sum(int(x) for x in fields[11:15]) / ticks
            for task in os.listdir(f"/proc/{p}/task"):
                stack += [int(c) for c in open(f"/proc/{p}/task/{task}/children").read().split()]
        except OSError:
            pass
    return total


class Sink:
    """smtp-sink with -c, whose counter tells how many messages have come."""

    def __init__(self, port=None):
        self.port = port or free_port()

    def __enter__(self):
        self.out = tempfile.TemporaryFile()
        self.process = subprocess.Popen([SINK, "-u", "nobody", "-c", f"127.0.0.1:{self.port}", "1000"], stdout=self.out, stderr=subprocess.DEVNULL)
        wait_port(self.port)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def count(self):
        # sess=3 quit=2 mesg=100, separated by carriage returns
        size = os.fstat(self.out.fileno()).st_size
        tail = os.pread(self.out.fileno(), 200, max(0, size - 200)).decode(errors="replace")
        found = re.findall(r"mesg=(\d+)", tail)
        return int(found[-1]) if found else 0


class Postfix:
    name = "Postfix"

    def __init__(self, directory, sink_port):
        self.dir, self.port = os.path.join(directory, "postfix"), free_port()
        etc, spool, data = (os.path.join(self.dir, d) for d in ("etc", "spool", "data"))
        for d in (etc, spool, data):
            os.makedirs(d)
        os.chown(data, pwd.getpwnam("postfix").pw_uid, -1)
        with open(os.path.join(etc, "main.cf"), "w") as f:
            f.write(f"""compatibility_level = 3.6
queue_directory = {spool}
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
""")
        with open(os.path.join(etc, "master.cf"), "w") as f:
            f.write(f"127.0.0.1:{self.port} inet n - n - - smtpd\n")
            for line in ("pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
                         "tlsmgr unix - - n 1000? 1 tlsmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
                         "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify",
                         "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp",
                         "relay unix - - n - - smtp", "showq unix n - n - - showq", "error unix - - n - - error",
                         "retry unix - - n - - error", "discard unix - - n - - discard", "anvil unix - - n - 1 anvil",
                         "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd"):
                f.write(line + "\n")
        self.etc = etc

    def start(self):
        result = subprocess.run(["/usr/sbin/postfix", "-c", self.etc, "start"], capture_output=True, text=True)
        if result.returncode:
            raise SystemExit("error: Postfix did not start:\n" + result.stdout + result.stderr)
        wait_port(self.port)
        self.pid = int(open(os.path.join(self.dir, "spool/pid/master.pid")).read())

    def stop(self):
        subprocess.run(["/usr/sbin/postfix", "-c", self.etc, "stop"], capture_output=True)

    def wait_deferred(self, _):
        """None is being tried."""
        active, incoming = (os.path.join(self.dir, "spool", d) for d in ("active", "incoming"))
        while any(files for d in (active, incoming) for _, _, files in os.walk(d)):
            time.sleep(0.2)

    def flush(self):
        subprocess.run(["/usr/sbin/postqueue", "-c", self.etc, "-f"], capture_output=True)


class Mansio:
    name = "Mansio"

    def __init__(self, directory, sink_port, args):
        self.dir, self.port, self.args = os.path.join(directory, "mansio"), free_port(), args
        os.makedirs(self.dir)
        os.chown(self.dir, pwd.getpwnam("nobody").pw_uid, -1)
        self.config = os.path.join(self.dir, "mansio.toml")
        with open(self.config, "w") as f:
            f.write(f"""myhostname = "bench.example.org"
spool = "{self.dir}/spool"
user = "nobody"
plugin_dir = "{os.path.abspath(args.plugins)}"
mydestination = []
log = {{ target = "/dev/null" }}
[smtpd]
mynetworks = ["127.0.0.0/8"]
client_name_lookup = false
client_connection_count_limit = 0
[listener.smtp]
listen = ["127.0.0.1:{self.port}"]
[transport.relay]
plugin = "transport-smtp"
process_limit = 100
initial_destination_concurrency = 20
destination_concurrency_limit = 100
[[route]]
transport = "relay"
nexthop = "[127.0.0.1]:{sink_port}"
""")

    def start(self):
        self.process = subprocess.Popen([self.args.mansio, "run", "--config", self.config])
        self.pid = self.process.pid
        wait_port(self.port)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def tool(self, *words):
        return subprocess.run([self.args.mansio, *words, "--config", self.config], capture_output=True, text=True).stdout

    def wait_deferred(self, messages):
        while json.loads(self.tool("status", "--json"))["queue"]["deferred"] < messages:
            time.sleep(0.2)

    def flush(self):
        self.tool("queue", "flush", "--all")


def writes_to_disk(pid):
    """Bytes that a process and its living descendants have sent towards the disk."""
    total, stack = 0, [pid]
    while stack:
        p = stack.pop()
        try:
            total += int(re.search(r"^write_bytes: (\d+)", open(f"/proc/{p}/io").read(), re.M)[1])
            for task in os.listdir(f"/proc/{p}/task"):
                stack += [int(c) for c in open(f"/proc/{p}/task/{task}/children").read().split()]
        except OSError:
            pass
    return total


def flushes(directory):
    """Flush requests that the block device under the directory has completed, all programs together."""
    device = os.stat(directory).st_dev
    path = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat"
    fields = open(path).read().split() if os.path.exists(path) else []
    return int(fields[15]) if len(fields) > 15 else 0


class Case:
    def __init__(self, title, sessions=20, length=5120, messages=5000, recipients=1, persistent=True):
        self.title, self.sessions, self.length, self.messages = title, sessions, length, messages
        self.recipients, self.persistent = recipients, persistent

    def source(self, port):
        words = ["-s", str(self.sessions), "-m", str(self.messages), "-l", str(self.length), "-f", "from@example.org",
                 "-t", "to@example.net"]
        words += ["-d"] if self.persistent else []
        words += ["-r", str(self.recipients)] if self.recipients > 1 else []
        return subprocess.Popen([SOURCE, *words, f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)


def wait_count(sink, wanted, process=None, limit=900):
    end = time.monotonic() + limit
    while sink.count() < wanted:
        if time.monotonic() > end:
            raise SystemExit(f"error: {wanted - sink.count()} messages did not arrive in {limit} s")
        time.sleep(0.002)


def end_to_end(port, sink, case):
    """Messages a second until the sink has 95 %, then waits for all of them."""
    before, start = sink.count(), time.monotonic()
    source = case.source(port)
    wait_count(sink, before + int(0.95 * case.messages))
    rate = 0.95 * case.messages / (time.monotonic() - start)
    source.wait()
    wait_count(sink, before + case.messages, limit=60)
    return rate


def ratio(rates, a, b):
    return statistics.median(x / y for x, y in zip(rates[a], rates[b]))


def compare(case, sink, servers, rounds, directory):
    rates = {"straight": [], **{s.name: [] for s in servers}}
    cpu, disk, flushed = ({s.name: [] for s in servers} for _ in range(3))
    for _ in range(rounds):
        rates["straight"].append(end_to_end(sink.port, sink, case))
        for server in servers:
            used, wrote, before = tree_cpu(server.pid), writes_to_disk(server.pid), flushes(directory)
            rates[server.name].append(end_to_end(server.port, sink, case))
            cpu[server.name].append((tree_cpu(server.pid) - used) / case.messages * 1e6)
            disk[server.name].append((writes_to_disk(server.pid) - wrote) / case.messages / case.length)
            flushed[server.name].append((flushes(directory) - before) / case.messages)
    print(f"\n{case.title}: messages/s end to end, {rounds} rounds of {case.messages}")
    for name, values in rates.items():
        line = f"  {name:10} median {statistics.median(values):8.0f}   min {min(values):8.0f}   max {max(values):8.0f}"
        if name in cpu:
            line += (f"   CPU {statistics.median(cpu[name]):6.0f} us   flushes {statistics.median(flushed[name]):6.3f}"
                     f"   written {statistics.median(disk[name]):5.2f} x")
        print(line)
    print(f"  Mansio / Postfix {ratio(rates, 'Mansio', 'Postfix'):6.2f}    Mansio / straight {ratio(rates, 'Mansio', 'straight'):6.2f}", flush=True)


def accept_and_drain(args, directory):
    """With the next hop down, then up: what is taken a second, and how fast what waited goes out."""
    port, rates, drains = free_port(), {}, {}
    servers = [Postfix(os.path.join(directory, "down"), port), Mansio(os.path.join(directory, "down"), port, args)]
    for server in servers:
        server.start()
        case = Case("", messages=args.backlog)
        start = time.monotonic()
        case.source(server.port).wait()
        rates[server.name] = args.backlog / (time.monotonic() - start)
        server.wait_deferred(args.backlog)
        with Sink(port) as sink:
            start = time.monotonic()
            server.flush()
            wait_count(sink, int(0.95 * args.backlog))
            drains[server.name] = 0.95 * args.backlog / (time.monotonic() - start)
            wait_count(sink, args.backlog)
        server.stop()
    print(f"\n{args.backlog} messages of 5120 bytes, next hop down, then up: messages/s")
    for what, values in (("accepted", rates), ("drained", drains)):
        print(f"  {what:10} Postfix {values['Postfix']:8.0f}   Mansio {values['Mansio']:8.0f}   Mansio / Postfix {values['Mansio'] / values['Postfix']:6.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--backlog", type=int, default=100_000, help="messages for accept-only and drain; 0: leave them out")
    parser.add_argument("--only", help="only cases whose title has this in it")
    args = parser.parse_args()
    cases = [Case("5 KiB, 20 sessions, persistent connections", messages=args.messages),
             Case("5 KiB, 100 sessions, persistent connections", sessions=100, messages=args.messages),
             Case("5 KiB, 20 sessions, a connection a message", messages=args.messages, persistent=False),
             Case("5 KiB, 100 sessions, a connection a message", sessions=100, messages=args.messages, persistent=False),
             Case("100 KiB, 20 sessions, persistent connections", length=102400, messages=args.messages // 4),
             Case("5 KiB, 50 recipients, 20 sessions, persistent connections", recipients=50, messages=args.messages // 4)]
    cases = [case for case in cases if not args.only or args.only in case.title]
    directory = tempfile.mkdtemp(prefix="mansio-bench-")
    os.chmod(directory, 0o755)
    servers = []
    try:
        with Sink() as sink:
            servers = [Postfix(directory, sink.port), Mansio(directory, sink.port, args)]
            for server in servers:
                server.start()
            for case in cases:
                compare(case, sink, servers, args.rounds, directory)
            for server in servers:
                server.stop()
        if args.backlog:
            accept_and_drain(args, directory)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
