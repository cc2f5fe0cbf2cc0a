"""A Prometheus of its own that scrapes a page with all metrics that dashboards and rules ask for: shows that the queries are right, without CCM."""

import contextlib
import http.server
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import yaml

import dashboards
import metrics

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
PATIENCE = 90


def expressions():
    for path in sorted((ROOT / "helm/ccm/files/alerts").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule["expr"] for rule in group["rules"])
    for board in dashboards.read(ROOT):
        yield from (dashboards.plain(target["expr"]) for _, target in dashboards.targets(board))


def one_of(operator, value):
    """A value that the matcher takes."""
    if operator in ("!=", "!~"):
        return "other"
    if operator == "=":
        return value
    first = value.split("|")[0].replace("\\\\", "\\")
    return {".*": "all", "5(\\.0)?": "5"}.get(first, re.sub(r"\.", "0", first) if re.fullmatch(r"[0-9]\.\.", first) else first)


def series():
    """`{metric: (kind, [labels])}`: for each way in which a metric is asked for a series that answers."""
    known = metrics.Known(ROOT, HERE)
    wanted = {}
    for expression in expressions():
        for name, matchers in metrics.asked(expression)[0]:
            base = name
            for suffix in ("_bucket", "_count", "_sum"):
                if known.kind(name.removesuffix(suffix)) == "histogram":
                    base = name.removesuffix(suffix)
            kind = known.kind(base)
            if kind is None:
                continue
            labels = {label: "any" for m in (known.source, known.coming) if base in m for label in m[base].labels}
            labels |= {l: one_of(o, v) for l, o, v in matchers if l not in ("le", "namespace")}
            one = tuple(sorted(labels.items()))
            wanted.setdefault(base, (kind, set()))[1].add(one)
    return wanted


def page(wanted, since):
    n = int(time.time() - since) + 1
    lines = []
    for name, (kind, many) in sorted(wanted.items()):
        for labels in sorted(many):
            text = ",".join(f'{label}="{value}"' for label, value in labels)
            if kind == "histogram" and name.endswith("_seconds"):
                for at, bound in enumerate(BUCKETS):
                    lines.append(f'{name}_bucket{{{text}{"," if text else ""}le="{bound}"}} {n * (at + 1)}')
                lines.append(f'{name}_bucket{{{text}{"," if text else ""}le="+Inf"}} {n * 16}')
                lines += [f"{name}_sum{{{text}}} {n * 9}", f"{name}_count{{{text}}} {n * 16}"]
            else:
                lines.append(f"{name}{{{text}}} {n if kind == 'counter' else 1}")
    return "\n".join(lines) + "\n"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def nobody():
    return f"http://127.0.0.1:{free_port()}"


@contextlib.contextmanager
def running():
    wanted, since = series(), time.time()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(page(wanted, since).encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder, port = tempfile.mkdtemp(), free_port()
    rules = [str(path) for path in sorted((ROOT / "helm/ccm/files/alerts").glob("*.yaml"))]
    target = {"targets": [f"127.0.0.1:{server.server_port}"], "labels": {"namespace": "ccm", "pod": "ccm-fake-0"}}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": rules,
        "scrape_configs": [{"job_name": "ccm", "static_configs": [target]}],
    }
    Path(folder, "prometheus.yml").write_text(yaml.safe_dump(config))
    with open(Path(folder, "log"), "w") as log:
        command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
        child = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        ready = False
        for _ in range(PATIENCE * 4):
            with contextlib.suppress(OSError):
                ready = urllib.request.urlopen(f"{url}/-/ready", timeout=2).status == 200
            if ready or child.poll() is not None:
                break
            time.sleep(0.25)
        if not ready:
            raise SystemExit(f"Prometheus does not start:\n{Path(folder, 'log').read_text()[-2000:]}")
        yield url
    finally:
        child.terminate()
        child.wait()
        server.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def until_full(ask):
    """Asks until nothing is empty, as a Prometheus that has just begun has no rates yet."""
    began = time.time()
    while True:
        wrong, counts = ask()
        if not wrong or time.time() - began > PATIENCE:
            return wrong, counts
        time.sleep(2)
