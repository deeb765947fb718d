"""What `touka run --stats` says of a function that is passed through."""
import re

from guest import check

LINE = re.compile(r"^(?:touka: )?(?P<name>vfio\S*): (?P<forwarded>\d+) accesses to BARs forwarded, (?P<direct>\d+) by this process's own "
                  r"mapping; (?P<mapped>\d+) bytes of BARs mapped into the guest; (?P<raised>\d+) interrupts through this "
                  r"process, (?P<carried>\d+) vectors by irqfd$", re.MULTILINE)


def passed_statistics(output):
    """@return the counts of the one function, by name."""
    found = LINE.search(output)
    check(found is not None, "--stats has a line for the function", output)
    print("      " + found.group(0))
    return {name: int(value) for name, value in found.groupdict().items() if name != "name"}
