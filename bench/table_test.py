"""What the benchmark says of made-up engines."""
import unittest

from results import HOST, START, TCG, Engine, complaints, record, table

WORKLOADS = [("integer", "sort"), ("integer", "hash"), ("memory", "copy")]


def engine(name, seconds, answer="00000000000000aa", workloads=WORKLOADS):
    made = Engine(name)
    for group, workload in workloads:
        made.take(f"WORKLOAD {group} {workload} {seconds:.6f} {answer}")
    return made


def cells(text, group, workload):
    for line in text.splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if row[:2] == [group, workload]:
            return row[2:]
    raise AssertionError(f"no row {group} {workload} in\n{text}")


class Table(unittest.TestCase):
    def test_ratios_are_to_the_host_and_from_tcg(self):
        text = table([engine(HOST, 0.1), engine(TCG, 0.8), engine("translator", 0.2)], WORKLOADS)
        self.assertEqual(cells(text, "memory", "copy"), ["0.100", "0.800", "0.200", "2.0", "4.00"])

    def test_the_least_time_of_the_rounds_counts(self):
        ours = engine("translator", 0.5)
        ours.take("WORKLOAD memory copy 0.300000 00000000000000aa")
        self.assertEqual(cells(table([ours], WORKLOADS), "memory", "copy"), ["-", "-", "0.300", "-", "-"])

    def test_means_are_geometric_and_by_group(self):
        host = Engine(HOST)
        for workload, seconds in (("sort", 0.1), ("hash", 0.4), ("copy", 0.8)):
            host.take(f"WORKLOAD any {workload} {seconds} 00000000000000aa")
        text = table([host], WORKLOADS)
        self.assertEqual(cells(text, "integer", "geometric mean")[0], "0.200")
        self.assertEqual(cells(text, "memory", "geometric mean")[0], "0.800")
        self.assertEqual(cells(text, "all", "geometric mean")[0], "0.317")

    def test_what_one_engine_lacks_is_in_no_mean(self):
        host, ours = engine(HOST, 0.1), engine("translator", 0.2, workloads=WORKLOADS[1:])
        ours.take("LACKING integer sort no AVX2")
        text = table([host, ours], WORKLOADS)
        self.assertEqual(cells(text, "integer", "sort"), ["0.100", "-", "-", "-", "-"])
        self.assertEqual(cells(text, "integer", "geometric mean"), ["0.100", "-", "0.200", "2.0", "-"])

    def test_the_start_is_in_no_mean(self):
        ours = engine("translator", 0.2)
        ours.add_time(START, 9.0)
        text = table([ours], WORKLOADS)
        self.assertEqual(cells(text, START, "to /init")[2], "9.000")
        self.assertEqual(cells(text, "all", "geometric mean")[2], "0.200")

    def test_an_engine_that_never_started_does_not_empty_the_means(self):
        text = table([engine(HOST, 0.1), Engine("kvm"), engine("translator", 0.2)], WORKLOADS)
        self.assertNotIn("kvm", text)
        self.assertEqual(cells(text, "all", "geometric mean")[2], "0.200")

    def test_several_engines_have_columns_of_their_own(self):
        text = table([engine("translator", 0.2), engine("interpreter", 0.6)], WORKLOADS)
        self.assertIn("interpreter / host", text.splitlines()[0])
        self.assertEqual(cells(text, "memory", "copy")[2::3], ["0.200", "0.600"])


class Complaints(unittest.TestCase):
    def test_equal_answers_are_no_error(self):
        self.assertEqual(complaints([engine(HOST, 0.1), engine("translator", 0.2)], WORKLOADS), [])

    def test_a_different_answer_is_named_with_who_gave_it(self):
        ours = engine("translator", 0.2, workloads=WORKLOADS[1:])
        ours.take("WORKLOAD integer sort 0.2 00000000000000bb")
        self.assertEqual(complaints([engine(HOST, 0.1), ours], WORKLOADS),
                         ["sort: the answers differ: host 00000000000000aa, translator 00000000000000bb"])

    def test_an_answer_that_changes_between_rounds_is_an_error(self):
        ours = engine("translator", 0.2)
        ours.take("WORKLOAD integer sort 0.2 00000000000000bb")
        self.assertEqual(len(complaints([ours], WORKLOADS)), 1)

    def test_a_failure_is_an_error_and_a_lack_is_not(self):
        ours = engine("translator", 0.2, workloads=WORKLOADS[2:])
        ours.take("LACKING integer hash no BMI2")
        self.assertEqual(complaints([ours], WORKLOADS), ["translator: sort gave no answer"])
        ours.take("FAILED integer sort")
        self.assertEqual(complaints([ours], WORKLOADS), ["translator: sort failed"])

    def test_other_lines_of_a_console_are_passed_over(self):
        ours = Engine("translator")
        self.assertFalse(ours.take("[    0.000000] WORKLOAD integer sort 0.2 00000000000000bb"))
        self.assertEqual(ours.times, {})


class Record(unittest.TestCase):
    def test_every_round_is_kept(self):
        ours = engine("translator", 0.5)
        ours.take("WORKLOAD memory copy 0.300000 00000000000000aa")
        kept = record([ours], WORKLOADS, {"rounds": 2})
        self.assertEqual(kept["rounds"], 2)
        self.assertEqual(kept["workloads"][2]["engines"]["translator"]["seconds"], [0.5, 0.3])


if __name__ == "__main__":
    unittest.main()
