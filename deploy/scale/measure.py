#!/usr/bin/env python3
"""What a text costs Postgres: commits, WAL and bytes at rest, counted by Postgres itself while the real programs carry texts both ways.

deploy/scale/measure.py [--bin FOLDER] [--texts N] [--chats N]

Counts, and CPU time of Postgres alone: it can run on a busy machine. Prints one JSON object, whose figures stand in deploy/scale/model.py.
Texts come one after the other to each chat, so nothing shares a commit that could: figures are of the dearest case.
"""
import argparse, importlib.machinery, importlib.util, json, os, signal, sys, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
loader = importlib.machinery.SourceFileLoader("check_restore", str(ROOT / "deploy/dev/check-restore"))
restore = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_restore", loader))
loader.exec_module(restore)

COUNTS = """SELECT json_build_object('commits', (SELECT xact_commit FROM pg_stat_database WHERE datname = 'ccm'),
  'wal', (SELECT wal_bytes FROM pg_stat_wal), 'fpi', (SELECT wal_fpi FROM pg_stat_wal), 'records', (SELECT wal_records FROM pg_stat_wal),
  'updates', (SELECT sum(n_tup_upd) FROM pg_stat_user_tables), 'inserts', (SELECT sum(n_tup_ins) FROM pg_stat_user_tables),
  'deletes', (SELECT sum(n_tup_del) FROM pg_stat_user_tables), 'hot', (SELECT sum(n_tup_hot_upd) FROM pg_stat_user_tables))"""
SIZES = """SELECT json_object_agg(t, json_build_array(heap, idx, n)) FROM (
  SELECT regexp_replace(relname, '_[0-9]{6}$', '') t, sum(pg_table_size(c.oid)) heap, sum(pg_indexes_size(c.oid)) idx, sum(greatest(reltuples, 0)) n
  FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace WHERE s.nspname = 'public' AND relkind = 'r' GROUP BY 1) x"""


def postgres_cpu_ms(world):
    """Of the postmaster, its children, and those of them that have ended."""
    pid, ticks = world.processes["postgres"].pid, 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(") ", 1)[1].split()
        except OSError:
            continue
        if int(stat.parent.name) == pid:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == pid:
            ticks += sum(map(int, fields[11:13]))
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(ROOT / "target/debug"))
    parser.add_argument("--texts", type=int, default=12, help="each way in each chat")
    parser.add_argument("--chats", type=int, default=24, help="of each of the two tenants")
    parser.set_defaults(synchronous=False, without_quarantine=False, keep=False)
    args = parser.parse_args()
    for ends in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ends, lambda number, _: sys.exit(128 + number))
    world = restore.World(args)
    try:
        world.start()
        x = restore.Exercise(world)
        chats = [(t, c) for t in world.tenants for c in t["customers"]]
        result = {"chats": len(chats), "texts": args.texts * len(chats), "postgres": world.psql("SHOW server_version").split()[0]}

        def counted(name, per, action):
            # Statistics of a backend are sent when it has been idle for a moment.
            time.sleep(2)
            before, began = json.loads(world.psql(COUNTS)) | {"cpu_ms": postgres_cpu_ms(world)}, time.monotonic()
            action()
            time.sleep(2)
            after, took = json.loads(world.psql(COUNTS)) | {"cpu_ms": postgres_cpu_ms(world)}, time.monotonic() - began
            change = {k: after[k] - before[k] for k in before}
            idle = result.get("idle_per_second", {})
            result[name] = {k: round((v - took * idle.get(k, 0)) / per(took), 2) for k, v in change.items()}

        world.psql("CHECKPOINT")
        counted("idle_per_second", lambda took: took, lambda: time.sleep(20))

        def opened(some):
            for tenant, customer in some:
                x.text(tenant, customer, "first text of a customer, as long as many of them are, with an order number 4711")
            x.open_chats([c for _, c in some])
            restore.wait("first texts arrive", x.arrived)

        half = len(chats) // 2
        opened(chats[:half])  # Plans and caches are there then.
        counted("conversation_opened", lambda _: len(chats) - half, lambda: opened(chats[half:]))

        def texts(way):
            for n in range(args.texts):
                for tenant, customer in chats:
                    if way == "in":
                        x.text(tenant, customer, "an ordinary text of a customer, as long as many of them are, order 4711")
                    else:
                        x.say(customer, "an ordinary answer of an agent, a little longer than what it answers, as answers are", tenant["kind"])
            restore.wait("texts arrive", x.arrived, 300)
            if way == "out":
                restore.wait("nothing waits", lambda: world.psql("SELECT count(*) FROM outbox") == "0")

        texts("in")  # Pages have been written whole since the checkpoint: what follows is counted without that.
        texts("out")
        world.psql("VACUUM ANALYZE")
        before = json.loads(world.psql(SIZES))
        counted("text_in", lambda _: result["texts"], lambda: texts("in"))
        counted("text_out", lambda _: result["texts"], lambda: texts("out"))
        world.psql("VACUUM ANALYZE")
        after = json.loads(world.psql(SIZES))
        grown = {t: [after[t][i] - before.get(t, [0, 0, 0])[i] for i in range(3)] for t in after}
        result["bytes_per_text"] = {t: [round(g[0] / 2 / result["texts"]), round(g[1] / 2 / result["texts"])] for t, g in grown.items() if g[0] + g[1] > 8192 * 2}
        result["connections"] = int(world.psql("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'ccm%'"))
        print(json.dumps(result, indent=1))
    finally:
        world.end_all()


if __name__ == "__main__":
    sys.exit(main())
