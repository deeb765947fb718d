"""The benchmark's own workloads, a thousandth of each: all end, and give the same answer twice."""
import os
import re
import subprocess
import unittest

PROGRAM = os.environ.get("CPU_WORKLOADS", "build/release/bin/cpu_workloads")


def run(*arguments, said=""):
    """@return (exit status, lines)"""
    done = subprocess.run([PROGRAM, *arguments], input=said, capture_output=True, text=True, timeout=50)
    return done.returncode, done.stdout.splitlines()


class Workloads(unittest.TestCase):
    def test_every_one_ends_with_the_same_answer_twice(self):
        answers = []
        for _ in range(2):
            status, lines = run("--scale", "0.001")
            self.assertEqual(status, 0, lines)
            self.assertEqual(len(lines), len(run("--list")[1]))
            answers.append([re.sub(r"(WORKLOAD \S+ \S+) [\d.]+", r"\1", line) for line in lines])
        self.assertEqual(*answers)
        self.assertGreater(sum(line.startswith("WORKLOAD") for line in answers[0]), 20)

    def test_more_work_has_another_answer(self):
        less, more = (run("--scale", scale, "nbody")[1][0].split()[-1] for scale in ("0.001", "0.002"))
        self.assertNotEqual(less, more)

    def test_only_those_that_are_named_run(self):
        status, lines = run("--scale", "0.001", "qsort,pipe")
        self.assertEqual(status, 0)
        self.assertEqual([line.split()[2] for line in lines], ["qsort", "pipe"])

    def test_a_name_that_is_none_is_refused(self):
        self.assertNotEqual(run("--scale", "0.001", "qsorts")[0], 0)

    def test_what_is_asked_for_is_run_until_an_empty_line(self):
        status, lines = run("--scale", "0.001", "--serve", said="pipe\nqsort\n\nfork\n")
        self.assertEqual(status, 0)
        self.assertEqual(lines[0], "READY")
        self.assertEqual([line.split()[2] for line in lines[1:]], ["pipe", "qsort"])


if __name__ == "__main__":
    unittest.main()
