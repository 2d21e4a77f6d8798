"""Next hops that are not as one wishes: one that takes its time, and one that does not answer."""
import contextlib
import os
import re
import socket
import subprocess
import threading
import time

from machine import wait_port


class SlowSink:
    """mansio sink that answers content after a while; its running counter tells how many messages have come."""

    def __init__(self, mansio, host, port, latency, *more):
        """`latency`: milliseconds; 0: it answers at once. `more`: further options."""
        self._words = [mansio, "sink", f"{host}:{port}", "-c", *(["--delay", f"DATA_END:{latency}ms"] if latency else []), *more]
        self._host, self._port, self._last = host, port, 0

    def __enter__(self):
        self._out = os.memfd_create("sink")
        self._process = subprocess.Popen(self._words, stdout=subprocess.DEVNULL, stderr=self._out)
        try:
            wait_port(self._port, host=self._host)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._out)

    def count(self):
        size = os.fstat(self._out).st_size
        found = re.findall(rb"mesg=(\d+)\r", os.pread(self._out, 200, max(0, size - 200)))
        self._last = max(self._last, int(found[-1]) if found else 0)
        return self._last


class NoAnswer:
    """In a sink's place: takes connections and says nothing, or, with `lost`, does not even take them."""

    def __init__(self, host, port, lost):
        self._at, self._lost, self._held = (host, port), lost, []

    def __enter__(self):
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(self._at)
        self._socket.listen(0 if self._lost else 1000)
        if self._lost:  # once its queue is full the kernel drops every further SYN
            for _ in range(3):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex(self._at)
                self._held.append(s)
            time.sleep(0.2)
        else:
            self._thread = threading.Thread(target=self._take, daemon=True)
            self._thread.start()
        return self

    def _take(self):
        with contextlib.suppress(OSError):
            while True:
                self._held.append(self._socket.accept()[0])

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if not self._lost:
            self._thread.join()
        for s in self._held:
            s.close()

    def count(self):
        return 0
