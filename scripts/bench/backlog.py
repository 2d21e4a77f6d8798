"""The figures behind scripts/bench/backlog: one instance on loopback whose name server answers nobody, so that all
mail it takes is deferred after one attempt; it is then looked at, killed, started again and given more."""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from relay import free_port

SIZE = 2048


def status_kb(pid, field):
    return int(re.search(rf"{field}:\s+(\d+) kB", open(f"/proc/{pid}/status").read())[1])


class Instance:
    def __init__(self, args, directory):
        self.args, self.port, self.spool = args, free_port(), os.path.join(directory, "spool")
        self.config = os.path.join(directory, "mansio.toml")
        os.makedirs(directory)
        if os.getuid() == 0:
            shutil.chown(directory, "nobody")
        user = 'user = "nobody"' if os.getuid() == 0 else ""
        with open(self.config, "w") as f:
            f.write(f"""myhostname = "bench.example.org"
spool = "{self.spool}"
{user}
plugin_dir = "{os.path.abspath(args.plugins)}"
mydestination = []
log = {{ target = "/dev/null" }}
[smtpd]
mynetworks = ["127.0.0.0/8"]
client_name_lookup = false
client_connection_count_limit = 0
[listener.smtp]
listen = ["127.0.0.1:{self.port}"]
[queue]
minimal_backoff_time = "30d"
maximal_backoff_time = "30d"
maximal_queue_lifetime = "365d"
[transport.smtp]
plugin = "transport-smtp"
[[route]]
transport = "smtp"
[dns]
servers = ["127.0.0.1:{free_port()}"]
timeout = "100ms"
tries = 1
""")

    def start(self):
        self.process = subprocess.Popen([self.args.mansio, "run", "--config", self.config])

    def children(self):
        pid = self.process.pid
        return [int(c) for c in open(f"/proc/{pid}/task/{pid}/children").read().split()]

    def queue_pid(self):
        return next(c for c in self.children() if open(f"/proc/{c}/comm").read().strip() == "queue")

    def kill(self):
        children = self.children()
        self.process.kill()
        self.process.wait()
        for child in children:  # they die with their parent
            while os.path.exists(f"/proc/{child}"):
                time.sleep(0.005)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)

    def tool(self, *words):
        return subprocess.run([self.args.mansio, *words, "--config", self.config], capture_output=True, text=True)

    def summary(self):
        got = self.tool("status", "--json")
        return json.loads(got.stdout)["queue"] if got.returncode == 0 else None

    def metric(self, name):
        text = self.tool("status", "--metrics").stdout
        found = re.search(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+-]+)$", text, re.M)
        return float(found[1]) if found else 0.0

    def accept(self, messages, sessions=400):
        """Messages a second that are taken, by the generator's own clock."""
        out = subprocess.run([self.args.mansio, "source", f"127.0.0.1:{self.port}", "-m", str(messages), "-s", str(sessions),
                              "-l", str(SIZE), "-t", "user@d{d}.example", "--domains", str(self.args.domains), "--per-connection", "1000", "--json"],
                             capture_output=True, text=True, check=True)
        return messages / json.loads(out.stdout)["seconds"]

    def wait_first_accept(self):
        begin = time.monotonic()
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    f = s.makefile("rwb", buffering=0)
                    f.readline()
                    for line in (b"HELO bench", b"MAIL FROM:<a@example.org>", b"RCPT TO:<b@d0.example>", b"DATA"):
                        f.write(line + b"\r\n")
                        if f.readline()[:1] not in b"23":
                            raise OSError("not yet")
                    f.write(b"Subject: first\r\n\r\n.\r\n")
                    if f.readline()[:3] == b"250":
                        return time.monotonic() - begin
            except OSError:
                pass
            time.sleep(0.005)


def disk_used(spool):
    """Bytes of the pages that hold anything: segments and journal are filled with zeros ahead of need."""
    page, used = 4096, 0
    for folder in ("segments", "journal"):
        for name in os.listdir(os.path.join(spool, folder)):
            if name == "spare":
                continue
            with open(os.path.join(spool, folder, name), "rb") as f:
                while chunk := f.read(1 << 20):
                    if chunk.count(0) == len(chunk):
                        continue
                    used += sum(page for i in range(0, len(chunk), page) if chunk.count(0, i, i + page) < len(chunk[i:i + page]))
    return used


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--domains", type=int, default=10_000)
    args = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="mansio-backlog-", dir=os.environ.get("MANSIO_BENCH_DIR"))
    os.chmod(directory, 0o755)
    instances = []

    def say(what, value, target):
        print(f"  {what:62} {value:>14}   {target}", flush=True)

    try:
        probe = 20_000
        empty = Instance(args, os.path.join(directory, "empty"))
        instances.append(empty)
        empty.start()
        empty.wait_first_accept()
        empty_rate = max(empty.accept(probe) for _ in range(2))
        empty.stop()

        m = Instance(args, os.path.join(directory, "full"))
        instances.append(m)
        m.start()
        m.wait_first_accept()
        rate = m.accept(args.messages)
        print(f"\n{args.messages} messages of {SIZE} bytes to {args.domains} destinations, taken at {rate:.0f}/s")
        while (s := m.summary())["deferred"] < args.messages:
            time.sleep(0.5)
        rss = status_kb(m.queue_pid(), "VmRSS")
        say("resident memory of the queue process", f"{rss / 1000:.1f} MB", "<= 128 MB for a million")
        begin = time.monotonic()
        m.tool("qshape", "deferred")
        say("qshape deferred", f"{time.monotonic() - begin:.2f} s", "<= 0.3 s")
        full_rate = m.accept(probe)
        say("accept rate against an empty spool", f"{full_rate / empty_rate:.2f} x", ">= 0.9 x")

        m.metric("mansio_queue_longest_turn_seconds")
        begin = time.monotonic()
        with open(os.path.join(directory, "list"), "w") as out:
            subprocess.run([args.mansio, "queue", "list", "--json", "--config", m.config], stdout=out, check=True)
        say("queue list --json", f"{time.monotonic() - begin:.2f} s", "<= 15 s")
        say("longest turn of the queue process meanwhile", f"{m.metric('mansio_queue_longest_turn_seconds') * 1000:.1f} ms", "<= 10 ms")
        with open(os.path.join(directory, "list")) as listed:
            sizes = [json.loads(line)["message_size"] for line in listed]
        say("disk beyond bodies a message", f"{(disk_used(m.spool) - sum(sizes)) / len(sizes):.0f} B", "<= 300 B")

        before = m.summary()["messages"]
        m.kill()
        m.start()
        begin = time.monotonic()
        say("restart after kill -9: first message accepted", f"{m.wait_first_accept():.2f} s", "<= 1 s")
        while not (s := m.summary()) or s["messages"] < before:
            time.sleep(0.02)
        say("restart after kill -9: index complete", f"{time.monotonic() - begin:.2f} s", "<= 5 s")
        say("resident memory of the queue process then", f"{status_kb(m.queue_pid(), 'VmRSS') / 1000:.1f} MB", "")
        m.stop()
    finally:
        for instance in instances:
            if instance.process.poll() is None:
                instance.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
