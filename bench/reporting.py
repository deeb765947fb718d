"""What a benchmark says of itself while it runs, and of the machine that it runs on."""
import pathlib
import re
import sys


def progress(text):
    """A line that the next one replaces; only for people."""
    if sys.stderr.isatty():
        print(f"\r\033[K      {text}", end="", file=sys.stderr, flush=True)


def note(text):
    print(f"{chr(13) + chr(27) + '[K' if sys.stderr.isatty() else ''}      {text}", file=sys.stderr, flush=True)


def processor():
    return re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE).group(1)
