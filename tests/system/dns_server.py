"""A DNS server of the tests' own: UDP, records from a dictionary {(name, type): [data...]}; a missing name is
NXDOMAIN, a missing type "no data"; names in `silent` are never answered, names in `failing` get SERVFAIL."""
import socket
import struct
import threading

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
NAMES = {v: k for k, v in TYPES.items()}


def encode_name(name):
    out = b""
    for label in name.strip(".").split("."):
        if label:
            out += bytes([len(label)]) + label.encode()
    return out + b"\0"


def encode_data(kind, data):
    if kind == "A":
        return socket.inet_aton(data)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, data)
    if kind == "MX":
        preference, host = data
        return struct.pack("!H", preference) + encode_name(host)
    if kind == "TXT":
        return bytes([len(data)]) + data.encode()
    return encode_name(data)


class DnsServer:
    def __init__(self, records):
        self.records = records
        self.silent = set()
        self.failing = set()
        self.queries = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if len(query) < 12:
                return
            answer = self.answer(query)
            if answer:
                self.socket.sendto(answer, peer)

    def answer(self, query):
        (ident,) = struct.unpack("!H", query[:2])
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        kind = NAMES.get(struct.unpack("!H", query[at + 1:at + 3])[0], "?")
        question = query[12:at + 5]
        name = ".".join(labels)
        self.queries.append((name, kind))
        if name in self.silent:
            return None
        code, answers = 0, []
        if name in self.failing:
            code = 2
        elif not any(n == name for n, _ in self.records):
            code = 3
        else:
            answers = self.records.get((name, kind), [])
        out = struct.pack("!HHHHHH", ident, 0x8580 | code, 1, len(answers), 0, 0) + question
        for data in answers:
            raw = encode_data(kind, data)
            out += b"\xc0\x0c" + struct.pack("!HHIH", TYPES[kind], 1, 60, len(raw)) + raw
        return out

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", ("127.0.0.1", self.port))
        self.thread.join(10)
        self.socket.close()
