"""The figures behind scripts/bench/backlog: an instance on loopback whose name server answers nobody, so that all mail it
takes is deferred after one attempt. It is looked at, killed, started again, given more, and made to deliver some; an
instance with an empty or small queue does the same beside it, in alternating rounds, for the ratios."""
import argparse
import contextlib
import json
import os
import random
import re
import shutil
import socket
import statistics
import tempfile
import time

import against_thousand
from figures import BACKLOG, table
from machine import Disk, end_on_signals, fail, free_port, output, own_cpu_seconds, say, wait_growth, wait_until
from resolver import EVERYWHERE, Resolver
from servers import Instance, Sink

SIZE = 2048
THOUSAND = 1000  # of what a delivery and a decision in a large backlog are compared with
GIVEN_BACK = 2  # s after the index is complete, by when what only the restart needed is given back to the system


class Backlogged(Instance):
    def __init__(self, directory, args, name_server, sink_port):
        super().__init__(directory, args, f"""[queue]
minimal_backoff_time = "30d"
maximal_backoff_time = "30d"
maximal_queue_lifetime = "365d"
[transport.smtp]
plugin = "transport-smtp"
smtp_tcp_port = {sink_port}
[[route]]
transport = "smtp"
[dns]
servers = ["127.0.0.1:{name_server}"]
timeout = "100ms"
tries = 1
min_ttl = "0s"
""")

    def accept(self, messages, domains):
        """Messages a second that are taken, by the generator's own clock."""
        out = output([self.args.mansio, "source", f"127.0.0.1:{self.port}", "-m", str(messages), "-s", str(min(400, messages)), "-l", str(SIZE),
                      "-t", "user@d{d}.example", "--domains", str(domains), "--per-connection", "1000", "--json"], 600 + messages / 50)
        return messages / json.loads(out)["seconds"]

    def memory(self):
        """Now, and the most so far, MB."""
        status = open(f"/proc/{self.queue_pid()}/status").read()
        return [int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) * 1024 / 1e6 for field in ("VmRSS", "VmHWM")]

    def first_accept(self):
        """Whether a message is taken."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                s.settimeout(60)  # whoever has a session waits: one given up may have left its message
                f = s.makefile("rwb", buffering=0)
                f.readline()
                for line in (b"HELO bench", b"MAIL FROM:<a@example.org>", b"RCPT TO:<b@d0.example>", b"DATA"):
                    f.write(line + b"\r\n")
                    if f.readline()[:1] not in (b"2", b"3"):
                        return False
                f.write(b"Subject: first\r\n\r\n.\r\n")
                return f.readline()[:3] == b"250"
        except OSError:
            return False


def disk_used(spool):
    """Bytes of the pages that hold anything, since segments and journal are filled with zeros ahead of need; and of
    journal/spare, an old file kept for its blocks, whose content means nothing: preallocation too, though not zeros."""
    page, used, spare = 4096, 0, 0
    for folder in ("segments", "journal"):
        for name in os.listdir(os.path.join(spool, folder)):
            path = os.path.join(spool, folder, name)
            if name == "spare":
                spare = os.path.getsize(path)
                continue
            with open(path, "rb") as f:
                while chunk := f.read(1 << 20):
                    if chunk.count(0) == len(chunk):
                        continue
                    used += sum(page for i in range(0, len(chunk), page) if chunk.count(0, i, i + page) < len(chunk[i:i + page]))
    return used, spare


def look(m, directory, values):
    """Memory, qshape, listing, disk. Returns the ids."""
    values["memory"], most = m.memory()
    say(f"  queue process: {values['memory']:.1f} MB resident, {most:.1f} MB at most so far")
    begin = time.monotonic()
    m.tool("qshape", "deferred")
    values["qshape"] = time.monotonic() - begin
    m.metric("mansio_queue_longest_stall_seconds")  # it begins anew whenever it is asked for
    listed = os.path.join(directory, "list")
    begin = time.monotonic()
    m.tool("queue", "list", "--json", to=listed, limit=600)
    values["list"] = time.monotonic() - begin
    values["stall"] = m.metric("mansio_queue_longest_stall_seconds") * 1000
    ids, bodies = [], 0
    with open(listed) as lines:
        for line in lines:
            message = json.loads(line)
            ids.append(message["queue_id"])
            bodies += message["message_size"]
    used, spare = disk_used(m.spool)
    values["disk"] = (used - bodies) / len(ids)
    say(f"  disk: {used / 1e6:.1f} MB for {bodies / 1e6:.1f} MB of bodies; journal/spare, not counted (preallocation): {spare / 1e6:.1f} MB")
    return ids


def restart(m, times, values):
    """After kill -9, some times: each adds one message."""
    first, complete, at_once, memory = [], [], [], []
    for _ in range(times):
        before = m.count("messages")
        m.kill()
        m.start(wait=False)
        begin = time.monotonic()
        wait_until(m.first_accept, "the first message taken after a restart", 120, 0.005)
        first.append(time.monotonic() - begin)
        wait_growth(lambda: m.count("messages"), before, "in the index after a restart", 120, 0.02)
        complete.append(time.monotonic() - begin)
        at_once.append(m.memory()[0])
        time.sleep(GIVEN_BACK)
        memory.append(m.memory())
    for key, seen in (("first", first), ("index", complete), ("memory_after", [now for now, _ in memory])):
        values[key] = statistics.median(seen)
    say(f"  {times} restarts after kill -9: first accept " + " ".join(f"{t:.2f}" for t in first) + " s, index complete "
        + " ".join(f"{t:.2f}" for t in complete) + f" s; queue process then {statistics.median(at_once):.1f} MB, "
        f"{values['memory_after']:.1f} MB after {GIVEN_BACK} s, {max(most for _, most in memory):.1f} MB at most")


def accept_rates(empty, full, args, values):
    """In turns; who is not measured has deferred all it has. The empty spool is emptied each time, the full one grows."""
    rates, had = [], full.count("messages")
    for i in range(1, args.rounds + 1):
        there = empty.accept(args.probe, args.domains)
        empty.wait_deferred(args.probe, 300)
        empty.tool("queue", "delete", "--all", limit=300)
        empty.wait_empty(300)
        here = full.accept(args.probe, args.domains)
        full.wait_deferred(had + i * args.probe, 300)
        rates.append((here, there))
    values["accept"] = statistics.median(here / there for here, there in rates)
    say(f"  accepted/s with the backlog / with an empty spool, rounds of {args.probe}: " + ", ".join(f"{a:.0f} / {b:.0f}" for a, b in rates))


def deliver(m, ids, resolver, port):
    """CPU of the queue process for each of these messages, from the order to try them now to the outcome: us."""
    had = m.count("messages")
    with resolver, Sink(port, EVERYWHERE) as sink:
        before = own_cpu_seconds(m.queue_pid())
        m.tool("queue", "flush", "-", input="\n".join(ids) + "\n", limit=300)
        wait_growth(sink.count, len(ids), "delivered out of the backlog")
        used = own_cpu_seconds(m.queue_pid()) - before
        wait_until(lambda: m.count("messages") == had - len(ids), "the outcomes of what was delivered", 60)
        if sink.count() != len(ids):
            fail(f"{sink.count()} messages came where {len(ids)} were to be tried")
    return used / len(ids) * 1e6


def deliveries(small, full, ids, resolver, port, args):
    """What it costs the queue process to decide on a message, read its envelope, lease it and take its outcome: by turns a
    thousand drawn by lot from the backlog, and a backlog of just a thousand, each of these to as many destinations."""
    costs, each = [], min(THOUSAND, len(ids) // (args.rounds + 1))
    random.shuffle(ids)
    for i in range(args.rounds + 1):
        small.accept(each, min(each, args.domains))
        small.wait_deferred(each, 300)
        few = [json.loads(line)["queue_id"] for line in small.tool("queue", "list", "--json").splitlines()]
        random.shuffle(few)
        there = deliver(small, few, resolver, port)
        costs.append((deliver(full, ids[i * each:(i + 1) * each], resolver, port), there))
    del costs[0]  # of processes that have never delivered
    say(f"  queue CPU, us a delivery, out of the backlog / out of {each}: " + ", ".join(f"{a:.1f} / {b:.1f}" for a, b in costs)
        + f"; median ratio {statistics.median(here / there for here, there in costs):.2f}")


def decision(args, values):
    """Of the index and the scheduler alone, by their own benchmark."""
    rows = against_thousand.rows(output([args.index, str(THOUSAND), str(args.messages)], 600 + args.messages / 1000).splitlines())
    values["decision"] = rows[args.messages]["ratio"]
    say(f"  a decision, alone: {rows[args.messages]['decide']:.0f} ns, among {THOUSAND} {rows[THOUSAND]['decide']:.0f} ns")


def run(args, directory, values):
    say(Disk(directory).describe())
    with contextlib.ExitStack() as stack:
        resolver, port = Resolver(), free_port()
        small, full = (Backlogged(os.path.join(directory, name), args, resolver.port, port) for name in ("small", "full"))
        for instance in (small, full):
            stack.callback(instance.stop)
            instance.start()
        rate = full.accept(args.messages, args.domains)
        say(f"\n{args.messages} messages of {SIZE} bytes to {args.domains} destinations, taken at {rate:.0f}/s")
        full.wait_deferred(args.messages, 300)
        ids = look(full, directory, values)
        restart(full, args.restarts, values)
        full.wait_deferred(full.count("messages"), 300)
        deliveries(small, full, ids, resolver, port, args)
        accept_rates(small, full, args, values)
    decision(args, values)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--index", required=True, help="the benchmark of index and scheduler, bench-backlog")
    parser.add_argument("--directory", default=os.environ.get("MANSIO_BENCH_DIR"), help="where the spools are made, on the disk to be measured")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--domains", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5, help="of what is compared with a small queue")
    parser.add_argument("--probe", type=int, default=20_000, help="messages in a round of accepting")
    parser.add_argument("--restarts", type=int, default=3)
    args = parser.parse_args()
    end_on_signals()
    values = {}
    directory = tempfile.mkdtemp(prefix="mansio-backlog-", dir=args.directory)
    os.chmod(directory, 0o755)
    try:
        run(args, directory, values)
        say("\nRatios and restarts are medians; the targets are those for a million:\n")
        table(BACKLOG, values)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
