#!/usr/bin/env python3
"""python3 deploy/scale/test_model.py: the model's arithmetic, its queues against what mathematics knows of them, and whether the document is in step."""
import contextlib, io, math, sys, unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import model, simulate


def exponential(mean):
    return lambda rng: rng.expovariate(1 / mean)


class Queues(unittest.TestCase):
    def line(self, **change):
        common = dict(rate=40, slots=8, conversations=100_000, numbers=100_000, per_second=1e9, lock_s=0, latency=exponential(0.15), seconds=3000, seed=7)
        return simulate.outbox(**(common | change))

    def test_erlangs_formula_for_one_server_is_the_textbooks(self):
        self.assertAlmostEqual(simulate.erlang_c_wait(0.5, 1, 1), 1.0)
        self.assertEqual(simulate.erlang_c_wait(2, 1, 1), math.inf)

    def test_without_lines_and_rates_texts_wait_as_erlang_says(self):
        for rate, slots in ((40, 8), (45, 8), (100, 20)):
            done = self.line(rate=rate, slots=slots)
            waited = sum(done) / len(done) - 0.15
            self.assertAlmostEqual(waited / simulate.erlang_c_wait(rate, 0.15, slots), 1, delta=0.15, msg=f"{rate}/s, {slots} slots")

    def test_every_text_is_answered_once(self):
        few, many = self.line(slots=7, seconds=100), self.line(slots=70, seconds=100)
        self.assertEqual(len(few), len(many))
        self.assertGreater(sum(few), sum(many))

    def test_one_conversation_sends_one_text_at_a_time(self):
        # 10/s at 0.15 s each is more than one line carries.
        done = self.line(rate=10, conversations=1, seconds=100, latency=lambda _: 0.15)
        self.assertGreater(max(done), 30)

    def test_a_number_sends_no_faster_than_its_rate(self):
        done = self.line(rate=20, conversations=100, numbers=1, per_second=10, slots=64, seconds=60)
        last = 60 + max(done[-20:])
        self.assertGreater(last, len(done) / 10 * 0.95)

    def test_the_same_seed_gives_the_same_figures(self):
        self.assertEqual(self.line(seconds=20), self.line(seconds=20))
        self.assertNotEqual(self.line(seconds=20), self.line(seconds=20, seed=8))

    def handover(self, **change):
        common = dict(chats=5_000, tenants=30, pods=1, cores=2, cpu_s=0.0014, connects_per_second=1000, lease_s=0, poll_s=0, handshake=lambda _: 0.05, seed=7)
        return simulate.handover(**(common | change))

    def test_chats_come_back_no_faster_than_the_processors_and_the_rate_allow(self):
        self.assertEqual(len(self.handover()), 5_000)
        self.assertGreater(max(self.handover()), 5_000 * 0.0014 / 2)
        one = self.handover(tenants=1, connects_per_second=10)
        self.assertAlmostEqual(max(one), 500, delta=3)
        self.assertLess(max(self.handover(pods=10)), max(self.handover()))

    def test_what_was_measured_lies_where_the_simulation_says(self):
        # docs/performance.md, 5,000 chats at once on 2 cores that Postgres and both simulators share: 7.3 s, 7.0 CPU-s.
        alone = max(self.handover(cores=2))
        shared = max(self.handover(cores=1))
        self.assertLess(alone, 7.3)
        self.assertGreater(shared * 1.2, 7.3)


class Sizes(unittest.TestCase):
    def test_each_load_grows_with_the_step(self):
        v = model.values()
        sized = [model.size(v, *rest) for _, *rest in model.STEPS]
        for what in model.PRIMARY:
            loads = [r["loads"][what] for r in sized]
            self.assertEqual(loads, sorted(loads), what)
            self.assertGreater(loads[0], 0, what)

    def test_units(self):
        r = model.size(model.values({"wal_in_kb": 1, "wal_out_kb": 1, "wal_open_kb": 1, "wal_pages": 1, "stored_kb": 1, "peak_to_mean": 1}), 10, 100, 1024)
        self.assertAlmostEqual(r["wal"], 1.0)
        self.assertAlmostEqual(r["month_gb"], 86_400 * 30 / 1024)
        self.assertEqual(r["opens"], 128)

    def test_dearer_chats_need_more_memory_and_nothing_else(self):
        cheap, dear = (model.size(model.values({"chat_kb": kb}), 1000, 50_000, 500) for kb in (31.2, 62.4))
        self.assertGreater(dear["connector_mb"], cheap["connector_mb"] * 1.5)
        self.assertEqual(dear["loads"], cheap["loads"])

    def test_an_unknown_input_is_refused(self):
        with self.assertRaises(SystemExit):
            model.values({"chat_kbs": 1})


class Document(unittest.TestCase):
    def check(self):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            return model.main(["--check"]), said.getvalue()

    def test_is_in_step(self):
        self.assertEqual(self.check(), (0, "docs/scale.md is in step\n"))

    def test_one_changed_figure_is_found(self):
        text = model.DOC.read_text()
        changed = text.replace("| live chats | 5,000 |", "| live chats | 6,000 |")
        self.assertNotEqual(text, changed)
        self.assertEqual(model.put(changed, model.document()), text)

    def test_a_figure_that_was_measured_anew_is_found(self):
        self.assertEqual(list(model.stale(model.PERFORMANCE.read_text())), [])
        newer = model.PERFORMANCE.read_text().replace("31.2", "35.9")
        self.assertTrue(any("chat_kb" in problem for problem in model.stale(newer)))

    def test_a_table_that_is_gone_is_an_error(self):
        with self.assertRaises(SystemExit):
            model.put("no table", {"pods": ""})


if __name__ == "__main__":
    unittest.main(verbosity=1)
