"""Every header compiles alone.

Usage: headers.py ROOT BUILD (a build folder with compile_commands.json)
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys


def compiler_flags(build):
    """The flags of some library source: all have the same."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        if "/src/" in entry["file"]:
            compiler = next(word for word in words if "g++" in word or "clang" in word)
            keep = [word for word in words if word.startswith(("-I", "-W", "-std", "-D"))]
            return compiler, keep
    raise SystemExit("no source of src/ in compile_commands.json")


def main(root, build):
    root = pathlib.Path(root)
    compiler, flags = compiler_flags(pathlib.Path(build))
    includes = subprocess.run(["pkg-config", "--cflags", "slirp", "liburing", "libseccomp", "tomlplusplus"],
                              capture_output=True, text=True, check=True).stdout.split()
    headers = sorted((root / "src").rglob("*.hpp"))

    def check(header):
        # Through standard input, so that the header is not the main file and #pragma once means something.
        result = subprocess.run(
            [compiler, *flags, *includes, f"-I{root}/src", "-fsyntax-only", "-x", "c++", "-"],
            input=f'#include "{header.relative_to(root / "src")}"\n', capture_output=True, text=True)
        return "" if result.returncode == 0 else f"{header}: {result.stderr.splitlines()[0] if result.stderr else ''}"

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = [error for error in pool.map(check, headers) if error]
    print("\n".join(errors) or f"{len(headers)} headers compile alone")
    return 1 if errors or not headers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
