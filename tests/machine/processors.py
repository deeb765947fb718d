"""One and two processors: the stock kernel brings them up, both work, and the clock is right."""
import re

from guest import check, run

SCRIPT = """
echo "CPUS $(grep -c ^processor /proc/cpuinfo)"
echo "CLOCKSOURCE $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
before=$(cut -d' ' -f1 /proc/uptime); sleep 1; after=$(cut -d' ' -f1 /proc/uptime)
echo "SLEPT $before $after"
i=0
while [ $i -lt $(grep -c ^processor /proc/cpuinfo) ]; do
    taskset -c $i sh -c 'sha256sum /bin/busybox' | sed "s/^/HASH $i /" &
    i=$((i+1))
done
wait
grep -E 'LOC|RES|CAL' /proc/interrupts
"""


def main():
    for count in (1, 2):
        status, output = run(SCRIPT, "--cpus", str(count), "--memory", "256M", root=False)
        check(status == 0, f"{count} cpu: powers off with status 0", output)
        check(f"CPUS {count}" in output, f"{count} cpu: the kernel sees them", output)
        hashes = re.findall(r"^HASH \d (\w{64})", output, re.MULTILINE)
        check(len(hashes) == count and len(set(hashes)) == 1, f"{count} cpu: the same answer on each", output)
        slept = re.search(r"^SLEPT ([\d.]+) ([\d.]+)", output, re.MULTILINE)
        seconds = float(slept.group(2)) - float(slept.group(1))
        check(0.9 < seconds < 3, f"{count} cpu: a second lasts {seconds:.2f} s", output)


if __name__ == "__main__":
    main()
