#!/usr/bin/env python3
"""deploy/scale/model.py: from measured figures to 10,000 tenants, 500,000 live chats and 5,000 texts a second.

  model.py           prints the tables that docs/scale.md contains
  model.py --write   puts them there
  model.py --check   ends with 1 if the document is not in step, or a measured figure is not in docs/performance.md any more
  model.py --set NAME=VALUE …   with another input, printed only: what if a chat took 60 KB?

Standard library only. Every input says where it is from; an estimate says so. Queues are simulated (simulate.py), with a fixed seed.
"""
import argparse, math, random, re, sys
from pathlib import Path

import simulate

ROOT = Path(__file__).resolve().parents[2]
DOC, PERFORMANCE = ROOT / "docs/scale.md", ROOT / "docs/performance.md"
SEED = 20261130

# name, value, unit, how (measured | estimated | given), when, from where; for docs/performance.md: the words there that hold the figure
INPUTS = [
    ("texts_per_conversation", 8, "texts, both ways", "estimated", "", "so that chats last 13 minutes on average"),
    ("peak_to_mean", 4, "", "estimated", "", "office hours, five days"),
    ("pod_cores", 2, "cores", "given", "", "requests of a pod"),
    ("pod_share", 0.6, "", "given", "", "of a pod's cores that is planned with; the rest is for a pod that is missing"),
    ("ingest_cpu_ms", 0.461, "ms a text", "measured", "2026-11-23", ("| accept | 500/s | ccm |", "0.461")),
    ("in_cpu_ms", 1.120, "ms a text, ingest and connector", "measured", "2026-11-23", ("| deliver | 300/s | ccm |", "1.120")),
    ("connector_out_cpu_ms", 0.66, "ms a text", "estimated", "", "as the way in costs the connector"),
    ("dispatch_cpu_ms", 1.264, "ms a text", "measured", "2026-11-27", ("| 500/s | ccm |", "1.264")),
    ("chat_kb", 31.2, "KB a chat", "measured", "2026-11-27", ("| KB a chat |", "31.2")),
    ("ping_cpu_us", 72, "µs a ping", "measured", "2026-11-27", ("| CPU µs a ping", "72")),
    ("ping_s", 5, "s", "given", "", "connector.ping_ms"),
    ("reopen_cpu_ms", 1.56, "ms a chat", "measured", "2026-11-27", ("| re-opening, CPU-s |", "15.6")),
    ("chats_per_pod", 10_000, "chats", "measured", "2026-11-27", ("`ccm-bench chats --chats 5000 --chats 10000", "10,000: ccm")),
    ("pod_base_mb", 60, "MB", "estimated", "", "a process before its first chat, pools and caches"),
    ("provider_ms", 150, "ms, median of a request", "estimated", "", "Twilio from the same continent"),
    ("dispatch_slots", 64, "texts under way a pod", "given", "", "dispatch.concurrency"),
    ("pool", 20, "connections a process at most", "given", "", "database.app_pool + system_pool"),
    ("pg_in_cpu_ms", 8.6, "ms of Postgres a text, with few texts a second", "measured", "2026-11-30", "measure.py, text_in"),
    ("pg_open_cpu_ms", 32.1, "ms of Postgres a conversation, its first text included, with few a second", "measured", "2026-11-30", "measure.py, conversation_opened"),
    ("busy", 0.38, "of that, on a busy server", "estimated", "", "as on the way out: 6.05 ms under load, 15.8 ms with few texts (measure.py, text_out)"),
    ("pg_out_cpu_ms", 6.05, "ms of Postgres a text", "measured", "2026-11-27", ("| 500/s | ccm |", "6.047")),
    ("commits_in", 4.8, "commits a text", "measured", "2026-11-30", "measure.py, text_in; none shared"),
    ("commits_out", 5.2, "commits a text", "measured", "2026-11-30", "measure.py, text_out"),
    ("commits_open", 13.9, "commits a conversation, its first text included", "measured", "2026-11-30", "measure.py, conversation_opened"),
    ("wal_in_kb", 4.1, "KB a text", "measured", "2026-11-30", "measure.py, text_in, without whole pages"),
    ("wal_out_kb", 6.1, "KB a text", "measured", "2026-11-30", "measure.py, text_out, without whole pages"),
    ("wal_open_kb", 6.1, "KB a conversation, its first text included", "measured", "2026-11-30", "measure.py, conversation_opened"),
    ("wal_pages", 2.0, "times, for whole pages after checkpoints", "estimated", "", "checkpoints every 15 min"),
    ("stored_kb", 1.2, "KB a text at rest, indexes and words included", "measured", "2026-11-30", "measure.py, bytes_per_text"),
    ("dead_rows", 9.8, "row versions a text that vacuum takes away", "measured", "2026-11-30", "measure.py, updates and deletes, both ways' mean"),
    ("idle_commits", 30, "commits/s of four idle processes", "measured", "2026-11-30", "measure.py, idle_per_second"),
    ("claim_ms", 0.011, "ms of a claim for each tenant that has a line", "measured", "2026-11-30", "EXPLAIN ANALYZE of CLAIM_LINES, lines of 1,000 and 10,000 tenants, none due; 0.025 where all are"),
    ("claim_base_ms", 0.06, "ms of a claim besides", "measured", "2026-11-30", "the same, no line; what is claimed is in pg_out_cpu_ms"),
    ("line_s", 0.5, "s that a text's line is there", "estimated", "", "provider's answer, two commits, the number's rate"),
    ("free_tenants_us", 4.5, "µs for each tenant, each pod and second", "measured", "2026-11-30", "EXPLAIN ANALYZE of free_tenants, 10,000 tenants, 50 pods: 40 to 60 ms"),
    ("usage_us", 3.0, "µs of Postgres a text of the day, each counting", "measured", "2026-11-26", "ADR 15: 1.2 s for 400,000"),
    ("usage_every_s", 300, "s between two countings of the day", "given", "", "ADR 15"),
]

STEPS = [("1×", 100, 5_000, 50), ("10×", 1_000, 50_000, 500), ("100×", 10_000, 500_000, 5_000)]

# What one large primary can carry: estimates, of which each is a reason to measure before it is relied on.
PRIMARY = {
    "Postgres CPU, texts": (38, "cores: 64 at 60 %"),
    "commits, each synced": (20_000, "commits/s: group commit on one NVMe, a synchronous standby near by"),
    "WAL": (150, "MB/s that a replica and the archive keep up with"),
    "connections without a pooler": (500, "backends"),
    "texts at rest, 400 days": (30, "TB that are backed up and restored within a night"),
    "a month's partition": (500, "GB that autovacuum, a words index and a rebuild get through"),
    "dead rows": (100_000, "rows/s that six autovacuum workers take away"),
    "claims of lines": (4, "cores: a tenth of the machine"),
    "looking for free tenants": (1, "core"),
    "counting usage": (1, "core: one statement is one core"),
    "Redis, one process": (100_000, "deliveries/s"),
    "sockets through one NAT address": (250_000, "entries: connection tracking of one node"),
}


def values(changes=()):
    found = {name: value for name, value, *_ in INPUTS}
    for name, value in dict(changes).items():
        if name not in found:
            raise SystemExit(f"error: there is no input {name}; there are {', '.join(found)}")
        found[name] = value
    return found


def size(v, tenants, chats, texts):
    """One step: pods, and what Postgres, Redis and the network have to carry at the peak."""
    each = texts / 2
    opens = texts / v["texts_per_conversation"]
    cores = v["pod_cores"] * v["pod_share"]
    pods = lambda ms: max(2, math.ceil(ms / 1000 / cores))
    r = {"tenants": tenants, "chats": chats, "texts": texts, "opens": opens}
    r["ingest"] = pods(each * v["ingest_cpu_ms"])
    connector_ms = each * (v["in_cpu_ms"] - v["ingest_cpu_ms"] + v["connector_out_cpu_ms"]) + chats / v["ping_s"] * v["ping_cpu_us"] / 1000
    r["connector"] = max(3, math.ceil(chats / v["chats_per_pod"]) + 1, pods(connector_ms))
    r["connector_cores"] = connector_ms / 1000
    r["connector_mb"] = v["pod_base_mb"] + chats / (r["connector"] - 1) * v["chat_kb"] / 1024
    r["dispatch"] = max(pods(each * v["dispatch_cpu_ms"]), math.ceil(each * (v["provider_ms"] / 1000 * 1.5 + 0.05) / v["dispatch_slots"] / 0.6))
    r["others"] = max(8, 2 * 4 * math.ceil(texts / 2500))
    r["processes"] = r["ingest"] + r["connector"] + r["dispatch"] + r["others"]
    inside = each - opens
    r["pg_texts"] = ((inside * v["pg_in_cpu_ms"] + opens * v["pg_open_cpu_ms"]) * v["busy"] + each * v["pg_out_cpu_ms"]) / 1000
    r["commits"] = inside * v["commits_in"] + each * v["commits_out"] + opens * v["commits_open"] + v["idle_commits"] / 4 * r["processes"]
    r["wal"] = (inside * v["wal_in_kb"] + each * v["wal_out_kb"] + opens * v["wal_open_kb"]) / 1024 * v["wal_pages"]
    day = texts / v["peak_to_mean"] * 86_400
    r["texts_day"] = day
    r["month_gb"] = day * 30 * v["stored_kb"] / 1024**2
    r["stored_tb"] = day * 400 * v["stored_kb"] / 1024**3
    with_line = tenants * (1 - math.exp(-each * v["line_s"] / tenants))
    one_claim = (v["claim_base_ms"] + v["claim_ms"] * with_line) / 1000
    # Every wake-up wakes every dispatch pod; a pod has one claim under way. At most: wake-ups that come together are one.
    claims = min(each * r["dispatch"], r["dispatch"] / one_claim)
    r["claims"], r["one_claim_ms"] = claims * one_claim, one_claim * 1000
    r["free"] = r["connector"] * tenants * v["free_tenants_us"] / 1e6
    r["usage"] = day * v["usage_us"] / 1e6 / v["usage_every_s"]
    r["redis"] = each * r["connector"] / 16 + each * r["dispatch"]
    r["loads"] = {
        "Postgres CPU, texts": r["pg_texts"], "commits, each synced": r["commits"], "WAL": r["wal"],
        "connections without a pooler": r["processes"] * v["pool"], "texts at rest, 400 days": r["stored_tb"], "a month's partition": r["month_gb"],
        "dead rows": texts * v["dead_rows"], "claims of lines": r["claims"], "looking for free tenants": r["free"], "counting usage": r["usage"],
        "Redis, one process": r["redis"], "sockets through one NAT address": chats,
    }
    return r


def breaks_at(v, what):
    """By how many times the first step is multiplied when one is not enough any more."""
    _, *first = STEPS[0]
    for tenth in range(0, 31):
        times = 10 ** (tenth / 10)
        if size(v, *(n * times for n in first))["loads"][what] > PRIMARY[what][0]:
            return f"{times:,.0f}×"
    return "beyond 1,000×"


def number(x):
    if float(x).is_integer():
        return f"{x:,.0f}"
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}".rstrip("0").rstrip(".") if x else "0"


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"] + ["| " + " | ".join(map(str, r)) + " |" for r in rows])


def lognormal(median_s, sigma):
    return lambda rng: rng.lognormvariate(math.log(median_s), sigma)


def simulations(v, sized, seconds=40):
    rows = []
    for name, r in sized:
        each, tenants = r["texts"] / 2, r["tenants"]
        common = dict(rate=each, conversations=max(50, r["chats"]), numbers=tenants * 3, per_second=10, lock_s=0.008, latency=lognormal(v["provider_ms"] / 1000, 0.5),
                      seconds=seconds, seed=SEED, claim_s=r["one_claim_ms"] / 1000)
        for what, change in (
            ("dispatch as sized", {}),
            ("only as many slots as are busy 95 % of the time", {"slots": math.ceil(each * (v["provider_ms"] / 1000 * math.exp(0.125) + 0.008) / 0.95)}),
            ("the provider 20 times slower for 10 s", {"slow": (10, 20, 20)}),
        ):
            done = simulate.outbox(**({"slots": r["dispatch"] * v["dispatch_slots"]} | common | change))
            rows.append((name, what, number(len(done)), *(f"{simulate.percentile(done, q):.2f} s" for q in (0.5, 0.99, 1))))
    handed = []
    for name, r in sized:
        survivors = r["connector"] - 1
        chats, tenants = r["chats"] // survivors, max(1, r["tenants"] // r["connector"])
        for what, rate in (("10/s a tenant (default)", 10), ("100/s a tenant", 100)):
            done = simulate.handover(chats=chats, tenants=tenants, pods=survivors, cores=v["pod_cores"], cpu_s=v["reopen_cpu_ms"] / 1000, connects_per_second=rate,
                                     lease_s=6, poll_s=1, handshake=lognormal(0.2, 0.4), seed=SEED)
            handed.append((name, what, number(chats), *(f"{simulate.percentile(done, q):.1f} s" for q in (0.5, 0.99, 1))))
    done = simulate.handover(chats=2_000, tenants=1, pods=1, cores=v["pod_cores"], cpu_s=v["reopen_cpu_ms"] / 1000, connects_per_second=10, lease_s=6, poll_s=1,
                             handshake=lognormal(0.2, 0.4), seed=SEED)
    handed.append(("any", "one tenant with 2,000 chats at 10/s", "2,000", *(f"{simulate.percentile(done, q):.1f} s" for q in (0.5, 0.99, 1))))
    return rows, handed


def document(changes=()):
    v = values(changes)
    sized = [(name, size(v, *rest)) for name, *rest in STEPS]
    blocks = {}
    blocks["inputs"] = table(("input", "value", "unit", "how", "from"), [
        (f"`{n}`", f"{v[n]:,g}", unit, f"{how} {when}".strip(), "performance.md, " + " ".join(w.strip("| ") for w in where[:1]) if isinstance(where, tuple) else where)
        for n, _, unit, how, when, where in INPUTS])
    blocks["pods"] = table(("at the peak", *(n for n, _ in sized)), [
        (label, *(number(r[key]) for _, r in sized)) for label, key in (
            ("tenants", "tenants"), ("live chats", "chats"), ("texts/s, both ways", "texts"), ("conversations opened/s", "opens"), ("`ingest` pods of 2 cores", "ingest"),
            ("`connector` pods, one of them to spare", "connector"), ("… cores that they use", "connector_cores"), ("… MB each, with one missing", "connector_mb"), ("`dispatch` pods", "dispatch"), ("other pods", "others"),
            ("processes", "processes"), ("a claim of lines, ms", "one_claim_ms"), ("texts a day", "texts_day"))])
    rows = []
    for what, (limit, unit) in PRIMARY.items():
        shares = [r["loads"][what] / limit for _, r in sized]
        rows.append((shares[-1], (what, *(f"{number(r['loads'][what])} ({s:.0%})" for (_, r), s in zip(sized, shares)), f"{number(limit)} {unit}", breaks_at(v, what))))
    blocks["loads"] = table(("load on what there is one of", *(n for n, _ in sized), "carries about", "too little from"), [r for _, r in sorted(rows, key=lambda r: -r[0])])
    first = []
    for name, r in sized:
        over = sorted(((r["loads"][w] / PRIMARY[w][0], w) for w in PRIMARY), reverse=True)
        broken = [f"{w} ({s:.1f}×)" for s, w in over if s > 1]
        first.append((name, "; ".join(broken) or f"nothing; nearest: {over[0][1]} ({over[0][0]:.0%})"))
    blocks["first"] = table(("step", "beyond what one carries, the worst first"), first)
    lines, handed = simulations(v, sized)
    blocks["lines"] = table(("step", "simulated", "texts", "p50", "p99", "longest"), lines)
    blocks["handover"] = table(("step", "a connector pod dies; dials", "its chats", "half are back", "99 %", "all"), handed)
    return blocks


def put(text, blocks):
    for name, block in blocks.items():
        text, found = re.subn(rf"(<!-- model: {name} -->\n)(?:(?!<!-- model).)*?(<!-- /model -->)", lambda m: f"{m[1]}{block}\n{m[2]}", text, flags=re.S)
        if found != 1:
            raise SystemExit(f"error: docs/scale.md has {found} places for the table {name} instead of 1")
    return text


def stale(performance):
    """Measured inputs whose figure is not where it is said to be."""
    for name, value, _, how, _, where in INPUTS:
        if how == "measured" and isinstance(where, tuple):
            lines = [line for line in performance.splitlines() if where[0] in line]
            if not any(where[1] in line for line in (lines if where[0].startswith("|") else lines and performance.splitlines())):
                yield f"{name} = {value}: docs/performance.md has no {where[1]} in the line {where[0]!r}"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args(arguments)
    changes = {n: float(x) for n, x in (s.split("=", 1) for s in args.set)}
    if changes and (args.check or args.write):
        parser.error("--set is for printing: change INPUTS for the document")
    blocks = document(changes)
    if args.write:
        DOC.write_text(put(DOC.read_text(), blocks))
    elif args.check:
        problems = list(stale(PERFORMANCE.read_text()))
        if put(DOC.read_text(), blocks) != DOC.read_text():
            problems.append("docs/scale.md is not what the model says: deploy/scale/model.py --write")
        print("\n".join(problems) or "docs/scale.md is in step")
        return 1 if problems else 0
    else:
        print("\n\n".join(f"{name}\n\n{block}" for name, block in blocks.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
