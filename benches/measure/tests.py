"""What the page says is computed; this is what computes it."""

import json
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from . import gateway, laws, load, plot, targets, verdicts, watched, workloads
from .figures import Figures, metrics, number, wrongs
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


class Beside(unittest.TestCase):
    CALLS = dict.fromkeys(("errors", "lost", "late", "mismatched", "duplicates", "foreign", "reordered",
                           "unparsable", "sessions_died"), 0)

    def result(self, p99=1.0, **more):
        return {"mode": "echo", "ok": True, "setup": {"failed": 0},
                "calls": self.CALLS | {"ok": 9, "per_s": 30, "p99_ms": p99, "wall_s": 8.0}} | more

    def test_it_must_have_gone_on_all_the_while(self):
        found = self.result()
        self.assertEqual(load.together(found, found, 10.0, True)["beside"], found)
        for took, outlasted, why in ((10.0, False, "ended too early"), (11.5, True, "began too late")):
            self.assertIn(why, load.together(found, found, took, outlasted)["aborted"])

    def test_what_has_failed_by_itself_says_so(self):
        good, failed, gone = self.result(), self.result(ok=False), {"ok": False, "aborted": "why"}
        self.assertEqual(load.together(good, failed, 1.0, False)["beside"], failed)
        self.assertIn("why", load.together(good, gone, 1.0, False)["aborted"])
        self.assertEqual(load.together(gone, good, 1.0, False), gone)

    def test_its_rate_and_its_failure_are_the_measurement_s(self):
        self.assertEqual(metrics({"result": self.result(beside=self.result())})["beside_per_s"], 30)
        lost = self.result(ok=False, calls=self.CALLS | {"lost": 2})
        self.assertEqual(wrongs({"result": self.result(beside=lost)}), {"beside_lost": 2})

    def test_it_is_judged_by_the_floor_of_the_same_run(self):
        measured = {("lockgate-sse", "echo_s10"): 1.0, ("lockgate-sse", "beside_4mib"): 6.0,
                    ("floor-sse", "echo_s10"): 0.5, ("floor-sse", "beside_4mib"): 4.0}
        with tempfile.NamedTemporaryFile("w") as raw:
            for (target, workload), p99 in measured.items():
                line = {"run": 1, "target": target, "workload": workload, "result": self.result(p99)}
                if workload == "beside_4mib":
                    line["result"]["beside"] = self.result()
                print(json.dumps(line), file=raw, flush=True)
            sse, stream = verdicts.beside(Figures(raw.name))
        self.assertEqual((sse.value, sse.judged()), (1.5, "met"))
        self.assertIn("6.00× that without (the floor's 8.00×)", sse.detail)
        self.assertEqual(stream.judged(), "not measured")


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


class Watched(unittest.TestCase):
    def test_the_verdict_is_by_the_median_of_the_ratios_of_pairs(self):
        def pair(alone, watching):
            return tuple({"p50_ms": one, "p99_ms": one * 2} for one in (alone, watching))
        # One pair was measured while the machine did something else; the ratio of the medians would hide the rest.
        p50, p99 = watched.judged("sse", [pair(1.0, 1.1), pair(1.0, 1.08), pair(2.0, 2.0)])
        self.assertAlmostEqual(p50.value, 1.08)
        self.assertEqual((p50.judged(), p99.judged()), ("**missed** by 3 %",) * 2)
        self.assertEqual([one.judged() for one in watched.judged("sse", [pair(1.0, 1.04)])], ["met", "met"])

    def look(self, *paths):
        """What is seen of a gateway that has these paths."""
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                known = self.path in paths and self.headers["Authorization"] == f"Bearer {watched.SECRET}"
                self.send_response(200 if known else 404)
                self.end_headers()
                try:
                    self.wfile.write(b"data: x\n\n")
                    while known and self.path == watched.EVENTS and not over.wait(0.01):
                        self.wfile.write(b"data: x\n\n")
                except OSError:
                    pass

            def log_message(self, *_):
                pass
        over, enough = threading.Event(), threading.Event()
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with watched.Eyes(server.server_port) as eyes:
                while not (eyes.scrapes and eyes.seen or eyes.faults):
                    enough.wait(0.01)
            return eyes
        finally:
            over.set()
            server.shutdown()
            server.server_close()

    def test_somebody_looks_by_events_or_at_everything_and_stops(self):
        for second, stream in ((watched.EVENTS, True), (watched.OVERVIEW, False)):
            eyes = self.look("/metrics", second)
            self.assertEqual((eyes.stream, eyes.faults), (stream, []))

    def test_who_is_not_let_in_has_not_looked(self):
        self.assertTrue(self.look("/metrics").faults)


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
