"""A vfio-user client that drives an NVMe function, without a machine. (vfio-user 0.1; NVM Express Base 2.0 §3.5.1)"""
import fcntl
import mmap
import os
import socket
import struct
import time

from stream import exactly

F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2
VERSION, DMA_MAP, REGION_READ, REGION_WRITE, DEVICE_RESET = 1, 2, 9, 10, 13
CONFIG, BAR0 = 7, 0
CSTS, CC, AQA, ASQ, ACQ, DOORBELLS = 0x1C, 0x14, 0x24, 0x28, 0x30, 0x1000
CREATE_SUBMISSION, CREATE_COMPLETION, READ = 1, 5, 2
MEMORY_BYTES, DATA, ENTRIES = 1 << 20, 0x2000, 32
QUEUES = ((0, 0x1000), (0x4000, 0x5000))  # of each number: its submissions and completions in the memory
SOCKET_LIMIT_S = 20


class Queue:
    def __init__(self, number):
        self.number = number
        self.submissions, self.completions = QUEUES[number]
        self.tail = self.head = 0  # never wrapped


class Function:
    """A function at a socket, brought up with memory of this process."""

    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(SOCKET_LIMIT_S)
        self.connection.connect(path)
        self.number = 0
        self.call(VERSION, struct.pack("<HH", 0, 1) + b'{"capabilities":{"max_data_xfer_size":1048576}}\0')
        file = os.memfd_create("memory", os.MFD_ALLOW_SEALING)
        os.ftruncate(file, MEMORY_BYTES)
        fcntl.fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK)
        self.memory = mmap.mmap(file, MEMORY_BYTES)
        self.call(DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, MEMORY_BYTES), [file])
        os.close(file)
        self.bring_up()

    def bring_up(self):
        """From a function that is as after power-on."""
        self.memory[:] = bytes(MEMORY_BYTES)
        self.admin_queue = Queue(0)
        self.write(CONFIG, 4, struct.pack("<H", 6))  # memory space, bus master
        self.write(BAR0, AQA, struct.pack("<I", (ENTRIES - 1) | (ENTRIES - 1) << 16))
        self.write(BAR0, ASQ, struct.pack("<Q", self.admin_queue.submissions))
        self.write(BAR0, ACQ, struct.pack("<Q", self.admin_queue.completions))
        self.write(BAR0, CC, struct.pack("<I", 0x00460001))
        deadline = time.monotonic() + 30
        while not struct.unpack("<I", self.read(BAR0, CSTS, 4))[0] & 1:
            if time.monotonic() > deadline:
                raise TimeoutError("the controller does not become ready")
            time.sleep(0.01)

    def close(self):
        self.connection.close()

    # --- messages ---

    def send(self, command, payload=b"", files=()):
        """@return the number that its reply will have."""
        self.number += 1
        message = struct.pack("<HHIII", self.number, command, 16 + len(payload), 0, 0) + payload
        socket.send_fds(self.connection, [message], files)
        return self.number

    def reply(self, wanted):
        while True:
            number, _, size, flags, error = struct.unpack("<HHIII", exactly(self.connection, 16, "server"))
            answer = exactly(self.connection, size - 16, "server")
            if flags & 15 == 1 and number == wanted:
                if flags & 32:
                    raise OSError(error, os.strerror(error))
                return answer

    def call(self, command, payload=b"", files=()):
        return self.reply(self.send(command, payload, files))

    def nothing_comes(self, seconds):
        self.connection.settimeout(seconds)
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.connection.settimeout(SOCKET_LIMIT_S)

    def read(self, region, offset, count):
        return self.call(REGION_READ, struct.pack("<QII", offset, region, count))[16:]

    def write(self, region, offset, data):
        self.call(REGION_WRITE, struct.pack("<QII", offset, region, len(data)) + data)

    # --- commands ---

    def put(self, queue, opcode, nsid=0, data=DATA, cdw10=0, cdw11=0):
        slot = queue.tail % ENTRIES
        command = struct.pack("<IIQQQQIIIIII", opcode | slot << 16, nsid, 0, 0, data, data + 4096, cdw10, cdw11, 0, 0, 0, 0)
        at = queue.submissions + slot * 64
        self.memory[at:at + 64] = command
        queue.tail += 1
        self.write(BAR0, DOORBELLS + 8 * queue.number, struct.pack("<I", queue.tail % ENTRIES))

    def take(self, queue):
        """@return the status of the command that is over next."""
        slot, phase = queue.head % ENTRIES, 1 - queue.head // ENTRIES % 2
        deadline = time.monotonic() + 30
        while True:
            status = struct.unpack_from("<H", self.memory, queue.completions + slot * 16 + 14)[0]
            if status & 1 == phase:
                break
            if time.monotonic() > deadline:
                raise TimeoutError("no completion")
            time.sleep(0.01)
        queue.head += 1
        self.write(BAR0, DOORBELLS + 8 * queue.number + 4, struct.pack("<I", queue.head % ENTRIES))
        return status >> 1

    def run(self, queue, opcode, **words):
        self.put(queue, opcode, **words)
        if status := self.take(queue):
            raise OSError(f"status {status:#x}")

    def admin(self, opcode, length, nsid=0, cdw10=0):
        """@return `length` bytes, at most two pages, that the command gave."""
        self.memory[DATA:DATA + length] = bytes(length)
        self.run(self.admin_queue, opcode, nsid=nsid, cdw10=cdw10)
        return bytes(self.memory[DATA:DATA + length])

    def identify(self, cns, nsid=0):
        return self.admin(6, 4096, nsid, cns)

    def log_page(self, page, length):
        return self.admin(2, length, 0xFFFFFFFF, page | (length // 4 - 1) << 16)

    def make_io_queue(self):
        self.io_queue = Queue(1)
        size_and_number = (ENTRIES - 1) << 16 | 1
        self.run(self.admin_queue, CREATE_COMPLETION, data=self.io_queue.completions, cdw10=size_and_number, cdw11=1)
        self.run(self.admin_queue, CREATE_SUBMISSION, data=self.io_queue.submissions, cdw10=size_and_number, cdw11=1 << 16 | 1)

    def read_block(self, block):
        """Of namespace 1, into the data's memory."""
        self.run(self.io_queue, READ, nsid=1, cdw10=block)
