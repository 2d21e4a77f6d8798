"""What the benchmarks ask of the machine: ports and waits that end, processes with what they have used, and the disk.

Every wait has a limit, and every failure is one sentence and exit status 1: a figure from a run that went wrong is worse
than none."""
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

PROBES = 100  # syncs by which the disk is measured
NO_DISK = ("tmpfs", "ramfs", "overlay", "aufs", "fuse.fuse-overlayfs")  # nothing is synced there, or not where it seems


def fail(text):
    raise SystemExit("error: " + text)


def end_on_signals():
    """SIGTERM takes the same way out as Ctrl-C, past every clean-up."""
    signal.signal(signal.SIGTERM, lambda *_: fail("ended by SIGTERM"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, limit, step=0.05):
    end = time.monotonic() + limit
    while not (got := condition()):
        if time.monotonic() > end:
            fail(f"after {limit} s, still waiting for {what}")
        time.sleep(step)
    return got


def wait_port(port, limit=60, host="127.0.0.1"):
    def up():
        try:
            socket.create_connection((host, port), 1).close()
            return True
        except OSError:
            return False

    wait_until(up, f"something that listens on port {port}", limit)


def wait_growth(count, wanted, what, stall=60, step=0.002, check=lambda: None):
    """Until count() is `wanted`. The time it may take depends on the machine, so what ends the wait is no progress."""
    seen, moved = count(), time.monotonic()
    while seen < wanted:
        check()
        time.sleep(step)
        now = count()
        if now != seen:
            seen, moved = now, time.monotonic()
        elif time.monotonic() - moved > stall:
            fail(f"{what}: {seen} of {wanted}, and no more for {stall} s")


def wait_quiet(count, what, limit=60, still=1.0):
    """Until count() has not changed for a while."""
    def same():
        before = count()
        time.sleep(still)
        return count() == before

    wait_until(same, what, limit)


def output(words, limit=120, to=None, **more):
    """What a tool prints, or the empty text if that goes to a file; the tool must succeed."""
    try:
        with open(to or os.devnull, "w") as file:
            out = file if to else subprocess.PIPE
            got = subprocess.run(words, stdout=out, stderr=subprocess.PIPE, text=True, timeout=limit, **more)
    except subprocess.TimeoutExpired:
        fail(f"{' '.join(words)} did not end in {limit} s")
    if got.returncode:
        fail(f"{' '.join(words)} said:\n{got.stdout or ''}{got.stderr}")
    return got.stdout or ""


def processes(pid):
    """A process and its living descendants."""
    found, stack = [], [pid]
    while stack:
        p = stack.pop()
        try:
            children = [int(c) for t in os.listdir(f"/proc/{p}/task") for c in open(f"/proc/{p}/task/{t}/children").read().split()]
        except OSError:
            continue
        found.append(p)
        stack += children
    return found


def cpu_seconds(pid):
    """Of a process, its living descendants, and the children they have reaped."""
    total, ticks = 0.0, os.sysconf("SC_CLK_TCK")
    for p in processes(pid):
        try:
            fields = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
            total += sum(int(x) for x in fields[11:15]) / ticks
        except OSError:
            pass
    return total


def own_cpu_seconds(pid):
    """Of all threads of one process, to the nanosecond."""
    tasks = os.listdir(f"/proc/{pid}/task")
    return sum(int(open(f"/proc/{pid}/task/{t}/schedstat").read().split()[0]) for t in tasks) / 1e9


def dirtied_bytes(pid):
    """What a process and its living descendants have written to the page cache; good for telling whether they still do.
    Not for amounts: a kernel with large folios counts all of a folio (64 KiB and more) when one page of it is written."""
    return sum(int(re.search(r"^write_bytes: (\d+)", open(f"/proc/{p}/io").read(), re.M)[1]) for p in processes(pid))


class Disk:
    """The disk under a directory: refused where a sync costs nothing, measured, and its flushes counted if it counts them."""

    def __init__(self, directory):
        self.directory = os.path.realpath(directory)
        self.kind, source = self._mount()
        if self.kind in NO_DISK:
            fail(f"{self.directory} is on {self.kind}, where a sync does not reach a disk and every ratio would be "
                 "meaningless; name a directory on a real file system with --directory")
        self._stat = self._whole_disk(source)
        self.sync_ms, self.counts_flushes = self._probe()

    def _mount(self):
        best, kind, source = "", "unknown", ""
        for line in open("/proc/self/mountinfo"):
            mount, _, device = line.partition(" - ")
            point = re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), mount.split()[4])
            inside = self.directory == point or self.directory.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):  # the later of two on one point is on top
                best, (kind, source) = point, device.split()[:2]
        return kind, source

    def _whole_disk(self, source):
        """Its statistics: the kernel counts flushes of the whole disk, never of a partition."""
        numbers = [os.stat(self.directory).st_dev]
        if os.path.exists(source):
            numbers.append(os.stat(source).st_rdev)  # btrfs and the like have a device number of their own
        for device in numbers:
            path = os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
            if os.path.exists(os.path.join(path, "partition")):
                path = os.path.dirname(path)
            if os.path.exists(os.path.join(path, "stat")):
                return os.path.join(path, "stat")
        return None

    def _field(self, n):
        fields = open(self._stat).read().split() if self._stat else []
        return int(fields[n]) if len(fields) > n else None

    def flushes(self):
        """Completed so far, of all programs together; None: there is no such count."""
        return self._field(15)

    def written(self):
        """Bytes so far, of all programs together; None: there is no such count."""
        sectors = self._field(6)
        return None if sectors is None else sectors * 512

    def _probe(self):
        """Median of a sync of one page that the file has already; and whether the count of flushes rose with each."""
        name, page, times = os.path.join(self.directory, "probe"), os.urandom(4096), []
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.pwrite(file, bytes(4096 * PROBES), 0)
            os.fsync(file)
            before = self.flushes()
            for i in range(PROBES):
                os.pwrite(file, page, 4096 * i)
                begin = time.monotonic()
                os.fdatasync(file)
                times.append(time.monotonic() - begin)
            after = self.flushes()
        finally:
            os.close(file)
            os.unlink(name)
        return statistics.median(times) * 1000, before is not None and after - before >= 0.9 * PROBES

    def describe(self):
        text = f"{self.directory}: {self.kind}, fdatasync of 4 KiB takes {self.sync_ms:.2f} ms (median of {PROBES})"
        if self.sync_ms < 0.02:
            text += "; so fast a disk does not sync, and the ratios below say little"
        if self._stat is None:
            return text + "; it has no statistics"
        flushes, written, begin = self.flushes(), self.written(), time.monotonic()
        time.sleep(2)
        seconds = time.monotonic() - begin
        text += f"; other programs write {(self.written() - written) / seconds / 1e6:.2f} MB/s to the disk just now"
        if not self.counts_flushes:
            return text + "; it does not count flushes"
        return text + f" and flush it {(self.flushes() - flushes) / seconds:.1f} times/s"


def say(*words):
    print(*words)
    sys.stdout.flush()
