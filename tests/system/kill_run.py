"""Mail through Mansio while its processes are killed with -9, the supervisor included.

What must hold: each acknowledged message is delivered at least once; duplicates stay within what was in flight
or not yet synced at the kills (kill_bound.py); all mail has arrived within a minute of the last kill, that which is
still coming in then included.

  kill_run.py --messages 100000 --kills 60 --seed 1      (scripts/soak/kill)
"""
import argparse
import asyncio
import calendar
import collections
import os
import random
import re
import signal
import threading
import time

import kill_bound
import rig

TOKEN = re.compile(rb"X-Token: (\d+)")
QUEUE_ID = re.compile(rb"^Received: [^\0]*?\sid ([0-9A-Z]+)")
KINDS = ("queue", "ingress", "router", "egress", "control", "supervisor")
LEASES = 100  # process_limit of the transport: what can be in flight
MINUTE = 60 * rig.SLOW  # from the last kill until everything is there


def body_of(token, large=0):
    """Every `large`th message is one that gets a segment of its own."""
    if large and token % large == 0:
        return b"%063d\r\n" % token * 20000
    return b"body " * (token % 500) + b"\r\n"


class Sink:
    """An SMTP server that notes every token and when it came. The dot is answered only after it is noted."""

    def __init__(self, large=0):
        self.large = large
        self.arrivals = collections.defaultdict(list)
        self.broken = []  # tokens of messages that did not come as they were sent
        self.notices = []
        self.seen = collections.defaultdict(list)  # kill_bound.Arrival by token
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self.session, "127.0.0.1", 0, backlog=512, limit=4 << 20))
        self.port = self.server.sockets[0].getsockname()[1]
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def session(self, reader, writer):
        opened = time.time()
        try:
            writer.write(b"220 sink ESMTP\r\n")
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    writer.write(b"354 go\r\n")
                    content = await reader.readuntil(b"\r\n.\r\n")
                    token = TOKEN.search(content)
                    if token:
                        qid = QUEUE_ID.search(content)[1].decode()
                        self.seen[int(token[1])].append(kill_bound.Arrival(time.time(), opened, qid))
                        self.arrivals[int(token[1])].append(time.monotonic())
                        if not content.endswith(b"\r\n\r\n" + body_of(int(token[1]), self.large) + b".\r\n"):
                            self.broken.append(int(token[1]))
                    else:  # what Mansio tells the postmaster of deliveries that failed for its own trouble
                        self.notices.append(content)
                    writer.write(b"250 2.0.0 Ok\r\n")
                elif verb == b"EHLO":
                    writer.write(b"250-sink\r\n250 PIPELINING\r\n")
                elif verb == b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                else:
                    writer.write(b"250 2.0.0 Ok\r\n")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()


class Injector:
    """Sends numbered messages over several sessions; a message whose 250 did not come is sent again under a new
    number, so `acknowledged` is exactly what Mansio has promised."""

    def __init__(self, port, messages, sessions, pace, large=0):
        self.port, self.messages, self.pace, self.large = port, messages, pace, large
        self.acknowledged = set()
        self.ids = {}  # queue id by token
        self.next = 0
        self.sessions = sessions

    def token(self):
        self.next += 1
        return self.next

    async def session(self):
        while len(self.acknowledged) < self.messages:
            writer = None
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                await self.expect(reader, b"220")
                writer.write(b"EHLO source\r\n")
                await self.expect(reader, b"250")
                while len(self.acknowledged) < self.messages:
                    token = self.token()
                    writer.write(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
                    for code in (b"250", b"250", b"354"):
                        await self.expect(reader, code)
                    writer.write(b"X-Token: %d\r\nSubject: kill\r\n\r\n%s.\r\n" % (token, body_of(token, self.large)))
                    self.ids[token] = (await self.expect(reader, b"250")).split()[-1].decode()
                    self.acknowledged.add(token)
                    if self.pace:
                        await asyncio.sleep(self.pace)
            except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.02)
            finally:
                if writer:
                    writer.close()

    async def expect(self, reader, code):
        while True:
            line = await asyncio.wait_for(reader.readline(), rig.LIMIT)
            if not line:
                raise ValueError("closed")
            if line[3:4] != b"-":
                break
        if not line.startswith(code):
            raise ValueError(line)
        return line

    def run(self):
        async def every():
            await asyncio.gather(*(self.session() for _ in range(self.sessions)))
        asyncio.run(every())


def victims(server, kind):
    if kind == "supervisor":
        return [server.process.pid]
    return server.pids(kind)


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except rig.GONE:
        return True


def kill(server, kind, pid, probe):
    """Kills, waits until all that ends by it has ended, and starts again what nobody else does."""
    ending = list(server.children()) if kind == "supervisor" else [pid]
    begin = time.time()
    os.kill(pid, signal.SIGKILL)
    if kind == "supervisor":
        server.process.wait()
    rig.wait_for(lambda: all(gone(p) for p in ending), f"the end of the {kind} process")
    end = time.time()
    if kind == "supervisor":
        server.start()
    return kill_bound.Kill(begin, end, kind, probe.window(begin))


def sent_lines(server):
    """When the queue logged a delivery as sent, by queue id."""
    lines = collections.defaultdict(list)
    for line in server.deliveries(status="sent"):
        seconds, fraction = line["time"].rstrip("Z").split(".")
        lines[line["qid"]].append(calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) + float("0." + fraction))
    return lines


def run(test, messages, kills, seed, pace=0.0):
    chance = random.Random(seed)
    sink = Sink()
    config = rig.relay_config(sink.port, extra='ingress_processes = 2') + f"""
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 2
"""
    config = config.replace('plugin = "transport-smtp"', f'plugin = "transport-smtp"\nprocess_limit = {LEASES}\n'
                            f'destination_concurrency_limit = {LEASES}\ndestination_concurrency_failed_cohort_limit = 0')
    server = test.mansio(config)
    injector = Injector(server.port, messages, sessions=20, pace=pace)
    thread = threading.Thread(target=injector.run, daemon=True)
    thread.start()
    killed = []
    probe = kill_bound.Probe(test.path("probe"))
    test.addCleanup(probe.close)
    order = [KINDS[i % len(KINDS)] for i in range(kills)]
    chance.shuffle(order)
    for n, kind in enumerate(order):
        due = messages * (n + 1) // (kills + 1)
        rig.wait_for(lambda: len(injector.acknowledged) >= due, f"message {due}", 10 * rig.LIMIT)
        found = rig.wait_for(lambda: victims(server, kind), f"a {kind} process")
        killed.append(kill(server, kind, chance.choice(found), probe))
    last = killed[-1].begin
    missing = lambda: injector.acknowledged - sink.arrivals.keys()
    try:
        thread.join(last + MINUTE - time.time())
        test.assertFalse(thread.is_alive(), "not everything was taken within a minute of the last kill")
        rig.wait_for(lambda: not missing(), "every acknowledged message within a minute of the last kill",
                     last + MINUTE - time.time())
    except AssertionError:
        print(server.log_text()[-6000:])
        print("still queued:", len(server.queue()), "missing:", len(missing()), sorted(missing())[:10])
        raise
    took = max(times[0] for times in sink.arrivals.values()) - (time.monotonic() - time.time()) - last
    rig.wait_for(lambda: server.queue() == [], "an empty queue", rig.LIMIT)
    found, duplicates, unexcused = kill_bound.judge(sink.seen, sent_lines(server), killed)
    allowed = sum(min(f["in flight"], LEASES) + f["unsynced"] for f in found)
    print(f"acknowledged {len(injector.acknowledged)}, unacknowledged but sent {len(sink.arrivals) - len(injector.acknowledged)}, "
          f"kills {collections.Counter(k.kind for k in killed)}, in flight {sum(f['in flight'] for f in found)}, "
          f"unsynced at most {sum(f['unsynced'] for f in found)} (windows up to {max(k.window for k in killed):.2f} s), "
          f"duplicates {duplicates} (allowed {allowed}), all arrived {took:.1f} s after the last kill", flush=True)
    test.assertEqual(sink.broken, [])
    test.assertEqual(unexcused, [])
    test.assertLessEqual(duplicates, allowed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=100000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print("seed", args.seed)
    case = rig.TestCase()
    case.setUp()
    try:
        run(case, args.messages, args.kills, args.seed)
    finally:
        case.doCleanups()
