"""What the page says is computed; this is what computes it."""

import unittest

from . import laws, plot
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
