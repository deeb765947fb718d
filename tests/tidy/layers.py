"""A file includes its own folder and lower layers, never sideways (docs/ARCHITECTURE.md, "Layers").

Usage: layers.py ROOT
"""
import pathlib
import re
import sys

LAYERS = {
    "spec": 0,
    "runtime": 1,
    "memory": 2, "storage": 2, "network": 2, "configuration": 2,
    "migration": 3, "scsi": 3,
    "cpu": 4, "fabric": 4,
    "platform": 5,
    "devices": 6, "iommu": 6,
    "machine": 7,
    "management": 8,
}
# The translator is the interpreter's processor, run faster where that can be (docs/decisions/007).
STANDS_ON = {("cpu/translator", "cpu/interpreter")}
INCLUDE = re.compile(r'^\s*#include "([^"]+)"', re.MULTILINE)


def unit(path):
    """The library a file of src/ belongs to: devices and engines are apart from each other, the rest is one."""
    folder = path.parts[0]
    if folder in ("devices", "cpu") and len(path.parts) > 2:
        return "/".join(path.parts[:2])
    return folder


def complaint(source, target):
    own, other = unit(source), unit(target)
    own_folder, other_folder = source.parts[0], target.parts[0]
    if other_folder not in LAYERS:
        return f"includes {target}, whose folder is in no layer"
    if own == other or own.startswith(other + "/") or (own, other) in STANDS_ON:
        return None
    if own_folder == other_folder or LAYERS[other_folder] >= LAYERS[own_folder]:
        return f"(layer {LAYERS[own_folder]}) includes {target} (layer {LAYERS[other_folder]}): only lower layers"
    if "detail" in target.parts:
        return f"includes {target}: another folder's detail"
    return None


def main(root):
    src = pathlib.Path(root) / "src"
    errors = []
    count = 0
    for path in sorted(src.rglob("*.[ch]pp")):
        count += 1
        source = path.relative_to(src)
        if source.parts[0] not in LAYERS:
            errors.append(f"src/{source}: its folder is in no layer; add it to tests/tidy/layers.py")
            continue
        for name in INCLUDE.findall(path.read_text()):
            error = complaint(source, pathlib.PurePosixPath(name))
            if error:
                errors.append(f"src/{source}: {error}")
    print("\n".join(errors) or f"{count} files keep to the layers")
    return 1 if errors or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
