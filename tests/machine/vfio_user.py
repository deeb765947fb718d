"""A vfio-user client that drives the admin queue of an NVMe function, without a machine. (vfio-user 0.1; NVM Express Base
2.0 §3.5.1)"""
import fcntl
import mmap
import os
import socket
import struct
import time

F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2
VERSION, DMA_MAP, REGION_READ, REGION_WRITE = 1, 2, 9, 10
CONFIG, BAR0 = 7, 0
CSTS, CC, AQA, ASQ, ACQ, DOORBELL = 0x1C, 0x14, 0x24, 0x28, 0x30, 0x1000
MEMORY_BYTES, COMPLETIONS, DATA, ENTRIES = 1 << 20, 0x1000, 0x2000, 32


class Function:
    """A function at a socket, brought up with memory of this process."""

    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(20)
        self.connection.connect(path)
        self.number = 0
        self.call(VERSION, struct.pack("<HH", 0, 1) + b'{"capabilities":{"max_data_xfer_size":1048576}}\0')
        file = os.memfd_create("memory", os.MFD_ALLOW_SEALING)
        os.ftruncate(file, MEMORY_BYTES)
        fcntl.fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK)
        self.memory = mmap.mmap(file, MEMORY_BYTES)
        self.call(DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, MEMORY_BYTES), [file])
        os.close(file)
        self.tail = 0
        self.write(CONFIG, 4, struct.pack("<H", 6))  # memory space, bus master
        self.write(BAR0, AQA, struct.pack("<I", (ENTRIES - 1) | (ENTRIES - 1) << 16))
        self.write(BAR0, ASQ, struct.pack("<Q", 0))
        self.write(BAR0, ACQ, struct.pack("<Q", COMPLETIONS))
        self.write(BAR0, CC, struct.pack("<I", 0x00460001))
        deadline = time.monotonic() + 30
        while not struct.unpack("<I", self.read(BAR0, CSTS, 4))[0] & 1:
            if time.monotonic() > deadline:
                raise TimeoutError("the controller does not become ready")
            time.sleep(0.01)

    def close(self):
        self.connection.close()

    def receive(self, count):
        data = b""
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise ConnectionError("the server closed the connection")
            data += piece
        return data

    def call(self, command, payload, files=()):
        self.number += 1
        message = struct.pack("<HHIII", self.number, command, 16 + len(payload), 0, 0) + payload
        socket.send_fds(self.connection, [message], files)
        while True:
            number, _, size, flags, error = struct.unpack("<HHIII", self.receive(16))
            answer = self.receive(size - 16)
            if flags & 15 == 1 and number == self.number:
                if flags & 32:
                    raise OSError(error, os.strerror(error))
                return answer

    def read(self, region, offset, count):
        return self.call(REGION_READ, struct.pack("<QII", offset, region, count))[16:]

    def write(self, region, offset, data):
        self.call(REGION_WRITE, struct.pack("<QII", offset, region, len(data)) + data)

    def admin(self, opcode, length, nsid=0, cdw10=0):
        """@return `length` bytes, at most two pages, that the command gave; -1 and less: its status."""
        self.memory[DATA:DATA + length] = bytes(length)
        slot = self.tail % ENTRIES
        command = struct.pack("<IIQQQQIIIIII", opcode | (self.tail + 1) << 16, nsid, 0, 0, DATA, DATA + 4096, cdw10, 0, 0, 0, 0, 0)
        self.memory[slot * 64:slot * 64 + 64] = command
        phase = 1 - self.tail // ENTRIES % 2
        self.tail += 1
        self.write(BAR0, DOORBELL, struct.pack("<I", self.tail % ENTRIES))
        deadline = time.monotonic() + 30
        while True:
            entry = struct.unpack_from("<IIHHHH", self.memory, COMPLETIONS + slot * 16)
            if entry[5] & 1 == phase:
                break
            if time.monotonic() > deadline:
                raise TimeoutError("no completion")
            time.sleep(0.01)
        self.write(BAR0, DOORBELL + 4, struct.pack("<I", self.tail % ENTRIES))
        if entry[5] >> 1:
            raise OSError(f"status {entry[5] >> 1:#x}")
        return bytes(self.memory[DATA:DATA + length])

    def identify(self, cns, nsid=0):
        return self.admin(6, 4096, nsid, cns)

    def log_page(self, page, length):
        return self.admin(2, length, 0xFFFFFFFF, page | (length // 4 - 1) << 16)
