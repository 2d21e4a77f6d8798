"""How often a message may arrive twice when processes are killed, judged arrival by arrival.

A delivery may be repeated only if a kill met it in flight (the next hop had it, the queue had not yet been told) or
reported but not yet synced. So each arrival that another one of the same message follows must have such a kill of its
own; what happened at another time, and a kill that loses nothing of it, excuse nothing.
"""
import collections
import os
import threading
import time

from rig import SLOW

INTERVAL = 0.05  # outcome_sync_interval, its default
AGAIN = 5 * SLOW  # by when an egress process has told the next queue what the last did not sync

# A message at the next hop. `opened`: when its connection was, `at`: when its content was complete.
Arrival = collections.namedtuple("Arrival", "at opened qid")
# `begin`: before the signal; `end`: every process that ends by it has ended. `window`: how long before it an outcome may
# have been reported and be unsynced.
Kill = collections.namedtuple("Kill", "begin end kind window")


def found_by(kill, arrival, reported):
    """"in flight", "unsynced" or None: what the kill found of this delivery. `reported`: when the queue logged it, or
    None. A process that is killed leaves bytes in its connections, which the next hop reads later; a new process opens
    new ones."""
    if arrival.at > kill.end and (kill.kind == "queue" or arrival.opened > kill.end):
        return None
    if reported is None or reported >= kill.begin:
        return "in flight"
    return "unsynced" if reported >= kill.begin - kill.window else None


def excuse(arrival, reported, following, kills):
    """(number of the kill that lost this delivery's outcome, what it found), or None.

    The supervisor takes all with it. An egress process takes what it has not told the queue, which lives and will sync.
    The queue takes nothing: what it had not synced an egress process still has, and tells the next queue; unless that
    process dies before it can."""
    untold = False
    for number, kill in enumerate(kills):
        if kill.kind not in ("queue", "egress", "supervisor") or following is not None and kill.begin >= following:
            continue
        found = found_by(kill, arrival, reported)
        if kill.kind == "queue":
            untold = kill.end + AGAIN if found == "unsynced" else untold
        elif found == "in flight" or (found and kill.kind == "supervisor"):
            return number, found
        elif untold and kill.begin <= untold:
            return number, "unsynced"
    return None


def attempts(arrivals, lines):
    """(arrival, when it was reported or None, when the next one came or None) of one message's arrivals in their order. An
    outcome may be reported again to a queue that was started anew: the last line before the next arrival counts."""
    for i, arrival in enumerate(arrivals):
        following = arrivals[i + 1].at if i + 1 < len(arrivals) else None
        # The log cuts its time to milliseconds.
        own = [at for at in lines if arrival.at - 0.001 <= at and (following is None or at < following)]
        yield arrival, max(own, default=None), following


def judge(messages, lines, kills):
    """messages: token -> [Arrival]; lines: queue id -> [time of a delivery line with status sent]; kills in their order.
    Returns what each kill found, as Counters, the number of duplicates, and those that no kill excuses."""
    found = [collections.Counter() for _ in kills]
    duplicates, unexcused = 0, []
    for token, arrivals in messages.items():
        arrivals = sorted(arrivals)
        for arrival, reported, following in attempts(arrivals, lines.get(arrivals[0].qid, [])):
            lost = excuse(arrival, reported, following, kills)
            if lost:
                found[lost[0]][lost[1]] += 1
            if following is not None:
                duplicates += 1
                if not lost:
                    unexcused.append((token, arrival, reported))
    return found, duplicates, unexcused


class Probe:
    """Does what the queue's journal does, to know how late it may be here and now: waits for the interval, appends,
    syncs. `window(t)`: the interval and what it took besides, at most, in the second before t; twice, because an
    outcome that comes when one batch is being written waits for that and then for its own."""

    def __init__(self, path):
        self.path, self.rounds, self.ending = path, collections.deque(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with open(self.path, "wb") as f:
            while not self.ending.is_set():
                began = time.time()
                self.ending.wait(INTERVAL)
                f.write(bytes(4096))
                f.flush()
                os.fdatasync(f.fileno())
                self.rounds.append((time.time(), time.time() - began))

    def window(self, t):
        recent = [took for ended, took in list(self.rounds) if ended >= t - 1]
        return 2 * max(recent, default=INTERVAL)

    def close(self):
        self.ending.set()
        self.thread.join()
