"""A function whose file hangs is reset: its server waits for the file, and nobody else waits for it, be it another
function of the same process or who looks at its state."""
import subprocess
import tempfile
import time

from guest import check, skip
from nvme_client import DEVICE_RESET, NvmeClient
from served_device import DEVICE, ask
from stuck_file import StuckFile, reason_to_skip

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
    stuck, sound = NvmeClient(f"{folder}/stuck.sock"), NvmeClient(f"{folder}/sound.sock")
    check(stuck.up() and sound.up(), "two controllers are up")
    check(stuck.reads(0) and sound.reads(0), "both read")

    file.hang()
    stuck.put_read(1)
    until = time.monotonic() + 5
    while file.waiting() == 0 and time.monotonic() < until:
        time.sleep(0.01)
    reset = stuck.send(DEVICE_RESET)
    check(stuck.nothing_comes(0.5), "the reset waits for the read")

    check(soon("the other function reads", lambda: sound.reads(1)), "the other function's read is good")
    soon("the other function is reset", sound.reset)
    check(soon("the other controller is up again", sound.up), "it takes commands")
    listing = soon("the functions are listed", lambda: ask(f"{folder}/control.sock", command="ls"))
    functions = {each["device"]: each for each in listing["functions"]}
    check(functions["stuck"]["busy"] and not functions["sound"]["busy"], "one of them is busy", functions)
    check(functions["sound"]["connected"], "the other one is connected", functions)

    file.let_go()
    check(stuck.reply()[:2] == (reset, 0), "the reset is done when the file has answered")
    check(stuck.up() and stuck.reads(1), "the function works again")
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
