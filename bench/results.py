"""What engines printed, and the table made of it. Nothing here runs anything."""
import math
import re

WORKLOAD = re.compile(r"^WORKLOAD (\S+) (\S+) ([\d.]+) ([0-9a-f]{16})$")
LACKING = re.compile(r"^LACKING \S+ (\S+) (.+)$")
FAILED = re.compile(r"^FAILED \S+ (\S+)$")

HOST, TCG = "host", "TCG"
START = "start"  # the group, and the workload, of process start to the guest's first program


class Engine:
    """What one engine did in all rounds.

    times: workload -> seconds, one of each round; hashes: workload -> every hash that it printed;
    lacks: workload -> what the processor it sees lacks; errors: sentences.
    """

    def __init__(self, name):
        self.name = name
        self.times = {}
        self.hashes = {}
        self.lacks = {}
        self.errors = []

    def take(self, line):
        """Reads one line of output. @return whether it told of a workload."""
        if found := WORKLOAD.match(line):
            _, workload, seconds, answer = found.groups()
            self.add_time(workload, float(seconds))
            self.hashes.setdefault(workload, set()).add(answer)
        elif found := LACKING.match(line):
            self.lacks[found.group(1)] = found.group(2)
        elif found := FAILED.match(line):
            self.errors.append(f"{self.name}: {found.group(1)} failed")
        return bool(found)

    def add_time(self, workload, seconds):
        self.times.setdefault(workload, []).append(seconds)

    def best(self, workload):
        """@return the least of the rounds' seconds, None without one: other work on the machine only adds time."""
        return min(self.times[workload]) if workload in self.times else None


def complaints(engines, workloads):
    """@return a sentence for everything that makes the run worthless: answers that differ, workloads without an answer."""
    errors = [error for engine in engines for error in engine.errors]
    for _, workload in workloads:
        answers = {engine.name: engine.hashes[workload] for engine in engines if workload in engine.hashes}
        if len(set().union(*answers.values())) > 1:
            said = ", ".join(f"{name} {' and '.join(sorted(hashes))}" for name, hashes in answers.items())
            errors.append(f"{workload}: the answers differ: {said}")
        for engine in engines:
            if workload not in engine.hashes and workload not in engine.lacks and not engine.errors:
                errors.append(f"{engine.name}: {workload} gave no answer")
    return errors


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def ratio(a, b):
    return a / b if a is not None and b else None


def shown(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def rows_of(engines, workloads):
    """@return the cells of each row, the means of each group and of all below their workloads."""
    by_name = {engine.name: engine for engine in engines}
    ours = [engine for engine in engines if engine.name not in (HOST, TCG)]

    def row(group, title, time_of):
        host, tcg = time_of(HOST), time_of(TCG)
        cells = [group, title, shown(host, 3), shown(tcg, 3)]
        for engine in ours:
            own = time_of(engine.name)
            cells += [shown(own, 3), shown(ratio(own, host), 1), shown(ratio(tcg, own), 2)]
        return cells

    def best(engine, workload):
        return by_name[engine].best(workload) if engine in by_name else None

    def mean(group, names):
        # Over what all have, or the ratios would compare different work.
        comparable = [name for name in names if all(engine.best(name) for engine in engines)]
        return row(group, "geometric mean", lambda engine: geometric_mean(
            [by_name[engine].best(name) for name in comparable] if engine in by_name else []))

    rows = [row(START, "to /init", lambda engine: best(engine, START))]
    for group in dict.fromkeys(group for group, _ in workloads):
        names = [name for own_group, name in workloads if own_group == group]
        rows += [row(group, name, lambda engine, name=name: best(engine, name)) for name in names]
        rows.append(mean(group, names))
    rows.append(mean("all", [name for _, name in workloads]))
    return rows


def table(engines, workloads):
    """@param workloads  (group, name) in the order of the rows. @return the text of a Markdown table, aligned."""
    engines = [engine for engine in engines if engine.times]  # one that never started would leave no mean
    ours = [engine.name for engine in engines if engine.name not in (HOST, TCG)]
    title = ["group", "workload", "host s", "TCG s"]
    for name in ours:
        name = "Touka" if len(ours) == 1 else name
        title += [f"{name} s", f"{name} / host", f"TCG / {name}"]
    rows = rows_of(engines, workloads)
    widths = [max(len(row[column]) for row in [title, *rows]) for column in range(len(title))]
    lines = []
    for row in [title, ["-" * width for width in widths], *rows]:
        cells = [cell.ljust(width) if column < 2 else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(row, widths))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def record(engines, workloads, settings):
    """@return the same for programs: every time of every round."""
    return {
        **settings,
        "workloads": [{
            "group": group, "name": name,
            "engines": {engine.name: {"seconds": engine.times.get(name, []), "hashes": sorted(engine.hashes.get(name, ()))}
                        for engine in engines},
        } for group, name in workloads],
        "start": {engine.name: engine.times.get(START, []) for engine in engines},
        "errors": complaints(engines, workloads),
    }
