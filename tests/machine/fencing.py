"""Two guests share a unit: one fences the other by persistent reservations; the survivor goes on writing, the fenced one
gets RESERVATION CONFLICT, and the target remembers it through kill -9 (APTPL)."""
import re
import tempfile

from guest import Machine, check
from target import NAME, Target, empty_disk

UNIT = """
[[unit]]
name = "shared"
type = "disk"
path = "shared.raw"
"""
# Each waits until it sees what the other did; type 5 is write exclusive, registrants only.
# The registration that comes last says for all whether they outlive a loss of power (SPC-5 §5.14.5): both ask for it.
BEGIN = """#root
modprobe -a virtio_scsi sd_mod sg
d=/dev/sda
keys() { sg_persist -k $d 2>/dev/null; }
until_keys() { for i in $(seq 600); do keys | grep -q "$1" && return 0; sleep 0.2; done; echo "NO KEY $1"; exit 1; }
put() { dd if=/dev/zero of=$d bs=4096 count=1 seek=$1 oflag=direct 2>/dev/null; }
"""
SURVIVOR = BEGIN + """
sg_persist --out --register --param-aptpl --param-sark=0xa $d >/dev/null && echo "REGISTERED A"
sg_persist --out --reserve --param-rk=0xa --prout-type=5 $d >/dev/null && echo "RESERVED"
until_keys "0xb"
sleep 3
sg_persist --out --preempt-abort --param-rk=0xa --param-sark=0xb --prout-type=5 $d >/dev/null && echo "FENCED"
put 1 && echo "SURVIVOR WRITES"
sleep 20
put 2 && echo "SURVIVOR WRITES AGAIN"
sg_persist -r $d | sed 's/^/RESERVATION /'
"""
FENCED = BEGIN + """
for i in $(seq 600); do sg_persist -r $d 2>/dev/null | grep -q 0xa && break; sleep 0.2; done
put 3 || echo "STRANGER CANNOT WRITE"
sg_persist --out --register --param-aptpl --param-sark=0xb $d >/dev/null && echo "REGISTERED B"
put 3 && echo "REGISTERED WRITES"
for i in $(seq 300); do keys | grep -q 0xb || break; sleep 0.2; done
sg_dd if=/dev/zero of=$d bs=512 seek=64 count=1 blk_sgio=1 2>&1 | sed 's/^/SGDD /'
sg_raw $d 2a 00 00 00 00 40 00 00 01 00 -s 512 -i /dev/zero 2>&1 | sed 's/^/WRITE /'
echo "FENCED ONE IS DONE"
"""


def main():
    with tempfile.TemporaryDirectory(prefix="touka-fence-") as folder:
        empty_disk(f"{folder}/shared.raw", 64 << 20)
        with Target(folder, UNIT, ["shared"]) as target:
            unit = f"iscsi:{target.address},{NAME},0"
            machines = {name: Machine(script, "--scsi", unit, "--name", name, "--memory", "384M")
                        for name, script in (("survivor", SURVIVOR), ("fenced", FENCED))}
            survivor, fenced = machines["survivor"], machines["fenced"]
            survivor.wait_for("FENCED")
            fenced.wait_for("FENCED ONE IS DONE")
            target.kill()
            target.start()
            for name, machine in machines.items():
                check(machine.finish() == 0, f"the {name} powers off", machine.output())
            inside, outside = survivor.output(), fenced.output()
            for text in ("REGISTERED A", "RESERVED", "SURVIVOR WRITES"):
                check(text in inside, text.lower(), inside)
            for text in ("STRANGER CANNOT WRITE", "REGISTERED B", "REGISTERED WRITES"):
                check(text in outside, text.lower(), outside)
            check(re.search("WRITE .*Reservation [Cc]onflict", outside) is not None,
                  "the fenced one gets RESERVATION CONFLICT", outside)
            check("SURVIVOR WRITES AGAIN" in inside, "the survivor writes after the target was killed", inside)
            check("RESERVATION   Key=0xa" in inside.replace("RESERVATION     Key", "RESERVATION   Key"),
                  "the reservation outlived the target's process", inside)


if __name__ == "__main__":
    main()
