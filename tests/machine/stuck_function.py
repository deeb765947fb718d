"""A function whose file hangs is reset: its server waits for the file, and nobody else waits for it, be it another
function of the same process or who looks at its state."""
import subprocess
import tempfile
import time

from guest import check, skip
from served_device import DEVICE, ask
from stuck_file import StuckFile, reason_to_skip
from vfio_user import DEVICE_RESET, READ, Function

CONFIGURATION = """control = "control.sock"
[[device]]
name = "stuck"
type = "nvme"
[[device.namespace]]
path = "{path}"
[[device.function]]
socket = "stuck.sock"
[[device]]
name = "sound"
type = "nvme"
[[device.namespace]]
path = "sound.raw"
[[device.function]]
socket = "sound.sock"
"""
SIZE = 16 << 20
SOON_S = 3  # on a busy machine


def soon(what, call):
    began = time.monotonic()
    result = call()
    took = time.monotonic() - began
    check(took < SOON_S, f"{what}, after {took:.1f} s")
    return result


def scenario(folder, file):
    stuck, sound = Function(f"{folder}/stuck.sock"), Function(f"{folder}/sound.sock")
    for each in (stuck, sound):
        soon("a function reads", lambda: (each.make_io_queue(), each.read_block(0)))

    file.hang()
    stuck.put(stuck.io_queue, READ, nsid=1, cdw10=1)
    until = time.monotonic() + 5
    while file.waiting() == 0 and time.monotonic() < until:
        time.sleep(0.01)
    reset = stuck.send(DEVICE_RESET)
    check(file.waiting() > 0 and stuck.nothing_comes(0.5), "the reset waits for the read")

    soon("the other function reads", lambda: sound.read_block(1))
    soon("the other function is reset", lambda: sound.call(DEVICE_RESET))
    soon("the other controller is up again", sound.bring_up)
    listing = soon("the functions are listed", lambda: ask(f"{folder}/control.sock", command="ls"))
    functions = {each["device"]: each for each in listing["functions"]}
    check(functions["stuck"]["busy"] and not functions["sound"]["busy"], "one of them is busy", functions)
    check(functions["sound"]["connected"], "the other one is connected", functions)

    file.let_go()
    soon("the reset is done when the file has answered", lambda: stuck.reply(reset))
    soon("the function works again", lambda: (stuck.bring_up(), stuck.make_io_queue(), stuck.read_block(1)))
    stuck.close()
    sound.close()


def main():
    if reason := reason_to_skip():
        skip(reason)
    with tempfile.TemporaryDirectory(prefix="touka-stuck-") as folder:
        with open(f"{folder}/sound.raw", "wb") as sound:
            sound.truncate(SIZE)
        try:
            file = StuckFile(f"{folder}/hung", SIZE)
        except PermissionError as error:
            skip(f"a file system cannot be mounted here ({error})")
        with open(f"{folder}/device.toml", "w") as configuration:
            configuration.write(CONFIGURATION.format(path=file.path))
        device = subprocess.Popen([DEVICE, f"{folder}/device.toml"], stderr=subprocess.PIPE, text=True)
        try:
            for _ in range(2):
                line = device.stderr.readline()
                check(line.startswith("touka-device: "), line.strip(), line)
            scenario(folder, file)
            device.terminate()
            check(device.wait(20) == 0, "touka-device ends")
        finally:
            file.close()
            device.kill()
            device.wait()


if __name__ == "__main__":
    main()
