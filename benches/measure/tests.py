"""What the page says is computed; this is what computes it."""

import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from . import gateway, laws, plot, targets, workloads
from .figures import number, wrongs
from .verdicts import Verdict


class Laws(unittest.TestCase):
    def test_a_law_is_found_again_in_what_it_says(self):
        law = laws.Usl(900.0, 0.03, 0.0004)
        found = laws.fit_usl([(n, law.at(n)) for n in (1, 10, 100, 1000, 5000)])
        self.assertAlmostEqual(found.sigma, law.sigma)
        self.assertAlmostEqual(found.kappa, law.kappa)
        self.assertAlmostEqual(found.knee(), law.knee())
        self.assertGreater(law.at(law.knee()), law.at(law.knee() * 2))

    def test_without_slowing_down_there_is_no_knee(self):
        self.assertIsNone(laws.fit_usl([(n, 100 * n) for n in (1, 10, 100)]).knee())

    def test_a_serial_fraction_is_found_again(self):
        by_cores = [(n, laws.amdahl(1000, 0.1, n)) for n in (1, 2, 4)]
        self.assertAlmostEqual(laws.serial_fraction(by_cores), 0.1)
        self.assertIsNone(laws.serial_fraction(by_cores[1:]))


class Verdicts(unittest.TestCase):
    def test_what_is_missed_says_by_how_much(self):
        for least, value, said in ((True, 0.75, "met"), (True, 0.6, "**missed** by 20 %"), (False, 0.75, "met"),
                                   (False, 1.5, "**missed** by 100 %"), (True, None, "not measured")):
            self.assertEqual(Verdict("", least, 0.75, value).judged(), said)
        self.assertEqual(Verdict("", False, 0, 3).judged(), "**missed**")

    def test_what_went_wrong_is_named(self):
        calls = dict.fromkeys(("errors", "lost", "late", "mismatched", "duplicates", "foreign", "reordered",
                               "unparsable", "sessions_died"), 0)
        good = {"mode": "echo", "ok": True, "calls": calls, "setup": {"failed": 0}}
        self.assertEqual(wrongs({"result": good}), {})
        self.assertEqual(wrongs({"result": good | {"ok": False, "calls": calls | {"lost": 2}}}), {"lost": 2})
        self.assertEqual(wrongs({"result": good | {"ok": False}}), {"nothing_done": True})
        fault = {"answer": "good", "victim_after": "good", "bystander_after": "good", "new_session_after": "good",
                 "gateway_alive": True, "grandchild_outlives_session": True}
        found = wrongs({"result": {"ok": True, "faults": {"grandchild": fault}}})
        self.assertEqual(found, {"grandchild": "a grandchild outlives the session"})


class StartedAhead(unittest.TestCase):
    def filled(self, looks, warm=2, spent=lambda pid: 1):
        """Whether a gateway is taken for filled whose children are these, look after look, the last for good."""
        looks = iter(looks)
        seen = [()]

        def children(_):
            seen.append(next(looks, seen[-1]))
            return list(seen[-1])
        one = SimpleNamespace(target=SimpleNamespace(warm=warm), binaries=None,
                              process=SimpleNamespace(pid=1, poll=lambda: None))
        with mock.patch.multiple(gateway, children=children, processor_time=spent, STILL_S=0.001, FILL_S=0.05):
            return gateway.Gateway.filled(one), len(seen) - 1

    def test_it_begins_when_all_are_there_and_still(self):
        self.assertEqual(self.filled([(), (7,), (7, 8), (7, 9)]), (True, 5))
        self.assertFalse(self.filled([(), (7,)])[0])

    def test_who_uses_the_processor_is_waited_for(self):
        ticks = iter(range(1000))
        self.assertFalse(self.filled([(7, 8)], spent=lambda pid: next(ticks))[0])

    def test_every_session_finds_one(self):
        target = SimpleNamespace(name="lockgate-warm-sse", kind="ours")
        opened = [int(workload.arguments.split("-n ")[1].split()[0]) for workload in workloads.WORKLOADS
                  if workloads.wanted(workload, target, 1)]
        self.assertTrue(opened)
        self.assertGreater(targets.POOL, max(opened))

    def test_only_who_starts_ahead_has_the_setting(self):
        with tempfile.TemporaryDirectory() as place:
            binaries = SimpleNamespace(place=Path(place), echo="echo", lockgate="lockgate")
            for warm, said in ((0, False), (3, True)):
                targets.ours(binaries, "one", "sse", "/sse", warm=warm)
                self.assertEqual("warm = 3" in (Path(place) / "one.toml").read_text(), said)


class Shown(unittest.TestCase):
    def test_numbers_are_short(self):
        self.assertEqual([number(x) for x in (None, 0, 0.0123, 0.75, 12.34, 123.4, 12345.6)],
                         ["–", "0", "0.012", "0.75", "12.3", "123", "12 346"])

    def test_plots_are_whole(self):
        svg = plot.curves("a < b", "x", [("one", [(1, 10), (1000, 200)])])
        self.assertIn("a &lt; b", svg)
        self.assertTrue(svg.endswith("</svg>\n"))


if __name__ == "__main__":
    unittest.main()
