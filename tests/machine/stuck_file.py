"""A file whose reads and writes can be made to hang, as on a network file system whose server is gone: a file system of one
file, served by a process of its own over /dev/fuse (linux/fuse.h, protocol 7.31), in a mount namespace that goes with the
test."""
import ctypes
import errno
import os
import select
import signal
import socket
import stat
import struct

LOOKUP, FORGET, GETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, INIT, OPENDIR, INTERRUPT, BATCH_FORGET = \
    1, 2, 3, 14, 15, 16, 17, 18, 20, 26, 27, 36, 42
WITHOUT_ANSWER = {FORGET, BATCH_FORGET, INTERRUPT}
ASYNC_READ, BIG_WRITES = 1 << 0, 1 << 5
DIRECT_IO = 1 << 0  # of an open file: every request comes here
NEW_NAMESPACE, RECURSIVE, PRIVATE, NO_SUID, NO_DEVICES, DETACH = 0x20000, 0x4000, 1 << 18, 2, 4, 2
MAX_WRITE = 128 << 10
NAME = b"disk.raw"

libc = ctypes.CDLL(None, use_errno=True)


def reason_to_skip():
    """What is missing for such a file; None when nothing is."""
    if os.geteuid() != 0:
        return "only root mounts a file system"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "there is no /dev/fuse"
    return None


class StuckFile:
    """`path` while the object is open. Its requests are answered until `hang`, and again, late ones first, after `let_go`."""

    def __init__(self, folder, size_bytes):
        os.makedirs(folder)
        self._call(libc.unshare, NEW_NAMESPACE)
        self._call(libc.mount, None, b"/", None, RECURSIVE | PRIVATE, None)
        fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
        self._call(libc.mount, b"stuck", str(folder).encode(), b"fuse", NO_SUID | NO_DEVICES, options)
        self.control, theirs = socket.socketpair()
        self.server = os.fork()
        if self.server == 0:
            self.control.close()
            try:
                Server(fuse, theirs, size_bytes).run()
            finally:
                os._exit(0)
        theirs.close()
        os.close(fuse)  # the server's alone: without it every request ends
        self.folder, self.path = str(folder), f"{folder}/{NAME.decode()}"

    @staticmethod
    def _call(function, *arguments):
        if function(*arguments) != 0:
            raise OSError(ctypes.get_errno(), f"{function.__name__}: {os.strerror(ctypes.get_errno())}")

    def _tell(self, word):
        self.control.sendall(word)
        return struct.unpack("<I", self.control.recv(4))[0]

    def hang(self):
        self._tell(b"h")

    def let_go(self):
        self._tell(b"g")

    def waiting(self):
        """How many requests hang."""
        return self._tell(b"w")

    def close(self):
        libc.umount2(self.folder.encode(), DETACH)
        os.kill(self.server, signal.SIGKILL)
        os.waitpid(self.server, 0)


class Server:
    """The file system's side."""

    def __init__(self, fuse, control, size_bytes):
        self.fuse, self.control = fuse, control
        self.bytes = bytearray(size_bytes)
        self.hanging = False
        self.held = []

    def run(self):
        while True:
            ready, _, _ = select.select([self.fuse, self.control], [], [])
            if self.control in ready:
                word = self.control.recv(1)
                if not word:
                    return
                self.hanging = {b"h": True, b"g": False}.get(word, self.hanging)
                if word == b"g":
                    for request in self.held:
                        self.transfer(*request)
                    self.held.clear()
                self.control.sendall(struct.pack("<I", len(self.held)))
            if self.fuse in ready:
                try:
                    self.handle(os.read(self.fuse, MAX_WRITE + 4096))
                except OSError as error:
                    if error.errno not in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                        return  # ENODEV: it is mounted nowhere any more

    def answer(self, unique, data=b"", error=0):
        try:
            os.write(self.fuse, struct.pack("<IiQ", 16 + len(data), -error, unique) + data)
        except FileNotFoundError:
            pass  # nobody waits for it any more

    def attributes(self, node):
        kind, size = (stat.S_IFDIR | 0o755, 0) if node == 1 else (stat.S_IFREG | 0o600, len(self.bytes))
        return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, kind, 1, 0, 0, 0, 4096, 0)

    def handle(self, message):
        _, opcode, unique, node = struct.unpack_from("<IIQQ", message)
        body = message[40:]
        if opcode in (READ, WRITE, FSYNC):
            if self.hanging:
                self.held.append((opcode, unique, body))
            else:
                self.transfer(opcode, unique, body)
        elif opcode == INIT:
            self.answer(unique, struct.pack("<IIIIHHII", 7, 31, 0, ASYNC_READ | BIG_WRITES, 64, 48, MAX_WRITE, 1)
                        + bytes(36))
        elif opcode == LOOKUP:
            if body.rstrip(b"\0") == NAME:
                self.answer(unique, struct.pack("<4QII", 2, 1, 60, 60, 0, 0) + self.attributes(2))
            else:
                self.answer(unique, error=errno.ENOENT)
        elif opcode == GETATTR:
            self.answer(unique, struct.pack("<QII", 60, 0, 0) + self.attributes(node))
        elif opcode in (OPEN, OPENDIR):
            self.answer(unique, struct.pack("<QII", 0, DIRECT_IO, 0))
        elif opcode == STATFS:
            self.answer(unique, struct.pack("<5Q3I", 0, 0, 0, 0, 0, 4096, 255, 4096) + bytes(28))
        elif opcode == RELEASE:
            self.answer(unique)
        elif opcode not in WITHOUT_ANSWER:
            self.answer(unique, error=errno.ENOSYS)

    def transfer(self, opcode, unique, body):
        offset, size = struct.unpack_from("<QI", body, 8)
        if opcode == FSYNC:
            self.answer(unique)
        elif opcode == READ:
            self.answer(unique, bytes(self.bytes[offset:offset + size]))
        else:
            self.bytes[offset:offset + size] = body[40:40 + size]
            self.answer(unique, struct.pack("<II", size, 0))
