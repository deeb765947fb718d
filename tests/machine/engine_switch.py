"""A guest with two processors that moves between translator and interpreter all the time: same answers, no complaint."""
import re

from guest import check, run

SCRIPT = """
for i in 1 2 3; do
    for cpu in 0 1; do
        taskset -c $cpu sh -c 'cat /bin/busybox /bin/busybox | gzip | gunzip | sha256sum' | sed "s/^/HASH /" &
    done
    wait
done
dmesg | grep -iE 'unstable|stall|lockup|backwards' | sed 's/^/COMPLAINT /'
"""
PERIOD_MS = 40
SWITCHES = ",".join(f"{n * PERIOD_MS}ms" for n in range(1, 3000))


def main():
    answers = set()
    for engine, switches in (("translator", []), ("translator", ["--switch-engine-at", SWITCHES]),
                             ("interpreter", ["--switch-engine-at", SWITCHES])):
        name = f"{engine}, {'switched' if switches else 'alone'}"
        status, output = run(SCRIPT, "--engine", engine, "--cpus", "2", "--memory", "256M", "--stats", *switches,
                             root=False)
        check(status == 0, f"{name}: powers off with status 0", output)
        hashes = re.findall(r"^HASH (\w{64})", output, re.MULTILINE)
        answers.update(hashes)
        check(len(hashes) == 6 and len(answers) == 1, f"{name}: the same answer everywhere", output)
        check("COMPLAINT" not in output, f"{name}: the kernel's clocks agree", output)
        if switches:
            count = int(re.search(r"^(\d+) engine switches", output, re.MULTILINE).group(1))
            check(count > 20, f"{name}: {count} switches", output)


if __name__ == "__main__":
    main()
