"""Mail of one listener beside clients of another, whose policy is a script that fails in some way each time it is asked for a
recipient, in the same ingress processes. Once the breaker has opened the script is to cost no more than one that is well and
says the same to the client. The two take turns, round by round; the median of the ratios counts."""
import contextlib
import os
import socket
import statistics
import threading
import time

from machine import fail, free_port, say, wait_until
from relay import Case, end_to_end
from servers import Sink, relay

CALM = 'return mansio.defer("4.7.1", "not now")'
SINS = {
    "loop": "while true do end",
    "bomb": 'local t = {} while true do t[#t + 1] = ("x"):rep(100000) .. #t end',
    "regexp": 'mansio.re.compile("^(a+)+$"):test(("a"):rep(100) .. "b")',
    "recursion": "local function f() return 1 + f() end return f()",
    "hang": 'mansio.sleep("1d")',
}
OPENS = 10  # s: by then the breaker is open
CLIENTS, PAUSE = 8, 0.1
QUICK = 0.1  # s: an answer that no script was waited for
WARM_UPS = 2  # rounds, after which segments are recycled ones
LISTENER = """[listener.%(name)s]
listen = ["127.0.0.1:%(port)d"]
policies = ["%(name)s"]
soft_error_limit = 1000000
hard_error_limit = 1000000
[policy.%(name)s]
plugin = "lua"
script = "%(script)s"
time_limit = "1s"
"""


class Clients:
    """Some that ask for a recipient again and again, and always hear that it is not now."""

    def __init__(self, port):
        self._port, self._over, self._wrong, self._quick = port, threading.Event(), None, [0] * CLIENTS
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def check(self):
        if self._wrong:
            fail(f"a client of the policy: {self._wrong}")

    def settled(self):
        """The last answers of each came at once."""
        self.check()
        return all(n >= 3 for n in self._quick)

    def _run(self, i):
        try:
            with socket.create_connection(("127.0.0.1", self._port), 60) as s, s.makefile("rb") as replies:
                self._ask(s, replies, None, b"220 ")
                self._ask(s, replies, b"HELO client.example", b"250 ")
                while not self._over.wait(PAUSE):
                    self._ask(s, replies, b"MAIL FROM:<a@example.org>", b"250 ")
                    begin = time.monotonic()
                    self._ask(s, replies, b"RCPT TO:<b@example.net>", b"451 ")
                    self._quick[i] = self._quick[i] + 1 if time.monotonic() - begin < QUICK else 0
                    self._ask(s, replies, b"RSET", b"250 ")
        except (OSError, ValueError) as e:
            self._wrong = self._wrong or str(e)

    @staticmethod
    def _ask(s, replies, command, expected):
        if command:
            s.sendall(command + b"\r\n")
        reply = replies.readline()
        if not reply.startswith(expected):
            raise ValueError(f"{command} was answered with {reply}")


def listeners(directory, ports):
    text = ""
    for name, body in {"calm": CALM, **SINS}.items():
        script = os.path.join(directory, name + ".lua")
        with open(script, "w") as f:
            f.write(f'mansio.on("rcpt", function() {body} end)\n')
        os.chmod(script, 0o644)
        text += LISTENER % {"name": name, "port": ports[name], "script": script}
    return text


def beside_sins(directory, args):
    """By sin: the rate of the other listener's mail against that beside the script that is well."""
    ports = {name: free_port() for name in ("calm", *SINS)}
    case = Case("relay", args)
    rates = {name: [] for name in ports}
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink())
        server = relay(directory, sink.port, args, listener=listeners(directory, ports))
        stack.callback(server.stop)
        server.start()
        for round_ in range(args.rounds + WARM_UPS):
            for name, port in ports.items():
                with Clients(port) as clients:
                    wait_until(clients.settled, f"the breaker of the policy \"{name}\" to open", OPENS)
                    rate = end_to_end(case, f"beside {name}", server.port, sink, server.wait_empty)
                    clients.check()
                if round_ >= WARM_UPS:
                    rates[name].append(rate)
    for name, values in rates.items():
        say(f"  beside {name:9} median {statistics.median(values):6.0f} messages/s   min {min(values):6.0f}   max {max(values):6.0f}")
    return {name: statistics.median(s / c for s, c in zip(rates[name], rates["calm"])) for name in SINS}
