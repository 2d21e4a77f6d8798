"""The measurement behind scripts/bench/giants. A thousand domains on loopback: one with a fifth of all mail whose packets
vanish, one with another fifth that answers content after seconds, 998 with the rest that are well. What the first two,
the giants, cost the others is the ratio of the others' rate to that with the same arrivals and both giants well.

Each round begins with a Mansio that knows nothing and an empty spool, so the time in which it finds out counts: until the
connections to the dead giant have timed out they hold sessions. The two halves of a round follow each other, in an order
that changes, and the median of the rounds' ratios counts.

Once the others answer at once, and what is short is the machine; once they take a while, and what is short is the
transport's sessions, which is what slow mail takes from other mail. A run is to be longer than smtp_connect_timeout (30 s):
a short one is all finding out, and its ratio says nothing of the promise."""
import argparse
import contextlib
import os
import statistics
import subprocess
import tempfile
import time

from figures import GIANTS, table
from machine import end_on_signals, fail, free_port, say, wait_growth
from next_hops import NoAnswer, SlowSink
from resolver import EVERYWHERE, Resolver
from servers import Instance

OTHERS = 998
DEAD, SLOW = "dead.example", "slow.example"
ADDRESSES = {DEAD: "127.0.0.3", SLOW: "127.0.0.4"}
SESSIONS = {"others": 12, DEAD: 4, SLOW: 4}  # of the sources: so each has its part of the mail at any time


def config(port, dns):
    # Answers are kept for the whole run: a name server in Python is not what is measured. All mail comes from one client,
    # and in_flow_delay is for clients: on account of the giants' mail it would slow the others' down.
    return f"""[dns]
servers = ["127.0.0.1:{dns}"]
min_ttl = "1h"
[queue]
in_flow_delay = "0s"
[transport.smtp]
plugin = "transport-smtp"
smtp_tcp_port = {port}
[[route]]
transport = "smtp"
"""


class Arrivals:
    """All sources at once; those still at work are ended in every way out."""

    def __init__(self, args, port, messages):
        self._words = []
        for name, sessions in SESSIONS.items():
            to = ["-t", f"user@d{{d}}.{name}.example", "--domains", str(OTHERS)] if name == "others" else ["-t", f"user@{name}"]
            self._words.append([args.mansio, "source", f"127.0.0.1:{port}", "-m", str(messages[name]), "-s", str(sessions), "-l", "2000", *to])

    def __enter__(self):
        self._errors = tempfile.TemporaryFile()
        self._processes = []
        try:
            for words in self._words:
                self._processes.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=self._errors))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._errors.close()

    def check(self):
        for words, process in zip(self._words, self._processes):
            if process.poll():
                self._errors.seek(0)
                fail(f"{' '.join(words)} ended with {process.returncode}: {self._errors.read().decode(errors='replace').strip()}")

    def wait(self, limit):
        end = time.monotonic() + limit
        for words, process in zip(self._words, self._processes):
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                fail(f"{' '.join(words)} did not end in {limit} s")
        self.check()


def rate(args, total, latency, ill):
    """The others' messages a second until 95 % of theirs have come, and how many of the giants' came with them. Then all of
    the others' must, and none twice."""
    port, others = free_port(), total * 3 // 5
    messages = {"others": others, DEAD: total // 5, SLOW: total // 5}
    what = f"others' mail, giants {'ill' if ill else 'well'}, arrived"
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(SlowSink(args.mansio, EVERYWHERE, port, latency))
        dead = stack.enter_context(NoAnswer(ADDRESSES[DEAD], port, True) if ill else SlowSink(args.mansio, ADDRESSES[DEAD], port, latency))
        slow = stack.enter_context(SlowSink(args.mansio, ADDRESSES[SLOW], port, args.slow * 1000 if ill else latency))
        resolver = stack.enter_context(Resolver(ADDRESSES))
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="mansio-bench-", dir=args.directory))
        os.chmod(directory, 0o755)
        server = Instance(directory, args, config(port, resolver.port))
        stack.callback(server.stop)
        server.start()
        begin, enough = time.monotonic(), int(0.95 * others)
        arrivals = stack.enter_context(Arrivals(args, server.port, messages))
        wait_growth(sink.count, enough, what, check=arrivals.check)
        got, giants = enough / (time.monotonic() - begin), dead.count() + slow.count()
        wait_growth(sink.count, others, what, check=arrivals.check)
        arrivals.wait(300)
        server.kill()  # a stop would wait for the giants, and the next round has a spool of its own
        if sink.count() != others:
            fail(f"{what} {sink.count()} of {others}: some came twice")
    return got, giants


def compare(args, title, total, latency, ends):
    """Prints the case; returns the median of its rounds' ratios. Rounds that would not end in time are not begun."""
    rates, ratios, longest = {False: [], True: []}, [], 0.0
    for round_ in range(args.rounds):
        begin = time.monotonic()
        if ratios and begin + longest > ends:
            say(f"  {round_} rounds of {args.rounds}: another would not have ended within {args.minutes} minutes")
            break
        for ill in (False, True) if round_ % 2 == 0 else (True, False):
            got, giants = rate(args, total, latency, ill)
            rates[ill].append(got)
            say(f"  {title:34} giants {'ill ' if ill else 'well'} {got:8.1f}   of {total} messages; of the giants' {giants} meanwhile")
        ratios.append(rates[True][-1] / rates[False][-1])
        longest = max(longest, time.monotonic() - begin)
    median = statistics.median(ratios)
    say(f"  {title:34} ratio       {median:8.2f}   ({' '.join(f'{r:.2f}' for r in ratios)})")
    return median


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mansio", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--messages", type=int, default=200_000,
                        help="of all destinations, a fifth for each giant; a fifth of that where others take their time")
    parser.add_argument("--latency", type=int, default=200, help="milliseconds that those who take their time take for content")
    parser.add_argument("--slow", type=int, default=5, help="seconds that the slow giant takes for content")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=30, help="no round is begun that would not end by then")
    parser.add_argument("--quick", action="store_true", help="one short round; too short for the promise")
    parser.add_argument("--directory", default=os.environ.get("MANSIO_BENCH_DIR"))
    args = parser.parse_args()
    if args.quick:
        args.messages, args.rounds = min(args.messages, 20_000), 1
    if args.messages < 5000 or args.rounds < 1:
        fail("--messages is at least 5000, and --rounds 1")
    end_on_signals()
    began, values = time.monotonic(), {}
    say(f"{OTHERS + 2} destinations, messages of 2,000 bytes: three fifths to {OTHERS} that are well, a fifth to one whose packets vanish, a fifth "
        f"to one that answers content after {args.slow} s. The others' messages/s until 95 % of theirs have come:")
    cases = (("at_once", "others answer at once", args.messages, 0),
             ("sessions", f"others answer after {args.latency} ms", args.messages // 5, args.latency))
    for i, (key, *case) in enumerate(cases, 1):
        values[key] = compare(args, *case, began + 60 * args.minutes * i / len(cases))
    say("")
    table(GIANTS, values)
    held = all(f.held(values[f.key]) == "yes" for f in GIANTS)
    say(f"\nThe giants cost the others at most a tenth of their rate: {'held' if held else 'not held'}"
        + (" (a short run, in which finding out weighs most)" if args.quick else ""))


main()
