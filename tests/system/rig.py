"""What the real-program tests share: a running Mansio, scripted SMTP peers, and waiting for events.

Everything listens on 127.0.0.1 with free ports, lives in one temporary directory a test, and is ended
by process id. Waiting is always for an event, with a generous limit that fails the test.
"""
import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

MANSIO = os.environ["MANSIO"]
PLUGINS = os.environ["MANSIO_PLUGINS"]
FIXTURES = os.environ.get("MANSIO_FIXTURES", "")  # none for what is run by hand
SLOW = int(os.environ.get("MANSIO_SLOW", 1))  # what sanitizers cost; tests/CMakeLists.txt sets it
LIMIT = 60 * SLOW  # seconds until something that hangs fails its test
GONE = (FileNotFoundError, ProcessLookupError)  # what /proc says of a process that ended before, or since it was opened
os.environ.setdefault("ASAN_OPTIONS", "handle_sigill=1")  # what UBSan finds is an illegal instruction, told by ASan


given = []  # for each port that free_port() gave, a socket whose name keeps other tests from it until this one ends


def free_port():
    """Below the range from which the system takes ports for clients: one of those could take it before it is used. So
    could another test that runs now: an abstract name, of the network namespace as ports are, says that it is ours."""
    while True:
        port = random.randrange(10000, 32768)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0mansio-test-port-{port}")
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        given.append(mark)
        return port


def no_reports(text, where):
    """Fails when a sanitizer spoke. Supervised processes are started again, and commands may be meant to fail, so
    that an exit status alone does not tell."""
    for word in ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:"):
        if word in text:
            raise AssertionError(f"{word} spoke in {where}:\n{text[-20000:]}")


def run_program(*args, **kw):
    """A subcommand, its output captured."""
    result = subprocess.run([MANSIO, *args], capture_output=True, text=True, timeout=LIMIT, **kw)
    no_reports(result.stderr, f"mansio {args}")
    return result


def wait_for(condition, what, limit=LIMIT):
    """Polls until condition() is true; its value is returned."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"gave up after {limit} s waiting for {what}")
        time.sleep(0.02)


def wait_for_port(port, limit=LIMIT):
    def up():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False
    wait_for(up, f"port {port}", limit)


class TestCase(unittest.TestCase):
    """Gives each test a directory that every user may enter, and ends what it started."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mansio-test-")
        os.chmod(self.dir, 0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def plugins(self, *names):
        """The test's own plugin directory, with copies of these fixtures and plugins: a plugin in a process of its own may
        read its directory alone, and no link leads out of it."""
        directory = self.path("plugins")
        os.makedirs(directory, exist_ok=True)
        for file in (name + ".so" for name in names):
            if not os.path.exists(os.path.join(directory, file)):
                where = FIXTURES if os.path.exists(os.path.join(FIXTURES, file)) else PLUGINS
                shutil.copy(os.path.join(where, file), directory)
        return directory

    def spawn(self, argv, **kw):
        process = subprocess.Popen(argv, **kw)
        self.addCleanup(end_process, process)
        return process

    def mansio(self, config, **kw):
        server = Mansio(self.dir, config, **kw)
        self.addCleanup(server.close)
        server.start()
        return server

    def client(self, server, helo="client.test"):
        """After EHLO."""
        client = Client(server.port)
        self.addCleanup(client.close)
        self.assertEqual(client.cmd(f"EHLO {helo}")[0], 250)
        return client

    def peer(self, **kw):
        server = Peer(**kw)
        self.addCleanup(server.close)
        return server


def end_process(process, limit=10 * SLOW):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Mansio:
    """A Mansio run from a configuration text. {port} is the SMTP port, {dir} the test's directory. `run_as`: the
    account that starts it and speaks to it, of pwd; root's tests may choose one."""

    def __init__(self, directory, config, single=False, env=None, name="mansio", plugins=PLUGINS, run_as=None):
        self.dir = directory
        self.plugins = plugins
        self.port = free_port()
        self.spool = os.path.join(directory, name + "-spool")
        self.config = os.path.join(directory, name + ".toml")
        self.log = os.path.join(directory, name + ".log")
        self.single = single
        self.env = dict(os.environ, **(env or {}))
        self.process = None
        self.account = {}
        if run_as is not None and os.geteuid() == 0:
            self.account = {"user": run_as.pw_uid, "group": run_as.pw_gid, "extra_groups": []}
            os.mkdir(self.spool, 0o700)
            os.chown(self.spool, run_as.pw_uid, run_as.pw_gid)
        self.write_config(config)

    def write_config(self, config):
        text = config.replace("{port}", str(self.port)).replace("{dir}", self.dir)
        head = f'spool = "{self.spool}"\nplugin_dir = "{self.plugins}"\n'
        before_tables = re.split(r"^\[", text, maxsplit=1, flags=re.M)[0]
        if "user =" not in before_tables and os.geteuid() == 0:
            head += 'user = "nobody"\n'
        # A start fills several segments with zeros; of the default size that is hundreds of megabytes a test.
        foot = "" if "[segments]" in text else '\n[segments]\nsegment_size = "4M"\n'
        with open(self.config, "w") as f:
            f.write(head + text + foot)

    def start(self, wait=True):
        seen = len(self.events("ready"))
        argv = [MANSIO, "run", "--config", self.config] + (["--single"] if self.single else [])
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, stderr=log, stdout=log, env=self.env, **self.account)
        if wait:
            try:
                wait_for(lambda: len(self.events("ready")) > seen or self.process.poll() is not None, "mansio to be ready")
                assert self.process.poll() is None, "mansio ended with %s" % self.process.returncode
            except AssertionError:
                print(open(self.log, errors="replace").read()[-8000:])
                raise

    def log_text(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def events(self, event, **fields):
        """The log's lines of this event with these fields. Others are not parsed: it is asked often, of long logs."""
        found, mark = [], f'"event":{json.dumps(event)}'
        for line in self.log_text().splitlines():
            with contextlib.suppress(ValueError):
                if mark in line and all((parsed := json.loads(line)).get(k) == v for k, v in {"event": event, **fields}.items()):
                    found.append(parsed)
        return found

    def wait_event(self, event, count=1, limit=LIMIT, **fields):
        try:
            return wait_for(lambda: (lambda e: e if len(e) >= count else None)(self.events(event, **fields)),
                            f"{count} log lines {event} {fields}", limit)
        except AssertionError:
            print(self.log_text()[-8000:])
            raise

    def deliveries(self, **fields):
        return self.events("delivery", **fields)

    def wait_deferred(self, count=1, **fields):
        """Until so many recipients were deferred, and no message is under way any more: what becomes of a recipient is
        logged before the whole delivery has ended, and until then a flush, say, does nothing to the message."""
        lines = self.wait_event("delivery", count, status="deferred", **fields)
        wait_for(lambda: all(m["queue_name"] in ("deferred", "hold") for m in self.queue()), "all mail to wait")
        return lines

    def cli(self, *args, check=True):
        result = run_program(*args, "--config", self.config, **self.account)
        if check and result.returncode != 0:
            raise AssertionError(f"mansio {args}: {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout

    def queue(self):
        return [json.loads(line) for line in self.cli("queue", "list", "--json").splitlines() if line.strip()]

    def children(self):
        """{pid: role name} of the living role processes."""
        found = {}
        pid = self.process.pid
        with contextlib.suppress(*GONE), open(f"/proc/{pid}/task/{pid}/children") as children:
            for child in children.read().split():
                with contextlib.suppress(*GONE), open(f"/proc/{child}/comm") as f:
                    found[int(child)] = f.read().strip()
        return found

    def pids(self, role):
        """Of the living role processes whose name begins so."""
        return [pid for pid, name in self.children().items() if name.startswith(role)]

    def stop(self, limit=LIMIT):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(limit)
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        process, self.process = self.process, None
        if process is not None:
            running = process.poll() is None
            end_process(process, LIMIT)
            no_reports(self.log_text(), self.log)
            if running and process.returncode != 0:
                raise AssertionError(f"mansio ended with {process.returncode} when told to stop:\n{self.log_text()[-8000:]}")


class Client:
    """A blunt SMTP client: sends bytes, reads replies."""

    def __init__(self, port, greet=True, host="127.0.0.1", source=None):
        self.sock = socket.create_connection((host, port), LIMIT, source and (source, 0))
        self.file = self.sock.makefile("rb")
        if greet:
            assert self.reply()[0] == 220

    def reply(self):
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return (0, "connection closed")
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            lines.append(text[4:])
            if text[3:4] != "-":
                return (int(text[:3]), "\n".join(lines))

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def cmd(self, text):
        self.send(text + "\r\n")
        return self.reply()

    def message(self, sender, recipients, content, args="", expect=250):
        """One transaction after EHLO; returns the last reply."""
        assert self.cmd(f"MAIL FROM:<{sender}>{args}")[0] == 250
        for r in recipients:
            code, text = self.cmd(f"RCPT TO:<{r}>")
            assert code == 250, text
        assert self.cmd("DATA")[0] == 354
        self.send(content if isinstance(content, bytes) else content.encode())
        self.send(b"\r\n.\r\n")
        reply = self.reply()
        assert reply[0] == expect, reply
        return reply

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


Received = collections.namedtuple("Received", "sender recipients content args")


class Peer:
    """A next hop whose every reply a test chooses: on(command, session, argument) -> reply text, None = default,
    Peer.DROP closes the connection, Peer.STALL answers nothing until the peer is closed. `tls`: an ssl.SSLContext,
    with which STARTTLS is offered; with `wrapped` TLS begins before the greeting instead. `lmtp`: a reply for each
    recipient, and a message in `messages` for each taken."""

    DROP = object()
    STALL = object()

    def __init__(self, on=None, extensions=("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "SIZE 10240000"),
                 address="127.0.0.1", port=0, lmtp=False, tls=None, wrapped=False):
        self.on = on or (lambda command, session, argument: None)
        self.extensions = extensions
        self.lmtp = lmtp
        self.tls = tls
        self.wrapped = wrapped
        self.messages = []
        self.commands = []
        self.connections = 0
        self.lock = threading.Lock()
        self.released = threading.Event()
        peer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    with contextlib.suppress(OSError):
                        peer.session(self)
                finally:
                    self.connection.close()  # which STARTTLS may have put in the place of the one that is closed anyway

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

        self.server = Server((address, port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def count(self):
        with self.lock:
            return len(self.messages)

    def session(self, handler):
        state = {"sender": None, "recipients": [], "args": [], "socket": handler.connection}
        with self.lock:
            self.connections += 1
            state["number"] = self.connections

        def answer(command, default, argument="", taken=None):
            """`taken`: noted before a good reply is sent, for whoever hears it may look for the message at once."""
            with self.lock:
                self.commands.append((command, argument))
            text = self.on(command, state, argument)
            if text is Peer.DROP:
                handler.connection.shutdown(socket.SHUT_RDWR)
                raise OSError("dropped")
            if text is Peer.STALL:
                self.released.wait()
                raise OSError("stalled")
            text = default if text is None else text
            if taken and text[0] == "2":
                with self.lock:
                    self.messages.append(taken)
            handler.wfile.write(text.encode() + b"\r\n")
            return text[0] in "23"

        if self.wrapped:
            self.start_tls(handler)
        answer("CONNECT", "220 peer.test ESMTP")
        while True:
            line = handler.rfile.readline()
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            verb = text.split(" ")[0].upper()
            if verb in ("EHLO", "LHLO"):
                lines = ["peer.test", *self.extensions]
                if self.tls and not isinstance(handler.connection, ssl.SSLSocket):
                    lines.append("STARTTLS")
                answer(verb, "\r\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{l}" for i, l in enumerate(lines)), text)
            elif verb == "STARTTLS" and self.tls:
                if answer(verb, "220 2.0.0 Ready", text):
                    self.start_tls(handler)
            elif verb == "HELO":
                answer(verb, "250 peer.test", text)
            elif verb == "MAIL":
                if answer(verb, "250 2.1.0 Ok", text):
                    state.update(sender=re.search("<(.*?)>", text)[1], recipients=[], args=[text])
            elif verb == "RCPT":
                if answer(verb, "250 2.1.5 Ok", text):
                    state["recipients"].append(re.search("<(.*?)>", text)[1])
                    state["args"].append(text)
            elif verb == "DATA":
                if answer(verb, "354 go on" if state["recipients"] else "554 5.5.1 no valid recipients"):
                    if state["recipients"]:
                        self.content(handler, state, answer)
            elif verb == "RSET":
                answer(verb, "250 2.0.0 Ok")
                state.update(sender=None, recipients=[], args=[])
            elif verb == "QUIT":
                answer(verb, "221 2.0.0 Bye")
                return
            else:
                answer(verb, "250 2.0.0 Ok", text)

    def start_tls(self, handler):
        handler.connection = self.tls.wrap_socket(handler.connection, server_side=True)
        handler.rfile, handler.wfile = handler.connection.makefile("rb"), handler.connection.makefile("wb", 0)

    def content(self, handler, state, answer):
        lines = []
        while True:
            line = handler.rfile.readline()
            if not line:
                return
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        message = Received(state["sender"], list(state["recipients"]), b"".join(lines), list(state["args"]))
        if not self.lmtp:
            answer("DOT", "250 2.0.0 Ok: queued", ",".join(message.recipients), message)
            return
        for recipient in message.recipients:
            answer("DOT", "250 2.0.0 Ok", recipient, message._replace(recipients=[recipient]))


def relay_config(port, extra="", host="127.0.0.1"):
    """Everything is relayed to [host]:port."""
    return f'''
myhostname = "mx.mansio.test"
mydestination = ["mansio.test"]
{extra}
[smtpd]
mynetworks = ["127.0.0.0/8"]
[listener.smtp]
listen = ["127.0.0.1:{{port}}"]
[transport.relay]
plugin = "transport-smtp"
[[route]]
transport = "relay"
nexthop = "[{host}]:{port}"
'''


def maildir_messages(path):
    found = []
    for root, _, files in os.walk(path):
        if os.path.basename(root) == "new":
            found += [os.path.join(root, f) for f in files]
    return found
