"""The host's file system runs full under a guest's write: the guest gets an I/O error, and nothing else is lost."""
import os
import tempfile

from guest import check, run, skip

# 8 MiB of host space under a disk of 64 MiB; before and after the failing write the guest goes on.
SCRIPT = """#root
printf 'kept for ever' | dd of=/dev/vdb bs=512 conv=sync oflag=direct 2>/dev/null && echo FIRST-WRITTEN
dd if=/dev/urandom of=/dev/vdb bs=1M seek=1 count=32 oflag=direct 2>/tmp/error
echo "DD $? $(tail -n 1 /tmp/error)"
grep -o 'Input/output error\\|No space left on device' /tmp/error | sort -u
dd if=/dev/vdb bs=512 count=1 iflag=direct 2>/dev/null | head -c 13 | sed 's/^/READ /'
echo
echo ALIVE
"""


def main():
    if os.geteuid() != 0:
        skip("a file system of 8 MiB needs root")
    with tempfile.TemporaryDirectory(prefix="touka-full-") as folder:
        small = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                 f"mount -t tmpfs -o size=8m small {folder} && truncate -s 64M {folder}/data.raw && exec \"$@\"", "sh"]
        status, output = run(SCRIPT, "--disk", f"{folder}/data.raw", "--memory", "256M", program_prefix=small)
    check("FIRST-WRITTEN" in output, "a write that fits succeeds", output)
    check("DD 1" in output, "a write that does not fit fails in the guest", output)
    check("READ kept for ever" in output, "what was written before is still there", output)
    check("ALIVE" in output and status == 0, "the guest goes on and powers off", output)


if __name__ == "__main__":
    main()
