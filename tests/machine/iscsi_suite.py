"""Verdicts of libiscsi's iscsi-test-cu (Debian libiscsi-bin), read from what it prints.

A skipped test is one of its own kind here; the program itself counts it as passed.
"""
import re
import subprocess

# What an initiator without the iSCSI layer, or with one path alone, cannot run.
ISCSI_ALONE = re.compile(r"^(iSCSI\.|SCSI\.MultipathIO\.)")


def suites():
    """The names of the test suites, as "SCSI.Read10"."""
    listed = subprocess.run(["iscsi-test-cu", "--list"], capture_output=True, text=True).stdout
    names = re.findall(r"^\s*((?:SCSI|iSCSI)\.\w+)\.[-\w]+\s*$", listed, re.MULTILINE)
    return sorted(set(names))


def verdicts(suite, log):
    """@return {"SCSI.Read10.Simple": "pass" | "fail" | "skip"} of one suite's output."""
    found = {}
    for part in re.split(r"\n\s*Test: ", log)[1:]:
        name = f"{suite}.{part.split()[0]}"
        body = part.split("Run Summary")[0]
        if re.search(r"^\s+\d+\. \S+:\d+", body, re.MULTILINE):
            found[name] = "fail"
        elif "[SKIPPED]" in body:
            found[name] = "skip"
        else:
            found[name] = "pass" if "passed" in body else "fail"
    return found


def run(unit, names, timeout_s=120):
    """Runs the suites against a unit of this host's: an iSCSI URL or a device. The unit is written to."""
    found = {}
    for suite in names:
        done = subprocess.run(["iscsi-test-cu", "-d", "-v", "-t", suite, unit], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s)
        found.update(verdicts(suite, done.stdout.decode(errors="replace")))
    return found


def count(found):
    """"209 pass, 0 fail, 21 skip"."""
    values = list(found.values())
    return ", ".join(f"{values.count(kind)} {kind}" for kind in ("pass", "fail", "skip"))
