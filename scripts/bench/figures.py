"""The figures that are promised, each with its target, and the table that says which of them a run has held."""
from machine import say


class Figure:
    def __init__(self, key, text, target, undone=None, least=False, unit="", digits=2):
        self.key, self.text, self.target, self.undone = key, text, target, undone
        self.least, self.unit, self.digits = least, unit, digits  # least: the target is a lower bound

    def show(self, value):
        return f"{value:.{self.digits}f}{self.unit}"

    def bound(self):
        return (">= " if self.least else "<= ") + f"{self.target:g}{self.unit}"

    def reaches(self, value, bound):
        return value >= bound if self.least else value <= bound

    def held(self, value):
        if self.reaches(value, self.target):
            return "yes"
        return "no" if self.undone is None or self.reaches(value, self.undone) else "not done"


RELAY = [
    Figure("persistent", "end to end, 20 sessions, persistent, against Postfix", 10, 8, True, " x"),
    Figure("straight", "the same against source straight into sink", 0.40, 0.33, True, " x"),
    Figure("cpu", "CPU of all Mansio processes per message, same run", 180, 220, False, " us", 0),
    Figure("connection", "end to end, a connection a message, against Postfix", 8, 6, True, " x"),
    Figure("accept", "accept-only, next hop down, against Postfix", 8, 5, True, " x"),
    Figure("drain", "draining deferred messages into the sink, against Postfix", 6, 4, True, " x"),
    Figure("flushes20", "device flushes per message, 20 sessions", 0.35, 0.50, digits=3),
    Figure("flushes100", "device flushes per message, 100 sessions", 0.10, 0.20, digits=3),
    Figure("written5", "bytes written to the spool per byte of mail, 5 KiB", 1.35, 1.6, False, " x", 3),
    Figure("written100", "bytes written to the spool per byte of mail, 100 KiB", 1.05, 1.1, False, " x", 3),
]

BACKLOG = [
    Figure("memory", "resident memory of the queue process", 128, None, False, " MB", 1),
    Figure("disk", "disk beyond the bodies, per message", 300, None, False, " B", 0),
    Figure("first", "restart after kill -9: to first accepted message", 1, None, False, " s"),
    Figure("index", "restart after kill -9: to complete index", 5, None, False, " s"),
    Figure("memory_after", "resident memory of the queue process 2 s after it", 128, None, False, " MB", 1),
    Figure("qshape", "mansio qshape deferred", 0.3, None, False, " s"),
    Figure("list", "full queue list --json", 15, None, False, " s"),
    Figure("stall", "longest scheduling stall meanwhile", 10, None, False, " ms", 1),
    Figure("accept", "accept rate with the backlog, against an empty spool", 0.9, None, True, " x"),
    Figure("decision", "a scheduling decision, against at a thousand", 1.3, None, False, " x"),
]

FAILOVER = [
    Figure("silent_kept", "one of two exchangers never greets, connections kept, against both up", 0.8, None, True),
    Figure("lost_kept", "one's packets vanish, connections kept, against both up", 0.8, None, True),
    Figure("silent", "one never greets, a connection a message", 0.8, None, True),
    Figure("lost", "one's packets vanish, a connection a message", 0.8, None, True),
]

GIANTS = [
    Figure("at_once", "others' mail a second beside the giants, against both giants well: others answer at once", 0.9, None, True),
    Figure("sessions", "the same where others take their time, so that sessions are short", 0.9, None, True),
]

SIMULATE = [
    Figure("million", "a decision, a million waiting for 100,000 destinations", 2, None, False, " us"),
    Figure("coming", "a decision, ten million that come and go", 2, None, False, " us"),
    Figure("waiting", "a decision, ten million waiting", 2, None, False, " us"),
]

LUA = [
    Figure("empty_us", "an empty hook", 3, None, False, " us"),
    Figure("cached_us", "a hook with a cached lookup", 10, None, False, " us"),
    Figure("suspended_mb", "resident memory of 10,000 suspended coroutines", 60, None, False, " MB", 1),
    Figure("relay", "relay with rcpt and end-of-message hooks, against without", 0.85, None, True, " x"),
    *(Figure(key, f"mail of a listener beside another's whose policy {what}, its breaker open, against one that is well", 0.9, None, True, " x")
      for key, what in (("loop", "loops"), ("bomb", "is a memory bomb"), ("regexp", "has a catastrophic regexp"),
                        ("recursion", "calls itself for ever"), ("hang", "hangs in a wait"))),
]


PLUGIN = [
    Figure("in_process_over_function_ns", "an in-process lookup beyond the plugin's own function", 1000, None, False, " ns", 0),
    Figure("isolated_median_us", "an isolated lookup, one at a time, median", 25, None, False, " us", 1),
    Figure("isolated_pipelined_per_second", "isolated lookups, pipelined", 200_000, None, True, "/s", 0),
    Figure("relay", "relay with its transport isolated, against in the egress process", 0.90, None, True, " x"),
]


def beside_plugins(names):
    """For plugins that break the rules, each in both ways to run it; keys are "NAME/inproc" and "NAME/process"."""
    return [Figure(f"{name}/{mode}", f"mail beside {name}, {how}", 0.9, None, True, " x")
            for name in names for mode, how in (("inproc", "in process, 10 s after its first mail"), ("process", "isolated, from its first mail on"))]


def table(figures, values):
    """Values: by key; one that is missing was not measured, a text says why there is none."""
    undone = any(f.undone is not None for f in figures)
    rows = [("figure", "value", "target", *(("not done below",) if undone else ()), "held")]
    for f in figures:
        value = values.get(f.key, "not measured")
        known = not isinstance(value, str)
        limit = "" if f.undone is None else f"{f.undone:g}{f.unit}"
        rows.append((f.text, f.show(value) if known else value, f.bound(), *((limit,) if undone else ()), f.held(value) if known else "?"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for i, row in enumerate(rows):
        say("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if i == 0:
            say("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def judge(figures, values):
    """The table, and then whether all that was measured is held; what is not it says."""
    table(figures, values)
    missed = [f for f in figures if not isinstance(values.get(f.key, ""), str) and f.held(values[f.key]) != "yes"]
    for f in missed:
        say(f"not held: {f.text}: {f.show(values[f.key])}, expected {f.bound()}")
    return not missed
