"""A server that speaks as the daemon of DSPAM 3.10 does (its client.c, daemon.c and dspam.c): DLMTP with passwords and
DSPAMPROCESSMODE, LMTP with ServerParameters, summaries, --stdout, delivery to a host, signatures and corrections.

Mail with the marker word in its body is spam, until somebody corrects that: a correction by a signature turns the user's
opinion of that body. Users may have preferences as in DSPAM (`optOut`, `spamAction`, `spamSubject`)."""
import contextlib
import itertools
import re
import shlex
import socket
import socketserver
import threading

MARKER = b"viagra"


class Options:
    """What dspam's command line says (agent_shared.c)."""

    def __init__(self, text):
        self.classify = self.summary = self.stdout = False
        self.deliver = set()
        self.signature = self.word = self.source = None
        self.users = []
        self.known = True
        words = iter(shlex.split(text))
        for word in words:
            name, _, value = word.partition("=")
            if name == "--classify":
                self.classify = True
            elif name == "--stdout":
                self.stdout = True
            elif name == "--user":
                self.users.append(next(words))
            elif name == "--deliver":
                for what in value.split(","):
                    self.summary |= what == "summary"
                    self.stdout |= what == "stdout"
                    self.deliver |= {"stdout": {"spam", "innocent"}, "spam": {"spam"}, "innocent": {"innocent"},
                                     "nonspam": {"innocent"}}.get(what, set())
                    self.known &= what in ("summary", "stdout", "spam", "innocent", "nonspam")
            elif name == "--class":
                self.word = {"spam": True, "innocent": False, "nonspam": False}.get(value)
                self.known &= self.word is not None
            elif name == "--source":
                self.source = value
                self.known &= value in ("error", "corpus", "inoculation")
            elif name == "--signature":
                self.signature = value
            elif name == "--mode":
                self.known &= value in ("toe", "teft", "tum", "notrain", "unlearn")
            elif name != "--process":
                self.known = False
        # A class needs a source, the other way round, and neither goes with --classify.
        self.valid = (self.word is None) == (self.source is None) and not (self.classify and self.word is not None)


class DspamServer:
    """`mode`: ServerMode (dspam, standard, auto); `passwords`: {ident: ServerPass}; `parameters`: ServerParameters of LMTP;
    `deliver_to`: (DeliveryHost, DeliveryPort), by SMTP; `path`: ServerDomainSocketPath. `final_dot`: with --deliver=summary it
    ends with a dot also where it has no summary to give, as later versions do; 3.10.2 says that the message was accepted."""

    def __init__(self, mode="dspam", passwords=None, parameters="--deliver=summary --stdout", deliver_to=None, path=None,
                 port=0, preferences=None, final_dot=False):
        self.mode = mode
        self.final_dot = final_dot
        self.passwords = {"mansio": "secret"} if passwords is None else passwords
        self.parameters = parameters
        self.deliver_to = deliver_to
        self.preferences = preferences or {}
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.signatures = {}   # {(user, signature): body}
        self.corrected = {}    # {(user, body): spam}
        self.quarantine = []   # (user, message)
        self.seen = []         # (user, message) of all that was to be judged
        self.senders = []      # of MAIL FROM
        self.connections = 0
        self.sockets = set()
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                with server.lock:
                    server.sockets.add(self.connection)
                with contextlib.suppress(OSError):
                    Session(server, self.rfile, self.wfile).run()
                with server.lock:
                    server.sockets.discard(self.connection)

        if path:
            class Server(socketserver.ThreadingUnixStreamServer):
                daemon_threads = True
            self.server = Server(path, Handler)
            self.port = 0
        else:
            class Server(socketserver.ThreadingTCPServer):
                allow_reuse_address = True
                daemon_threads = True
                request_queue_size = 32
            self.server = Server(("127.0.0.1", port), Handler)
            self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
        with self.lock:
            for connection in self.sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def wants(self, user, name, default=""):
        return self.preferences.get(user, {}).get(name, default)

    def correct(self, user, signature, spam):
        with self.lock:
            body = self.signatures.get((user, signature))
            if body is None:
                return False
            self.corrected[user, body] = spam
            return True

    def judge(self, user, message, sign):
        """(spam, signature or None)"""
        body = message.partition(b"\r\n\r\n")[2]
        with self.lock:
            self.seen.append((user, message))
            spam = self.corrected.get((user, body), MARKER in body)
            if not sign:
                return spam, None
            signature = f"4f6a{next(self.numbers):04x}3481523"
            self.signatures[user, signature] = body
            return spam, signature


class Result:
    def __init__(self, code=250, spam=False, text=""):
        self.code, self.spam, self.text = code, spam, text


class Session:
    """One connection, as process_connection() has it."""

    def __init__(self, server, reader, writer):
        self.server, self.reader, self.writer = server, reader, writer
        self.mode = server.mode
        with server.lock:
            server.connections += 1

    def say(self, text):
        self.writer.write(text.encode() + b"\r\n")

    def line(self):
        line = self.reader.readline()
        if not line:
            raise OSError("closed")
        return line.replace(b"\0", b"").decode("utf-8", "surrogateescape").rstrip("\r\n")

    def expect(self, command):
        """The line with the command; None: RSET."""
        while True:
            line = self.line()
            if line.upper().startswith(command):
                return line
            if line.upper().startswith("QUIT"):
                self.say("221 2.0.0 OK")
                raise OSError("quit")
            if line.upper().startswith("RSET"):
                self.say("250 OK")
                if command != "LHLO":
                    return None
            else:
                self.say(f"503 5.0.0 Need {command} here.")

    def run(self):
        d = "D" if self.mode == "dspam" else ""
        self.say(f"220 DSPAM {d}LMTP 3.10.2 {'Authentication Required' if d else 'Ready'}")
        name = self.expect("LHLO")[5:]
        if self.mode == "auto":
            self.mode = "dspam" if name in self.server.passwords else "standard"
        for extension in ["localhost.localdomain", "PIPELINING", "ENHANCEDSTATUSCODES",
                          *(["DSPAMPROCESSMODE"] if self.mode == "dspam" else []), "8BITMIME"]:
            self.say("250-" + extension)
        self.say("250 SIZE")
        while True:
            self.transaction()

    def authenticate(self):
        """The sender and the options; (None, None): RSET."""
        tries = 0
        while True:
            line = self.expect("MAIL FROM")
            if line is None:
                return None, None
            address = re.search("<([^>]*)", line)
            address = address[1] if address else ""
            with self.server.lock:
                self.server.senders.append(address)
            if self.mode == "standard":
                self.say("250 2.1.0 OK")
                return address, self.server.parameters
            password, _, ident = address.partition("@")
            if ident and self.server.passwords.get(ident) == password:
                mode = re.search(r'DSPAMPROCESSMODE="((?:[^"\\]|\\.)*)"', line)
                self.say("250 2.1.0 OK")
                return "", mode[1].replace('\\"', '"')[:255] if mode else ""
            self.say("503 5.1.0 Authentication Required")
            tries += 1
            if tries >= 3:
                raise OSError("three wrong passwords")

    def transaction(self):
        sender, text = self.authenticate()
        if text is None:
            return
        options = Options(text)
        recipients = []
        while True:
            line = self.line()
            if line.upper().startswith("RCPT TO:"):
                user = re.search("<([^>]*)", line)
                if not user or not user[1] or user[1][0] in "-@":
                    self.say("503 5.1.2 Invalid recipient")
                else:
                    recipients.append(user[1])
                    self.say("250 2.1.5 OK")
            elif line.upper().startswith("RSET"):
                self.say("250 OK")
                return
            elif line.upper().startswith("QUIT"):
                self.say("250 2.0.0 OK")
                raise OSError("quit")
            elif not options.known:
                self.say("554 5.1.0 Unable to initialize agent context")
            elif not recipients:
                self.say("554 5.1.1 No user specified")
            else:
                break
        if not options.valid:
            self.say("503 5.3.5 Agent misconfigured")
            raise OSError("misconfigured")
        if not line.upper().startswith("DATA"):
            self.say("503 5.0.0 Need DATA Here")
            if self.expect("DATA") is None:
                return
        self.say('354 Enter mail, end with "." on a line by itself')
        message = self.message()
        if not message:
            self.say("530 5.2.0 Received a null message")
            raise OSError("no message")
        self.process(sender, recipients, options, message)

    def message(self):
        lines = []
        while True:
            line = self.reader.readline()
            if not line:
                raise OSError("closed")
            line = line.replace(b"\0", b"").rstrip(b"\r\n")  # before it looks for the end, as DSPAM does
            if line == b".":
                return b"".join(lines)
            lines.append((line[1:] if line.startswith(b"..") else line) + b"\r\n")

    def process(self, sender, recipients, options, message):
        self.output = self.server.final_dot and (options.classify or options.summary)
        users = options.users if options.users and self.mode == "standard" else recipients
        results = []
        for i, recipient in enumerate(recipients):
            results.append(self.user(users[min(i, len(users) - 1)], recipient, sender, options, message))
        if self.output:
            self.say(".")
            return
        for recipient, result in zip(recipients, results):
            if result.code == 250:
                word = f": {'SPAM' if result.spam else 'INNOCENT'}" if self.mode == "dspam" else ""
                self.say(f"250 2.6.0 <{recipient}> Message accepted for delivery{word}")
            else:
                self.say(f"{result.code} {'5.3.0' if result.code == 530 else '4.3.0'} <{recipient}> {result.text}")

    def user(self, user, recipient, sender, options, message):
        server = self.server
        if options.word is not None and options.source == "error":
            signature = options.signature or self.signature_in(message)
            done = signature is not None and server.correct(user, signature, options.word)
            if done and options.summary:
                self.summary(user, options.word, signature)
            # As in DSPAM: what could not be corrected is no error.
            return Result(spam=done and options.word)
        if server.wants(user, "optOut") == "on":
            if "innocent" in options.deliver:
                return self.deliver(recipient, sender, options, message, False)
            return Result()
        spam, signature = server.judge(user, message, not options.classify)
        if options.classify or options.summary:
            self.summary(user, spam, signature)
        if options.classify:
            return Result(spam=spam)
        marked = self.marked(user, message, spam, signature)
        if not spam:
            return self.deliver(recipient, sender, options, marked, False) if "innocent" in options.deliver else Result()
        action = server.wants(user, "spamAction", "quarantine")
        if "spam" in options.deliver or action in ("tag", "deliver"):
            return self.deliver(recipient, sender, options, marked, True)
        if not options.summary:
            with server.lock:
                server.quarantine.append((user, marked))
        return Result(spam=True)

    @staticmethod
    def signature_in(message):
        found = re.search(rb"(?:X-DSPAM-Signature: |!DSPAM:)([0-9A-Za-z,]+)", message)
        return found[1].decode() if found else None

    def summary(self, user, spam, signature):
        self.output = True
        word = "Spam" if spam else "Innocent"
        self.writer.write(f'X-DSPAM-Result: {user}; result="{word}"; class="{word}"; probability={float(spam):01.4f}; '
                          f'confidence={0.97:02.2f}; signature={signature or "N/A"}\n'.encode())

    def marked(self, user, message, spam, signature):
        header, _, body = message.partition(b"\r\n\r\n")
        word = "Spam" if spam else "Innocent"
        header += (f"\r\nX-DSPAM-Result: {word}\r\nX-DSPAM-Processed: Thu Jan  1 00:00:00 1970"
                   f"\r\nX-DSPAM-Confidence: 0.9700\r\nX-DSPAM-Probability: {float(spam):01.4f}"
                   f"\r\nX-DSPAM-Signature: {signature}").encode()
        if spam and self.server.wants(user, "spamAction") == "tag":
            prefix = self.server.wants(user, "spamSubject", "[SPAM]").encode()
            header = re.sub(rb"(?m)^Subject: ", b"Subject: " + prefix + b" ", header, count=1)
        return header + b"\r\n\r\n" + body

    def deliver(self, recipient, sender, options, message, spam):
        if options.stdout:
            self.output = True
            self.say(f"X-Daemon-Classification: {'SPAM' if spam else 'INNOCENT'}")
            self.writer.write(message)  # its dots are not stuffed
            return Result(spam=spam)
        try:
            self.hand_over(recipient, sender, message)
        except (OSError, TypeError) as error:
            return Result(421, spam, str(error))
        except ValueError as error:
            return Result(530 if str(error).startswith("5") else 421, spam, str(error))
        return Result(spam=spam)

    def hand_over(self, recipient, sender, message):
        """deliver_socket(): SMTP to DeliveryHost. ValueError: its reply is none that we want."""
        with socket.create_connection(self.server.deliver_to, 60) as peer, peer.makefile("rb") as replies:
            def reply(wanted):
                text = replies.readline().decode().rstrip()
                while text[3:4] == "-":
                    text = replies.readline().decode().rstrip()
                if not text.startswith(wanted):
                    raise ValueError(text)
            reply("220")
            for command, wanted in (("HELO localhost", "250"), (f"MAIL FROM:<{sender}>", "250"),
                                    (f"RCPT TO:<{recipient}>", "250"), ("DATA", "354")):
                peer.sendall(command.encode("utf-8", "surrogateescape") + b"\r\n")
                reply(wanted)
            peer.sendall(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")
            reply("2")
            peer.sendall(b"QUIT\r\n")
            replies.readline()
