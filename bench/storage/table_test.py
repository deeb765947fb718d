"""What the storage benchmark says of made-up servers."""
import unittest

from results import HOST, OURS, Subject, complaints, record, table


def subject(name, transport, runs, depth=1):
    """@param runs  (reads, processor seconds) of rounds of one second."""
    made = Subject(name, transport)
    for reads, processor_seconds in runs:
        made.take(depth, f"LOAD {reads} 1.000000 {processor_seconds:.6f} 0\n")
    return made


def cells(text, transport, depth, beside):
    for line in text.splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if row[:3] == [transport, str(depth), beside]:
            return row[3:]
    raise AssertionError(f"no row {transport} {depth} {beside} in\n{text}")


class Table(unittest.TestCase):
    def test_ratios_are_ours_over_theirs(self):
        text = table([subject(OURS, "iSCSI", [(20000, 0.1)]), subject("tgt", "iSCSI", [(10000, 0.2)])], [1])
        self.assertEqual(cells(text, "iSCSI", 1, "tgt"), ["5.00", "20.00", "0.25", "20000", "10000", "2.00"])

    def test_values_are_medians_of_the_rounds(self):
        text = table([subject(OURS, "iSCSI", [(1000, 0.9), (1000, 0.003), (1000, 0.002)])], [1])
        self.assertEqual(cells(text, "iSCSI", 1, "-")[0], "3.00")

    def test_ratios_are_medians_of_those_within_a_round(self):
        # The machine was slower in one round, for both.
        ours = subject(OURS, "iSCSI", [(1000, 0.001), (1000, 0.005), (1000, 0.006)])
        theirs = subject("tgt", "iSCSI", [(1000, 0.002), (1000, 0.010), (1000, 0.002)])
        self.assertEqual(cells(table([ours, theirs], [1]), "iSCSI", 1, "tgt")[:3], ["5.00", "2.00", "0.50"])

    def test_a_round_that_gave_nothing_is_in_no_ratio(self):
        ours = subject(OURS, "iSCSI", [(1000, 0.001), (1000, 0.001)])
        theirs = Subject("tgt", "iSCSI")
        self.assertFalse(theirs.take(1, "error: the target does not answer\n"))
        self.assertTrue(theirs.take(1, "LOAD 1000 1.000000 0.004000 0\n"))
        self.assertEqual(cells(table([ours, theirs], [1]), "iSCSI", 1, "tgt")[2], "0.25")

    def test_every_rival_and_depth_has_a_row_of_its_transport(self):
        subjects = [subject(OURS, "iSCSI", [(1000, 0.001)]), subject("tgt rdwr", "iSCSI", [(1000, 0.001)]),
                    subject("tgt aio", "iSCSI", [(1000, 0.001)]), subject("qemu", "vhost-user", [(1000, 0.001)])]
        text = table(subjects, [1, 32])
        self.assertEqual(len(text.splitlines()), 2 + 6)
        self.assertEqual(cells(text, "vhost-user", 1, "qemu")[:3], ["-", "1.00", "-"])
        self.assertEqual(cells(text, "iSCSI", 32, "tgt aio"), ["-"] * 6)


class Complaints(unittest.TestCase):
    def test_a_whole_run_has_none(self):
        self.assertEqual(complaints([subject(HOST, "io_uring", [(1000, 0.001)])], [1]), [])

    def test_failed_reads_are_an_error_and_no_result(self):
        ours = Subject(OURS, "iSCSI")
        self.assertFalse(ours.take(1, "LOAD 1000 1.000000 0.001000 3\n"))
        self.assertEqual(complaints([ours], [1]), ["Touka: 3 of 1000 reads failed"])
        self.assertIsNone(ours.medians(1))

    def test_a_depth_without_a_result_is_named(self):
        self.assertEqual(complaints([subject(OURS, "iSCSI", [(1000, 0.001)])], [1, 32]),
                         ["Touka (iSCSI): nothing measured at depth 32"])


class Record(unittest.TestCase):
    def test_every_run_is_kept(self):
        kept = record([subject(OURS, "iSCSI", [(1000, 0.002), (2000, 0.002)])], [1], {"rounds": 2})
        self.assertEqual(kept["rounds"], 2)
        self.assertEqual(kept["subjects"][0]["depths"]["1"],
                         [{"iops": 1000, "microseconds": 2}, {"iops": 2000, "microseconds": 1}])


if __name__ == "__main__":
    unittest.main()
