"""A name server that, while it is open, says of every name that its address is 127.0.0.2, but for those that it is given
other addresses of; closed, it answers nobody. Not 127.0.0.1: that is an address of this host, to which Mansio refuses to
send other domains' mail."""
import socket
import struct
import threading

from machine import free_port

A = 1
EVERYWHERE = "127.0.0.2"


def question(query):
    """The name that is asked for, in lower case, the type, and where the question ends."""
    labels, end = [], 12
    while query[end]:
        labels.append(query[end + 1:end + 1 + query[end]].decode().lower())
        end += 1 + query[end]
    end += 5  # the root label, type, class
    return ".".join(labels), struct.unpack("!H", query[end - 4:end - 2])[0], end


def reply(query, addresses):
    """`addresses`: of names that are not EVERYWHERE."""
    name, kind, end = question(query)
    address = socket.inet_aton(addresses.get(name, EVERYWHERE))
    answer = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 1, 4) + address if kind == A else b""
    return query[:2] + struct.pack("!HHHHH", 0x8580, 1, bool(answer), 0, 0) + query[12:end] + answer


class Resolver:
    def __init__(self, addresses=None):
        self.port, self._addresses = free_port(), addresses or {}

    def __enter__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", ("127.0.0.1", self.port))  # wakes the thread; closing under it would not
        self._thread.join()
        self._socket.close()

    def reply(self, query):
        return reply(query, self._addresses)

    def _serve(self):
        while True:
            query, peer = self._socket.recvfrom(4096)
            if not query:
                return
            if len(query) > 16:
                self._socket.sendto(self.reply(query), peer)
