"""Mail through Mansio on a disk whose power is cut: unsynced writes are dropped, torn by sector or kept in any order
(tests/tools/cutdisk.cpp), every process is killed with -9, and the next start has what the disk kept.

What must hold: each acknowledged message is delivered; one that is delivered twice was flagged possible_duplicate;
a message is never anything but whole; nothing is set aside as corrupt, for no such cut damages what was synced.

  cut_run.py --cuts 200 --seed 1      (scripts/soak/diskcut)
"""
import argparse
import collections
import os
import random
import signal
import subprocess
import threading
import time

import namespaces

if __name__ == "__main__":
    namespaces.enter("m", lambda: None)

import kill_run  # noqa: E402
import rig  # noqa: E402

SYNC = 300  # microseconds that a sync takes, in which others write: an SSD's
SESSIONS = 20
LARGE = 50  # one message in so many is larger than what shares a segment


class CutDisk:
    """The disk, mounted on `mountpoint` while its power is on. Only the last start's answers are read."""

    def __init__(self, platter, mountpoint):
        self.platter, self.mountpoint = platter, mountpoint
        os.mkdir(platter, 0o755)
        os.mkdir(mountpoint)
        self.process = None

    def start(self):
        tool = os.path.join(os.environ["MANSIO_TOOLS"], "cutdisk")
        self.process = subprocess.Popen([tool, self.platter, self.mountpoint, str(SYNC)], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answers = collections.deque()
        self.listener = threading.Thread(target=self.listen, args=(self.process, self.answers), daemon=True)
        self.listener.start()
        self.expect("ready")

    @staticmethod
    def listen(process, answers):
        for line in process.stdout:
            answers.append(line.strip())

    def order(self, text):
        self.process.stdin.write(text + "\n")

    def expect(self, answer):
        rig.wait_for(lambda: self.answers or self.process.poll() is not None, f"the disk to say {answer}")
        got = self.answers.popleft() if self.answers else "(it ended)"
        assert got == answer, f"the disk said {got}, not {answer}"

    def save(self):
        self.order("save")
        self.expect("saved")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.stdin.close()  # it unmounts itself
        rig.end_process(self.process, rig.LIMIT)
        self.listener.join()
        self.process.stdout.close()


class Load:
    """Mail without end, until it is told to stop."""

    def __init__(self, port):
        self.injector = kill_run.Injector(port, float("inf"), SESSIONS, 0, LARGE)
        self.thread = threading.Thread(target=self.injector.run, daemon=True)
        self.thread.start()

    def stop(self):
        self.injector.messages = 0
        self.thread.join(rig.LIMIT)
        assert not self.thread.is_alive(), "the injector did not finish"


def end_all(server):
    """kill -9 of every process, the supervisor first, so that it starts no others."""
    children = server.children()
    server.kill()
    for pid in children:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    rig.wait_for(lambda: not any(alive(pid) for pid in children), "the end of every process")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except rig.GONE:
        return False


def cut(disk, server, chance):
    """Power off at the n-th changing call from now on; then the disk is ready for the next start."""
    n = int(2 ** chance.uniform(0, 11))
    disk.order(f"cut {n} {chance.randrange(1, 2 ** 32)}")
    disk.expect("off")
    end_all(server)
    disk.save()
    disk.stop()
    disk.start()


def run(test, cuts, seed):
    chance = random.Random(seed)
    sink = kill_run.Sink(LARGE)
    platter = test.path("platter")
    disk = CutDisk(platter, test.path("mansio-spool"))
    test.addCleanup(disk.stop)
    disk.start()
    config = rig.relay_config(sink.port, extra='ingress_processes = 2') + """
[queue]
minimal_backoff_time = 1
maximal_backoff_time = 2
[segments]
segment_size = "1M"
"""
    config = config.replace('plugin = "transport-smtp"', f'plugin = "transport-smtp"\nprocess_limit = {kill_run.LEASES}\n'
                            f'destination_concurrency_limit = {kill_run.LEASES}\ndestination_concurrency_failed_cohort_limit = 0')
    server = test.mansio(config)
    load = Load(server.port)
    acknowledged = load.injector.acknowledged
    early = 0  # cuts that met a start
    for number in range(1, cuts + 1):
        # Two thirds of the cuts meet a server at work, the others one that still looks at what the last cut left.
        at_work = number % 3 != 0
        if at_work:
            due = len(acknowledged) + chance.randrange(10, 100)
            rig.wait_for(lambda: len(acknowledged) >= due, f"message {due} before cut {number}")
        cut(disk, server, chance)
        early += not server.events("ready")
        os.rename(server.log, f"{server.log}.{number}")  # it is looked through often
        server.start(wait=number == cuts or (number + 1) % 3 != 0)
        if number % 20 == 0:
            print(f"{number} cuts, {len(acknowledged)} acknowledged", flush=True)
    load.stop()
    last = time.monotonic()
    missing = lambda: acknowledged - sink.arrivals.keys()
    try:
        rig.wait_for(lambda: not missing() and server.queue() == [], "every acknowledged message, then an empty queue", 2 * rig.LIMIT)
    except AssertionError:
        print(server.log_text()[-6000:])
        print("missing:", len(missing()), sorted(missing())[:10], [load.injector.ids[t] for t in sorted(missing())[:10]])
        raise
    twice = {token: len(when) - 1 for token, when in sink.arrivals.items() if len(when) > 1}
    flagged = set()
    for number in range(1, cuts + 2):
        flagged |= {e["qid"] for e in server.events("delivery", status="sent") if e.get("possible_duplicate")}
        if number <= cuts:
            rig.no_reports(server.log_text(), server.log)
            os.rename(f"{server.log}.{number}", server.log)
    unflagged = [t for t in twice if not {a.qid for a in sink.seen[t]} <= flagged]
    print(f"cuts {cuts}, {early} of them during a start, acknowledged {len(acknowledged)}, lost {len(missing())}, "
          f"delivered without a 250 {len(sink.arrivals.keys() - acknowledged)}, "
          f"duplicates {sum(twice.values())} of {len(twice)} messages, not flagged {len(unflagged)}, "
          f"all arrived {time.monotonic() - last:.1f} s after the last message", flush=True)
    test.assertEqual(unflagged, [])
    test.assertEqual(sink.broken, [])
    test.assertEqual(sink.notices, [])
    test.assertEqual(os.listdir(os.path.join(server.spool, "corrupt")), [])
    test.assertEqual(server.stop(), 0)
    test.assertIn("; 0 problems", server.cli("spool", "check"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print("seed", args.seed, flush=True)
    case = rig.TestCase()
    case.setUp()
    try:
        run(case, args.cuts, args.seed)
    finally:
        case.doCleanups()
