"""What the load generators printed, and the table made of it. Nothing here runs anything."""
import re
import statistics

LOAD = re.compile(r"^LOAD (\d+) ([\d.]+) ([\d.]+) (\d+)$")
HOST, OURS = "host", "Touka"


class Subject:
    """One server on one transport, or the host alone.

    runs: depth -> (IOPS, processor microseconds per I/O) of each round, None of one that gave nothing;
    errors: sentences.
    """

    def __init__(self, name, transport):
        self.name = name
        self.transport = transport
        self.runs = {}
        self.errors = []

    def take(self, depth, output):
        """Reads what a generator printed. @return whether that was a result."""
        found = next(filter(None, map(LOAD.match, output.splitlines())), None)
        reads, seconds, processor_seconds, failures = map(float, found.groups()) if found else (0, 0, 0, 0)
        if failures:
            self.errors.append(f"{self.name}: {failures:.0f} of {reads:.0f} reads failed")
        good = bool(reads and seconds and not failures)
        self.runs.setdefault(depth, []).append((reads / seconds, processor_seconds / reads * 1e6) if good else None)
        return good

    def medians(self, depth):
        """@return (IOPS, microseconds), None without a run."""
        runs = [run for run in self.runs.get(depth, []) if run]
        return tuple(map(statistics.median, zip(*runs))) if runs else None


def ratios(ours, theirs, depth):
    """@return ours / theirs of (IOPS, microseconds): the median over rounds; within one both met the same machine."""
    pairs = [pair for pair in zip(ours.runs.get(depth, []), theirs.runs.get(depth, [])) if all(pair)]
    if not pairs:
        return None
    return tuple(statistics.median(own[i] / other[i] for own, other in pairs) for i in (0, 1))


def shown(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def rows_of(subjects, depths):
    """@return the cells of each row: one for each transport, depth and rival, or for a server that has none."""
    rows = []
    for transport in dict.fromkeys(subject.transport for subject in subjects):
        there = [subject for subject in subjects if subject.transport == transport]
        ours = next((subject for subject in there if subject.name == OURS), None)
        rivals = [subject for subject in there if subject is not ours] or [None]
        for depth in depths:
            for rival in rivals:
                rows.append([transport, f"{depth}", rival.name if rival else "-", *numbers(ours, rival, depth)])
    return rows


def numbers(ours, rival, depth):
    own_iops, own_us = (ours and ours.medians(depth)) or (None, None)
    iops, us = (rival and rival.medians(depth)) or (None, None)
    iops_ratio, us_ratio = (ours and rival and ratios(ours, rival, depth)) or (None, None)
    return [shown(own_us, 2), shown(us, 2), shown(us_ratio, 2),
            shown(own_iops, 0), shown(iops, 0), shown(iops_ratio, 2)]


def table(subjects, depths):
    """@return the text of a Markdown table, aligned."""
    title = ["transport", "depth", "beside", "Touka µs", "theirs µs", "ratio", "Touka IOPS", "theirs IOPS", "ratio"]
    rows = rows_of(subjects, depths)
    widths = [max(len(row[column]) for row in [title, *rows]) for column in range(len(title))]
    lines = []
    for row in [title, ["-" * width for width in widths], *rows]:
        cells = [cell.ljust(width) if column in (0, 2) else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(row, widths))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def complaints(subjects, depths):
    """@return a sentence for everything that makes the run worthless."""
    errors = [error for subject in subjects for error in subject.errors]
    for subject in subjects:
        for depth in depths:
            if not subject.medians(depth) and not subject.errors:
                errors.append(f"{subject.name} ({subject.transport}): nothing measured at depth {depth}")
    return errors


def record(subjects, depths, settings):
    """@return the same for programs: every run of every round."""
    return {
        **settings,
        "subjects": [{
            "name": subject.name, "transport": subject.transport,
            "depths": {str(depth): [dict(zip(("iops", "microseconds"), run)) if run else None for run in runs]
                       for depth, runs in subject.runs.items()},
        } for subject in subjects],
        "errors": complaints(subjects, depths),
    }
