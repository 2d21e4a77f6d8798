"""The comparison behind scripts/bench/relay. Everything on loopback, each server in a directory of its own."""
import argparse
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

    def __enter__(self):
        self.port = free_port()
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
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def measure(port, sink, args, extra):
    """Messages a second until the sink has 95 %, then waits for all of them."""
    before = sink.count()
    start = time.monotonic()
    source = subprocess.Popen([SOURCE, "-s", str(args.sessions), "-m", str(args.messages), "-l", str(args.length), *extra,
                               "-f", "from@example.org", "-t", "to@example.net", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    while sink.count() - before < 0.95 * args.messages:
        if time.monotonic() - start > 300:
            raise SystemExit(f"error: only {sink.count() - before} of {args.messages} messages after 300 s")
        time.sleep(0.002)
    rate = 0.95 * args.messages / (time.monotonic() - start)
    source.wait()
    end = time.monotonic() + 60
    while sink.count() - before < args.messages:
        if time.monotonic() > end:
            raise SystemExit(f"error: lost mail: {sink.count() - before} of {args.messages} arrived")
        time.sleep(0.01)
    return rate


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--length", type=int, default=5120)
    args = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="mansio-bench-")
    os.chmod(directory, 0o755)
    try:
        with Sink() as sink:
            servers = [Postfix(directory, sink.port), Mansio(directory, sink.port, args)]
            for server in servers:
                server.start()
            try:
                for title, extra in (("persistent connections", ["-d"]), ("a connection a message", [])):
                    compare(title, extra, sink, servers, args)
            finally:
                for server in servers:
                    server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def compare(title, extra, sink, servers, args):
    rates = {"straight": [], **{s.name: [] for s in servers}}
    cpu = {s.name: [] for s in servers}
    for _ in range(args.rounds):
        rates["straight"].append(measure(sink.port, sink, args, extra))
        for server in servers:
            used = tree_cpu(server.pid)
            rates[server.name].append(measure(server.port, sink, args, extra))
            cpu[server.name].append((tree_cpu(server.pid) - used) / args.messages * 1e6)
    print(f"\n{args.length} byte messages, {args.sessions} sessions, {title}: messages/s end to end, {args.rounds} rounds")
    for name, values in rates.items():
        line = f"  {name:10} median {statistics.median(values):8.0f}   min {min(values):8.0f}   max {max(values):8.0f}"
        if name in cpu:
            line += f"   CPU {statistics.median(cpu[name]):6.0f} us a message"
        print(line)
    ratio = lambda a, b: statistics.median(x / y for x, y in zip(rates[a], rates[b]))
    print(f"  Mansio / Postfix  {ratio('Mansio', 'Postfix'):.2f}    Mansio / straight  {ratio('Mansio', 'straight'):.2f}", flush=True)


if __name__ == "__main__":
    main()
