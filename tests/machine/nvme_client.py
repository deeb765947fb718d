"""A driver of an NVMe function behind a vfio-user socket, without a machine: sends what a scenario says and waits for
nothing else. (vfio-user Protocol 0.9; NVM Express Base 2.0)"""
import array
import fcntl
import mmap
import os
import socket
import struct
import time

VERSION, DMA_MAP, REGION_READ, REGION_WRITE, DEVICE_RESET = 1, 2, 9, 10, 13
REGISTERS, CONFIGURATION = 0, 7  # regions
PCI_COMMAND, MEMORY_AND_MASTER = 4, 6
CC, CSTS, AQA, ASQ, ACQ, DOORBELLS = 0x14, 0x1C, 0x24, 0x28, 0x30, 0x1000
ENABLE = 0x00460001  # entries of 64 and 16 bytes
CREATE_SUBMISSION, CREATE_COMPLETION, READ = 1, 5, 2
F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2
MEMORY = 1 << 20
ENTRIES = 16
DATA = 0x10000  # in the memory, after the queues


class Queue:
    def __init__(self, number, submissions, completions):
        self.number, self.submissions, self.completions = number, submissions, completions
        self.tail = self.head = 0
        self.phase = 1


class NvmeClient:
    """One function with an I/O queue once it is `up`."""

    def __init__(self, path, timeout_s=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        self.socket.connect(path)
        self.number = 0
        self._ask(VERSION, struct.pack("<HH", 0, 1) + b'{"capabilities":{}}\0')
        file = os.memfd_create("memory", os.MFD_ALLOW_SEALING)
        os.ftruncate(file, MEMORY)
        fcntl.fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK)
        self.memory = mmap.mmap(file, MEMORY)
        self._ask(DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, MEMORY), file)
        os.close(file)

    def close(self):
        self.socket.close()

    # --- messages ---

    def send(self, command, payload=b"", file=None):
        """@return the number that its reply will have."""
        self.number += 1
        message = struct.pack("<HHIII", self.number, command, 16 + len(payload), 0, 0) + payload
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))] if file is not None else []
        self.socket.sendmsg([message], rights)
        return self.number

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError("the server closed the connection")
            data += piece
        return data

    def reply(self):
        """@return (number, errno, payload) of the next reply."""
        number, _, size, flags, error = struct.unpack("<HHIII", self._exactly(16))
        return number, error if flags & 0x20 else 0, self._exactly(size - 16)

    def nothing_comes(self, seconds):
        self.socket.settimeout(seconds)
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(20)

    def _ask(self, command, payload=b"", file=None):
        number = self.send(command, payload, file)
        answered, error, data = self.reply()
        if answered != number or error:
            raise OSError(error, f"command {command} of vfio-user")
        return data

    def read(self, region, offset, count):
        return int.from_bytes(self._ask(REGION_READ, struct.pack("<QII", offset, region, count))[16:], "little")

    def write(self, region, offset, count, value):
        self._ask(REGION_WRITE, struct.pack("<QII", offset, region, count) + value.to_bytes(count, "little"))

    def reset(self):
        self._ask(DEVICE_RESET)

    # --- the controller ---

    def put(self, queue, opcode, nsid=0, data=0, cdw10=0, cdw11=0, cdw12=0):
        entry = struct.pack("<BBHI16xQQ6I", opcode, 0, queue.tail, nsid, data, 0, cdw10, cdw11, cdw12, 0, 0, 0)
        at = queue.submissions + 64 * queue.tail
        self.memory[at:at + 64] = entry
        queue.tail = (queue.tail + 1) % ENTRIES
        self.write(REGISTERS, DOORBELLS + 8 * queue.number, 4, queue.tail)

    def take(self, queue, seconds=10):
        """@return the next command's status; None if there is none in time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            status = struct.unpack_from("<H", self.memory, queue.completions + 16 * queue.head + 14)[0]
            if status & 1 == queue.phase:
                queue.head = (queue.head + 1) % ENTRIES
                queue.phase ^= queue.head == 0
                self.write(REGISTERS, DOORBELLS + 8 * queue.number + 4, 4, queue.head)
                return status >> 1
            time.sleep(0.001)
        return None

    def up(self):
        """From a reset function to queues that take commands. @return whether it got there."""
        self.memory[:DATA] = bytes(DATA)
        admin, self.io = Queue(0, 0x1000, 0x2000), Queue(1, 0x3000, 0x4000)
        self.write(CONFIGURATION, PCI_COMMAND, 2, MEMORY_AND_MASTER)
        self.write(REGISTERS, AQA, 4, (ENTRIES - 1) << 16 | ENTRIES - 1)
        self.write(REGISTERS, ASQ, 8, admin.submissions)
        self.write(REGISTERS, ACQ, 8, admin.completions)
        self.write(REGISTERS, CC, 4, ENABLE)
        until = time.monotonic() + 10
        while not self.read(REGISTERS, CSTS, 4) & 1:
            if time.monotonic() > until:
                return False
        size_and_number = (ENTRIES - 1) << 16 | 1
        self.put(admin, CREATE_COMPLETION, data=self.io.completions, cdw10=size_and_number, cdw11=1)
        self.put(admin, CREATE_SUBMISSION, data=self.io.submissions, cdw10=size_and_number, cdw11=1 << 16 | 1)
        return self.take(admin) == self.take(admin) == 0

    def put_read(self, block):
        self.put(self.io, READ, nsid=1, data=DATA, cdw10=block)

    def reads(self, block):
        self.put_read(block)
        return self.take(self.io) == 0
