"""`touka verify` finds no difference between a unit outside and in a guest that has it by iSCSI (rule T6)."""
import base64
import gzip
import pathlib
import subprocess
import tempfile

from guest import TOUKA, check, run
from target import NAME, Target, empty_disk

PROBE = pathlib.Path(TOUKA).parent / "touka-probe"
CORPUS = pathlib.Path("src/scsi/verify/corpus/disk.txt")
UNIT = '[[unit]]\nname = "disk"\ntype = "disk"\npath = "disk.raw"\n'
SCRIPT = """#root
modprobe -a virtio_scsi sd_mod sg
for i in $(seq 100); do [ -e /dev/sda ] && break; sleep 0.1; done
base64 -d <<'END' | gunzip >/tmp/touka-probe
{probe}
END
base64 -d <<'END' | gunzip >/tmp/corpus
{corpus}
END
chmod +x /tmp/touka-probe
/tmp/touka-probe /dev/sda </tmp/corpus
echo "PROBED $?"
"""


def packed(data):
    return base64.encodebytes(gzip.compress(data)).decode().rstrip()


def stripped_probe(folder):
    subprocess.run(["strip", "-o", f"{folder}/touka-probe", str(PROBE)], check=True)
    return pathlib.Path(folder, "touka-probe").read_bytes()


def responses(output):
    """What the probe printed between whatever else is on the console."""
    return "".join(line + "\n" for line in output.splitlines()
                   if line.startswith(("touka-responses ", "attention ")) or line.split(" ")[0].isdigit())


def main():
    with tempfile.TemporaryDirectory(prefix="touka-verify-") as folder:
        empty_disk(f"{folder}/disk.raw", 64 << 20)
        with Target(folder, UNIT, ["disk"]) as target:
            script = SCRIPT.format(probe=packed(stripped_probe(folder)), corpus=packed(CORPUS.read_bytes()))
            status, output = run(script, "--scsi", f"iscsi:{target.address},{NAME},0", timeout_s=600)
            check(status == 0 and "PROBED 0" in output, "the guest has sent the corpus", output)
            inside = pathlib.Path(folder, "inside.txt")
            inside.write_text(responses(output))
            verify = subprocess.run([TOUKA, "verify", target.url(0), "--corpus", str(CORPUS), "--inside", str(inside)],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            check(verify.returncode == 0, verify.stdout.splitlines()[-1], verify.stdout)


if __name__ == "__main__":
    main()
