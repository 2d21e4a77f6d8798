"""The measurement behind scripts/bench/failover. Two sinks on two loopback addresses are the exchangers of one domain; each
takes some time to answer, so that throughput is what the concurrency limit allows, as it is over a network. In the cases
where one is down, something else stands in its place: a server that never greets, or a socket whose packets vanish.

Every case starts with a Mansio that knows nothing, so the time it needs to find out counts. By the arithmetic of Postfix's
qshape document the same situation, without connections kept, comes to 20 / ((0 + 30) / 2) = 1.3 messages a second."""
import argparse
import contextlib
import os
import socket
import statistics
import struct
import subprocess
import tempfile
import time

from figures import FAILOVER, table
from machine import end_on_signals, fail, free_port, say, wait_growth
from next_hops import NoAnswer, SlowSink
from resolver import A, Resolver, question
from servers import Instance

HOSTS = ("127.0.0.2", "127.0.0.3")
DOMAIN = "two.example.net"
MX = 15
CONCURRENCY = 20


class TwoExchangers(Resolver):
    """DOMAIN's exchangers are mx1 and mx2, at HOSTS; nothing else exists."""

    @staticmethod
    def name(text):
        return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"

    def reply(self, query):
        name, kind, end = question(query)
        found = []
        if (name, kind) == (DOMAIN, MX):
            found = [struct.pack("!H", 10) + self.name(f"mx{i + 1}.{DOMAIN}") for i in range(2)]
        elif kind == A and name in (f"mx{i + 1}.{DOMAIN}" for i in range(2)):
            found = [socket.inet_aton(HOSTS[int(name[2]) - 1])]
        answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for data in found)
        return query[:2] + struct.pack("!HHHHH", 0x8580, 1, len(found), 0, 0) + query[12:end] + answers


def config(port, dns, cached):
    return f"""[dns]
servers = ["127.0.0.1:{dns}"]
[transport.smtp]
plugin = "transport-smtp"
destination_concurrency_limit = {CONCURRENCY}
smtp_connection_cache_on_demand = {"true" if cached else "false"}
[[route]]
transport = "smtp"
nexthop = "{DOMAIN}:{port}"
"""


def exchangers(args, port, down):
    """(the good one's, the other one's) context managers; `down`: None, "silent" or "lost"."""
    good, other = (SlowSink(args.mansio, host, port, args.latency) for host in HOSTS)
    return good, other if down is None else NoAnswer(HOSTS[1], port, down == "lost")


def rate(args, cached, down):
    port, messages = free_port(), args.messages
    with contextlib.ExitStack() as stack:
        sinks = [stack.enter_context(server) for server in exchangers(args, port, down)]
        resolver = stack.enter_context(TwoExchangers())
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="mansio-bench-", dir=args.directory))
        os.chmod(directory, 0o755)
        server = Instance(directory, args, config(port, resolver.port, cached))
        stack.callback(server.stop)
        server.start()
        begin = time.monotonic()
        done = subprocess.run([args.mansio, "source", f"127.0.0.1:{server.port}", "-m", str(messages), "-s", "20", "-l", "2000", "--json"],
                              capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            fail(f"mansio source: {done.stderr}")
        enough = int(0.95 * messages)
        count = lambda: sum(sink.count() for sink in sinks)
        wait_growth(count, enough, f"arrived, {down or 'both up'}", 120)
        got = enough / (time.monotonic() - begin)
        wait_growth(count, messages, f"arrived, {down or 'both up'}", 120)
        return got


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--messages", type=int, default=6000)
    parser.add_argument("--latency", type=int, default=50, help="milliseconds that a working exchanger takes to answer content")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--directory", default=os.environ.get("MANSIO_BENCH_DIR"))
    args = parser.parse_args()
    end_on_signals()
    values = {}
    say(f"Two exchangers of one preference, {args.latency} ms to answer content, at most {CONCURRENCY} deliveries at once, "
        f"{args.messages} messages. Messages/s:")
    for cached in (True, False):
        title = "connections kept on demand" if cached else "a connection a message"
        got = {down: [] for down in (None, "silent", "lost")}
        for _ in range(args.rounds):
            for down, rates in got.items():
                rates.append(rate(args, cached, down))
        up = statistics.median(got[None])
        for down, what in ((None, "both up"), ("silent", "one never greets"), ("lost", "one's packets vanish")):
            median = statistics.median(got[down])
            say(f"  {title:27} {what:22} {median:7.1f}  ({' '.join(f'{r:.1f}' for r in got[down])})  {median / up:.2f} of both up")
            if down:
                values[f"{down}{'_kept' if cached else ''}"] = median / up
    say("")
    table(FAILOVER, values)


main()
