"""A unit whose file hangs is aborted in bounded time while another goes on; its late write meets nobody's later one; a
session ends and begins in spite of it, and so does touka-target."""
import json
import pathlib
import signal
import socket
import tempfile
import time

from guest import check, skip
from initiator import ABORT_TASK, BUSY, GOOD, LOGICAL_UNIT_RESET, Initiator, read10, write10
from stuck_file import StuckFile, reason_to_skip
from target import NAME, Target, empty_disk

UNITS = """
[[unit]]
name = "stuck"
type = "disk"
path = "{path}"
[[unit]]
name = "sound"
type = "disk"
path = "sound.raw"
"""
STUCK, SOUND = 0, 1
TEST_UNIT_READY, SYNCHRONIZE_CACHE = bytes(6), b"\x35" + bytes(9)
LIMIT_S = 5         # scsi::kAbortLimitNs
CLOSE_LIMIT_S = 15  # of touka-target
SLACK_S = 5         # of a busy machine
MANY = 32           # more than the kernel has workers for
BLOCK = 512


def in_time(began, what):
    took = time.monotonic() - began
    check(took < LIMIT_S + SLACK_S, f"{what}: after {took:.1f} s")


def take_attentions(initiator):
    for lun in (STUCK, SOUND):
        while initiator.run(lun, TEST_UNIT_READY)[0] != GOOD:
            pass


def sound_unit_works(initiator, value):
    data = bytes([value]) * BLOCK
    began = time.monotonic()
    written, _ = initiator.run(SOUND, write10(value, 1), data=data)
    synchronized, _ = initiator.run(SOUND, SYNCHRONIZE_CACHE)  # for which the kernel takes a worker
    status, read = initiator.run(SOUND, read10(value, 1), BLOCK)
    took = time.monotonic() - began
    return written == synchronized == status == GOOD and read == data and took < LIMIT_S


def given_up(folder):
    """How many tasks touka-target counts as given up."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(f"{folder}/control.sock")
        control.sendall(b'{"command":"ls"}\n')
        with control.makefile() as answer:
            return sum(unit["given_up_tasks"] for unit in json.loads(answer.readline())["units"])


def main():
    if reason := reason_to_skip():
        skip(reason)
    with tempfile.TemporaryDirectory(prefix="touka-stuck-") as folder:
        empty_disk(f"{folder}/sound.raw", 16 << 20)
        try:
            file = StuckFile(f"{folder}/hung", 16 << 20)
        except PermissionError as error:
            skip(f"a file system cannot be mounted here ({error})")
        target = Target(folder, UNITS.format(path=file.path), ["stuck", "sound"])
        try:
            scenario(folder, file, target)
        finally:
            file.close()  # whatever hangs in it ends
            if target.process.poll() is None:
                target.kill()


def scenario(folder, file, target):
    initiator = Initiator(target.address, NAME)
    take_attentions(initiator)
    old, new = b"A" * BLOCK, b"B" * BLOCK
    check(initiator.run(STUCK, write10(0, 1), data=b"0" * BLOCK)[0] == GOOD, "the unit writes")
    check(initiator.run(STUCK, read10(0, 1), BLOCK) == (GOOD, b"0" * BLOCK), "the unit reads")

    file.hang()
    write = initiator.send(STUCK, write10(0, 1), data=old)
    reads = [initiator.send(STUCK, read10(8 * (1 + n), 8), 8 * BLOCK) for n in range(MANY)]
    check(sound_unit_works(initiator, 1), "the sound unit works while the other hangs")
    began = time.monotonic()
    check(initiator.wait(initiator.manage(ABORT_TASK, STUCK, reads[0]))[0] == 0, "ABORT TASK of a read is complete")
    in_time(began, "ABORT TASK was answered")
    began = time.monotonic()
    check(initiator.wait(initiator.manage(LOGICAL_UNIT_RESET, STUCK))[0] == 0, "LOGICAL UNIT RESET is complete")
    in_time(began, "LOGICAL UNIT RESET was answered")
    take_attentions(initiator)
    check(initiator.run(STUCK, write10(0, 1), data=new)[0] == BUSY, "a write to the unit is answered BUSY")
    check(sound_unit_works(initiator, 2), "the sound unit works when all was aborted")
    check(given_up(folder) == 1 + MANY, "the tasks count as given up", given_up(folder))
    check(file.waiting() > 0, "the host still has requests")

    file.let_go()
    deadline = time.monotonic() + SLACK_S
    while (status := initiator.run(STUCK, write10(0, 1), data=new)[0]) == BUSY and time.monotonic() < deadline:
        time.sleep(0.1)
    check(status == GOOD, "the unit writes again once the host has returned")
    check(initiator.run(STUCK, read10(0, 1), BLOCK) == (GOOD, new), "and has what was written last")

    file.hang()
    initiator.send(STUCK, read10(64, 8), 8 * BLOCK)
    check(sound_unit_works(initiator, 3), "the sound unit works while the other hangs again")
    began = time.monotonic()
    again = Initiator(target.address, NAME)  # the same name and ISID: the old session ends first
    check(again.login_status == 0, "the initiator logs in again")
    in_time(began, "the login was answered")
    take_attentions(again)
    check(sound_unit_works(again, 4), "the sound unit works in the new session")

    target.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    log = pathlib.Path(folder, "target.log")
    while "does not let go" not in log.read_text() and time.monotonic() < began + 30:
        time.sleep(0.1)
    check("\"stuck\": the host does not let go" in log.read_text(), "touka-target says which unit it leaves", log.read_text())
    took = time.monotonic() - began
    check(took < CLOSE_LIMIT_S + SLACK_S, f"it ended {took:.1f} s after it was told to")
    file.let_go()  # the kernel ends no process that waits for this file system
    check(target.process.wait(30) == 0, "its exit status is 0", log.read_text())


if __name__ == "__main__":
    main()
