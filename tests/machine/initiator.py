"""An iSCSI initiator of one session that sends what a scenario says and waits for nothing else. (RFC 7143)"""
import socket
import struct

from stream import exactly

COMMAND, MANAGEMENT, LOGIN, RESPONSE, MANAGEMENT_RESPONSE, DATA_IN = 0x01, 0x02, 0x43, 0x21, 0x22, 0x25
ABORT_TASK, LOGICAL_UNIT_RESET = 1, 5
GOOD, CHECK_CONDITION, BUSY = 0x00, 0x02, 0x08


class Initiator:
    def __init__(self, address, target, name="iqn.2026-01.example:initiator", timeout_s=60):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout_s)
        self.tag = self.command_number = 0
        self.answers = {}
        keys = f"InitiatorName={name}\0TargetName={target}\0SessionType=Normal\0ImmediateData=Yes\0".encode()
        header = struct.pack(">BBBB I 6sH I H2x I I 16x", LOGIN, 0x87, 0, 0, len(keys), b"\x40\0\0\0\0\1", 0, 0, 0, 0, 0)
        self.socket.sendall(header + keys + bytes(-len(keys) % 4))
        answer, _ = self._receive()
        self.login_status = struct.unpack_from(">H", answer, 36)[0]

    def close(self):
        self.socket.close()

    def _exactly(self, count):
        return exactly(self.socket, count, "target")

    def _receive(self):
        header = self._exactly(48)
        length = int.from_bytes(header[5:8], "big")
        return header, self._exactly((length + 3) // 4 * 4)[:length]

    def send(self, lun, cdb, expect_bytes=0, data=b""):
        """Sends a command. @return its tag."""
        self.tag += 1
        flags = 0x81 | (0x40 if expect_bytes else 0) | (0x20 if data else 0)
        header = struct.pack(">BB2xI BBHI III I 16s", COMMAND, flags, len(data), 0, lun, 0, 0, self.tag,
                             expect_bytes or len(data), self.command_number, 0, bytes(cdb).ljust(16, b"\0"))
        self.command_number += 1
        self.socket.sendall(header + data + bytes(-len(data) % 4))
        return self.tag

    def manage(self, function, lun, referenced=0xFFFFFFFF):
        """Sends a task management function. @return its tag."""
        self.tag += 1
        self.socket.sendall(struct.pack(">BB2xI BBHI III I I 12x", 0x40 | MANAGEMENT, 0x80 | function, 0, 0, lun, 0, 0,
                                        self.tag, referenced, self.command_number, 0, 0))
        return self.tag

    def wait(self, tag):
        """@return (status or response, data) of a command or function."""
        while tag not in self.answers:
            header, data = self._receive()
            opcode, flags, response, status = header[:4]
            answered = struct.unpack_from(">I", header, 16)[0]
            if opcode == DATA_IN and flags & 0x01:
                self.answers[answered] = (status, data)
            elif opcode == RESPONSE:
                self.answers[answered] = (status, data)
            elif opcode == MANAGEMENT_RESPONSE:
                self.answers[answered] = (response, data)
        return self.answers.pop(tag)

    def run(self, lun, cdb, expect_bytes=0, data=b""):
        return self.wait(self.send(lun, cdb, expect_bytes, data))


def read10(lba, blocks):
    return struct.pack(">BBIBHB", 0x28, 0, lba, 0, blocks, 0)


def write10(lba, blocks):
    return struct.pack(">BBIBHB", 0x2A, 0, lba, 0, blocks, 0)
