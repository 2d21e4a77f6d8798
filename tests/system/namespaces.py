"""Tests that need a network or a mount of their own: the test file runs itself again inside namespaces.

As root with `unshare`; as anyone else in a user namespace, and once the addresses and mounts are there in a second one
that has the caller's own user ID again, because a program that sees user ID 0 would try to become somebody else."""
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile

STAGE = "MANSIO_TEST_NAMESPACES"
SIOCSIFADDR, SIOCSIFFLAGS = 0x8916, 0x8914
IFF_UP, IFF_RUNNING = 0x1, 0x40


def enter(flags, set_up):
    """Called first by a test file: returns once the process is inside. `flags`: "n" and "m", as unshare(1) has them."""
    stage, _, owner = os.environ.get(STAGE, "").partition(":")
    if stage == "done":
        return
    if stage == "set up":
        set_up()
        if os.getuid() == 0 and owner == "0:0":
            os.environ[STAGE] = "done"
            return
        uid, gid = owner.split(":")
        again(["unshare", "-U", f"--map-user={uid}", f"--map-group={gid}"], "done")
    if os.geteuid() == 0:
        again(["unshare", f"-{flags}"], "set up:0:0")
    again(["unshare", f"-r{flags}"], f"set up:{os.getuid()}:{os.getgid()}")


def again(prefix, stage):
    # Not exec: the way into the namespaces may be closed, and the failure must be this program's.
    result = subprocess.run([*prefix, sys.executable, *sys.argv], env=dict(os.environ, **{STAGE: stage}))
    sys.exit(result.returncode)


def add_addresses(*addresses):
    """IPv4 addresses on the loopback interface of the new network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        def name(text):
            return struct.pack("16s", text.encode())
        fcntl.ioctl(s, SIOCSIFFLAGS, name("lo") + struct.pack("h22x", IFF_UP | IFF_RUNNING))
        for i, address in enumerate(addresses):
            fcntl.ioctl(s, SIOCSIFADDR, name(f"lo:{i}") + struct.pack("HH4s16x", socket.AF_INET, 0, socket.inet_aton(address)))


def mount_tmpfs(size):
    """A file system that is soon full; its directory, which only processes in this namespace see."""
    directory = tempfile.mkdtemp(prefix="mansio-tmpfs-")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", directory.encode(), b"tmpfs", 0, f"size={size},mode=1777".encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount", directory)
    return directory
