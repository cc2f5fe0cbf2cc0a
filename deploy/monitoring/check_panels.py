"""Asks a Prometheus each query of each panel, and each rule that records. Run by deploy/dev/check-panels."""

import argparse
import json
import math
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import dashboards
import fake

ROOT = Path(__file__).resolve().parents[2]
MAY_BE_EMPTY = Path(__file__).with_name("empty-in-a-demo.txt")


class Prometheus:
    def __init__(self, url):
        self.url = url.rstrip("/")

    def get(self, path, **query):
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
                return json.load(answer)["data"], None
        except urllib.error.HTTPError as error:
            try:
                return None, json.load(error).get("error", str(error))
            except ValueError:
                return None, str(error)
        except (OSError, ValueError) as error:
            return None, str(error)

    def series(self, query, minutes):
        """How many series have a figure in the last minutes, and what went wrong."""
        now = time.time()
        data, error = self.get("query_range", query=query, start=now - 60 * minutes, end=now, step=max(1, minutes))
        if error:
            return 0, error
        figures = (any(not math.isnan(float(value)) for _, value in one["values"]) for one in data["result"])
        return sum(figures), None


def may_be_empty():
    """Lines `UID / PANEL [/ REF]: REASON`, `#` begins a comment."""
    known = {}
    for line in MAY_BE_EMPTY.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            where, _, reason = line.partition(": ")
            parts = tuple(part.strip() for part in where.split(" / "))
            known[parts] = reason.strip()
    return known


def wrong_with(known):
    there = set()
    for board in dashboards.read(ROOT):
        for panel, target in dashboards.targets(board):
            there |= {(board["uid"], panel["title"]), (board["uid"], panel["title"], target["refId"])}
    for where, reason in known.items():
        if where not in there:
            yield f"{MAY_BE_EMPTY.name}: there is no panel {' / '.join(where)}"
        if not reason:
            yield f"{MAY_BE_EMPTY.name}: {' / '.join(where)} has no reason"


def ask_all(prometheus, minutes, excused):
    """What is wrong, and how it went in numbers."""
    wrong, counts = [], {"asked": 0, "full": 0, "empty": 0, "excused": 0}
    for board in dashboards.read(ROOT):
        for panel, target in dashboards.targets(board):
            counts["asked"] += 1
            where = (board["uid"], panel["title"], target["refId"])
            query = dashboards.plain(target["expr"])
            many, error = prometheus.series(query, minutes)
            reason = excused.get(where) or excused.get(where[:2])
            if error:
                wrong.append(f"{' / '.join(where)}: {error}\n    {query}")
            elif many:
                counts["full"] += 1
            elif reason:
                counts["excused"] += 1
            else:
                counts["empty"] += 1
                wrong.append(f"{' / '.join(where)} is empty\n    {query}")
    return wrong, counts


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("url", nargs="?")
    arguments.add_argument("--fake", action="store_true")
    arguments.add_argument("--minutes", type=int, default=30)
    arguments.add_argument("--all", action="store_true")
    given = arguments.parse_args()
    known = may_be_empty()
    problems = list(wrong_with(known))
    if given.fake:
        with fake.running() as url:
            wrong, counts = fake.until_full(lambda: ask_all(Prometheus(url), 5, {}))
            # A Prometheus that has nothing must not do.
            broken, _ = ask_all(Prometheus(fake.nobody()), 5, {})
            if len(broken) != counts["asked"]:
                problems.append("panels are full although nobody answers")
            many, _ = Prometheus(url).series("ccm_nothing_total", 5)
            if many:
                problems.append("a metric that there is not has figures")
    else:
        prometheus = Prometheus(given.url)
        built, error = prometheus.get("status/buildinfo")
        if error:
            print(f"wrong: no Prometheus answers at {given.url}: {error}", file=sys.stderr)
            return 1
        print(f"Prometheus {built['version']} at {given.url}, the last {given.minutes} minutes")
        wrong, counts = ask_all(prometheus, given.minutes, {} if given.all else known)
    problems += wrong
    for problem in problems:
        print(f"wrong: {problem}", file=sys.stderr)
    print(
        f"{counts['asked']} queries of {len(dashboards.read(ROOT))} dashboards: {counts['full']} have data, "
        f"{counts['excused']} are empty and may be, {counts['empty']} are empty; {len(problems)} problems"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
