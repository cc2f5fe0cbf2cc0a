"""Holds alerts, their tests, their runbooks and the dashboards against each other and against the source. Run by deploy/dev/check-alerts."""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from os import cpu_count
from pathlib import Path

import yaml

import dashboards
import metrics

ROOT = Path(__file__).resolve().parents[2]
RULES, TESTS = Path("helm/ccm/files/alerts"), Path("deploy/monitoring/tests")
RUNBOOKS, HEADINGS = Path("docs/runbooks"), ["What it means for customers", "First look", "Remedy", "Escalation"]
PREFIX = "https://RUNBOOKS/"
SEVERITIES = {"page", "ticket"}
LOOKED_FOR = re.compile(r'ALERTS\{alertname="(\w+)", alertstate="firing"\}')
# Where people are told of metrics.
PAGES = [RUNBOOKS, Path("docs/slo.md")]


@cache
def parsed(text):
    """Not to be changed: others get the same."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@cache
def said_in_source():
    paths = [path for folder in ("services", "libs") for path in sorted(Path(ROOT, folder).glob("*/src/**/*.rs"))]
    return " ".join(path.read_text() for path in paths).lower()


class Tree:
    """The files of this check, here or in a copy that is broken on purpose."""

    def __init__(self, root):
        self.root = Path(root)
        self.rules = {p: parsed(p.read_text()) for p in sorted((self.root / RULES).glob("*.yaml"))}
        self.tests = {p: parsed(p.read_text()) for p in sorted((self.root / TESTS).glob("*.yaml"))}

    def all_rules(self):
        return [rule for file in self.rules.values() for group in file["groups"] for rule in group["rules"]]

    def alerts(self):
        return [rule for rule in self.all_rules() if "alert" in rule]

    def cases(self):
        """Each test that looks for an alert: `(file, test, alert, severities that fire)`."""
        for path, file in self.tests.items():
            for test in file["tests"]:
                for expression in test.get("promql_expr_test", []):
                    if looked := LOOKED_FOR.fullmatch(expression["expr"]):
                        labels = " ".join(s["labels"] for s in expression["exp_samples"])
                        yield path, test, looked[1], set(re.findall(r'severity="(\w+)"', labels))


def promtool(*arguments, folder=None):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, cwd=folder)
    return done.returncode == 0, done.stdout + done.stderr


def at_once(do, many):
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        return list(pool.map(do, many))


def told(name, output):
    lines = [line for line in output.splitlines() if line.strip()]
    return "\n    ".join([name, *lines[:20]])


def check_rules(tree):
    good, output = promtool("check", "rules", *tree.rules)
    if not good:
        yield told("promtool does not take the rules", output)


def run_tests(paths):
    for path, (good, output) in zip(paths, at_once(lambda p: promtool("test", "rules", p), paths)):
        if not good:
            yield told(f"{path.name}: tests fail", output)


def check_alerts(tree):
    for alert in tree.alerts():
        name, annotations = alert["alert"], alert.get("annotations", {})
        if not re.fullmatch(r"Ccm([A-Z][a-z]+)+", name):
            yield f"{name}: a name is Ccm and words"
        if alert.get("labels", {}).get("severity") not in SEVERITIES:
            yield f"{name}: severity is page or ticket"
        if "for" not in alert and "[" not in alert["expr"] and "ccm:sli_bad_ratio" not in alert["expr"]:
            yield f"{name}: it fires at one scrape: give it a `for`"
        for text in ("summary", "description"):
            if not str(annotations.get(text, "")).strip().endswith("."):
                yield f"{name}: its {text} is a sentence"
        if annotations.get("runbook_url") != f"{PREFIX}{name}.md":
            yield f"{name}: runbook_url is {PREFIX}{name}.md"


def check_coverage(tree):
    recorded = {}
    for rule in tree.all_rules():
        if "record" in rule:
            recorded.setdefault(rule["record"], set()).update(name for name, _ in metrics.asked(rule["expr"])[0])

    def made_of(expression):
        names, todo = set(), [name for name, _ in metrics.asked(expression)[0]]
        while todo:
            name = todo.pop()
            if name not in names:
                names.add(name)
                todo += recorded.get(name, [])
        return names

    known = {alert["alert"] for alert in tree.alerts()}
    cases = list(tree.cases())
    for path, test, name, _ in cases:
        if name not in known:
            yield f"{path.name}: tests {name}, which is no alert"
        if not test.get("name", "").startswith(name):
            yield f"{path.name}: a test of {name} is called {test.get('name')!r}: begin with the alert"
    used = {}
    for alert in tree.alerts():
        used.setdefault(alert["alert"], set()).update(made_of(alert["expr"]))
    for alert in tree.alerts():
        name, severity = alert["alert"], alert.get("labels", {}).get("severity")
        of = [(test, fires) for _, test, tested, fires in cases if tested == name]
        if not any(severity in fires for _, fires in of):
            yield f"{name} ({severity}): no test in which it fires"
        silent = [test for test, fires in of if not fires]
        if not silent:
            yield f"{name}: no test in which it stays silent"
        for test in silent:
            given = {series["series"].split("{")[0] for series in test["input_series"]}
            if not given & used[name]:
                yield f"{name}: {test['name']!r} has none of its metrics: anything would be silent"


def check_texts(tree):
    """Has promtool render the texts of all alerts, with the labels that they have in tests: it tells them where none is expected."""
    labels = {}
    for _, test, name, _ in tree.cases():
        for expression in test["promql_expr_test"]:
            for sample in expression["exp_samples"]:
                pairs = dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))
                labels[name, pairs["severity"]] = {k: v for k, v in pairs.items() if k not in ("alertname", "alertstate")}
    rules = []
    for alert in tree.alerts():
        of = labels.get((alert["alert"], alert["labels"].get("severity")), {})
        vector = "vector(0.12345)"
        for label in sorted(of.keys() - alert["labels"].keys()):
            vector = f'label_replace({vector}, "{label}", "{of[label]}", "", "")'
        rules.append({k: v for k, v in alert.items() if k not in ("for", "keep_firing_for")} | {"expr": vector})
    # One test for all: each costs promtool a database of its own.
    looks = [{"eval_time": "0m", "alertname": name, "exp_alerts": []} for name in sorted({alert["alert"] for alert in tree.alerts()})]
    tests = [{"interval": "1m", "input_series": [], "alert_rule_test": looks}]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "texts", "rules": rules}]}))
        Path(folder, "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": tests}))
        _, rendered = promtool("test", "rules", Path(folder, "tests.yaml"))
    seen = set(re.findall(r'Labels:\{alertname="(\w+)"', rendered))
    for alert in {alert["alert"] for alert in tree.alerts()} - seen:
        yield f"{alert}: its texts were not rendered"
    for wrong in ("error expanding", "<no value>", "%!"):
        for line in rendered.splitlines():
            if wrong in line:
                yield f"a text does not render ({wrong}): {line.strip()[:300]}"


def check_metrics(tree, known):
    for rule in tree.all_rules():
        for wrong in known.wrong_with(rule["expr"]):
            yield f"{rule.get('alert') or rule['record']}: {wrong}"
    for board in dashboards.read(tree.root):
        for panel, target in dashboards.targets(board):
            for wrong in known.wrong_with(target["expr"]):
                yield f"dashboard {board['title']}, panel {panel['title']!r}: {wrong}"
        for variable, expression in dashboards.variables(board):
            for wrong in known.wrong_with(expression):
                yield f"dashboard {board['title']}, variable {variable}: {wrong}"
    for name in known.done():
        yield f"metrics-to-come.txt: {name} is in the source now: take its line out"
    for path in pages(tree):
        for name in set(re.findall(r"\bccm_[a-z_]+[a-z]\b", without_roles(path.read_text()))):
            if known.labels(name) is None and known.kind(name) is None:
                yield f"{path.relative_to(tree.root)}: {name} is no metric of ours"


def without_roles(text):
    """Database roles and crates are called alike."""
    return re.sub(r"\bccm_(app|system|ewc_client)(_login)?\b", "", text)


def pages(tree):
    for page in PAGES:
        path = tree.root / page
        yield from sorted(path.glob("*.md")) if path.is_dir() else [path]


def check_queries(tree, known):
    """Expressions of dashboards and of pages, as promtool reads them."""
    rules = []
    for board in dashboards.read(tree.root):
        for panel, target in dashboards.targets(board):
            rules.append((f"dashboard {board['title']}, panel {panel['title']!r}", dashboards.plain(target["expr"])))
    for path in pages(tree):
        for block in re.findall(r"```promql\n(.*?)```", path.read_text(), flags=re.S):
            for query in block.strip().split("\n\n"):
                where = f"{path.relative_to(tree.root)}: {query.splitlines()[0]}"
                rules.append((where, query))
                for wrong in known.wrong_with(query):
                    yield f"{where}: {wrong}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "queries.yaml")
        listed = [{"record": f"query:{n}", "expr": query} for n, (_, query) in enumerate(rules)]
        path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": listed}]}, width=10_000))
        good, output = promtool("check", "rules", path)
    if not good:
        named = re.sub(r"query:(\d+)", lambda found: rules[int(found[1])][0], output)
        yield told("queries that promtool does not read", named)


def headings_of(path):
    """As GitHub makes addresses of them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_runbooks(tree):
    folder = tree.root / RUNBOOKS
    alerts = {alert["alert"] for alert in tree.alerts()}
    there = {path.stem for path in folder.glob("*.md")} - {"README"}
    index = (folder / "README.md").read_text() if (folder / "README.md").exists() else ""
    for name in sorted(alerts - there):
        yield f"{name}: no runbook {RUNBOOKS}/{name}.md"
    for name in sorted(there - alerts):
        yield f"{RUNBOOKS}/{name}.md: there is no such alert"
    for name in sorted(alerts & there):
        text = (folder / f"{name}.md").read_text()
        if not text.startswith(f"# {name}\n"):
            yield f"{RUNBOOKS}/{name}.md: its title is the alert's name"
        parts = re.split(r"^## (.+)$", text, flags=re.M)
        if parts[1::2] != HEADINGS:
            yield f"{RUNBOOKS}/{name}.md: its headings are {', '.join(HEADINGS)}"
        for heading, body in zip(parts[1::2], parts[2::2]):
            if len(body.split()) < 5:
                yield f"{RUNBOOKS}/{name}.md: {heading} says nothing"
        severities = ", ".join(sorted({alert["labels"].get("severity", "") for alert in tree.alerts() if alert["alert"] == name}))
        if f"\n| [{name}]({name}.md) | {severities} |" not in index:
            yield f"{RUNBOOKS}/README.md: {name} is not in it as {severities}"
    for path in pages(tree):
        for link, part in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", path.read_text()):
            # A copy has none of the pages outside.
            places = [path.parent / link, ROOT / path.relative_to(tree.root).parent / link]
            there = next((place for place in places if place.exists()), None)
            if there is None:
                yield f"{path.relative_to(tree.root)}: leads to {link}, which is not there"
            elif part and part not in headings_of(there):
                yield f"{path.relative_to(tree.root)}: leads to {link}#{part}, which has no such heading"
    for board in dashboards.read(tree.root):
        for name in re.findall(re.escape(PREFIX) + r"(\w+)\.md", dashboards.text_of(board)):
            if name not in alerts | {"README"}:
                yield f"dashboard {board['title']}: leads to a runbook of {name}, which is no alert"


def commands(text):
    """Commands of ccmctl: in blocks of shell, and in a line between backquotes."""
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.S):
        yield from re.findall(r"(?:^|[|(] *)ccmctl (.+)$", block, flags=re.M)
    yield from re.findall(r"`ccmctl ([^`]+)`", text)


def check_commands(tree, program):
    """Commands of ccmctl, up to their first flag or argument, are asked for their help."""
    found = {}
    for path in pages(tree):
        for line in commands(path.read_text()):
            line = line.split(" #")[0]
            words = []
            for word in line.split():
                if not re.fullmatch(r"[a-z][a-z-]*", word):
                    break
                words.append(word)
            flags = frozenset(re.findall(r"(?:^| )(--[a-z][a-z.-]*)", line))
            found.setdefault((tuple(words), flags), path)

    def ask(command):
        return subprocess.run([program, *command[0], "--help"], capture_output=True, text=True)

    for ((words, flags), path), done in zip(found.items(), at_once(ask, found)):
        where = f"{path.relative_to(tree.root)}: ccmctl {' '.join(words)}"
        if done.returncode != 0 or re.search(r"Usage: .*<COMMAND>", done.stdout):
            yield f"{where} is no command"
        for flag in sorted(flags):
            if not re.search(re.escape(flag) + r"\b", done.stdout):
                yield f"{where} has no {flag}"


def check_log_lines(tree):
    """What a page has people look for in logs, some line of the source says."""
    said = said_in_source()
    for path in pages(tree):
        for line in re.findall(r"kubectl -n ccm logs .*", path.read_text()):
            for extended, phrase in re.findall(r"grep (?:-i |-A5 |-o |(-E) )*(?:'([^']+)')", line):
                if phrase.startswith('"'):
                    continue
                for part in phrase.split("|") if extended else [phrase]:
                    if part.lower() not in said:
                        yield f"{path.relative_to(tree.root)}: no line of the source says {part!r}"


def check_dashboards(tree):
    for name, text in dashboards.made().items():
        path = tree.root / dashboards.FOLDER / name
        if not path.exists() or path.read_text() != text:
            yield f"{dashboards.FOLDER}/{name} is not what dashboards.py makes: run deploy/monitoring/dashboards.py"
    for path in sorted((tree.root / dashboards.FOLDER).glob("*.json")):
        if path.name not in dashboards.made():
            yield f"{dashboards.FOLDER}/{path.name}: dashboards.py makes no such dashboard"
    for board in dashboards.read(tree.root):
        yield from dashboards.wrong_with(board)


def everything(tree, known):
    known.record(tree.all_rules())
    yield from check_alerts(tree)
    yield from check_coverage(tree)
    yield from check_metrics(tree, known)
    yield from check_runbooks(tree)
    yield from check_log_lines(tree)
    yield from check_dashboards(tree)
    yield from check_rules(tree)
    yield from check_texts(tree)
    yield from check_queries(tree, known)


def copy(folder):
    for part in (RULES, TESTS, RUNBOOKS, dashboards.FOLDER):
        shutil.copytree(ROOT / part, Path(folder, part))
    shutil.copy(ROOT / "docs/slo.md", Path(folder, "docs/slo.md"))
    shutil.copy(ROOT / "deploy/monitoring/metrics-to-come.txt", Path(folder, "deploy/monitoring"))


def swap(path, old, new):
    def broken(folder):
        file = Path(folder, path)
        text = file.read_text()
        if not re.search(old, text, flags=re.S):
            raise LookupError(f"{path} has no {old}")
        file.write_text(re.sub(old, new, text, count=1, flags=re.S))

    return broken


def remove(path):
    return lambda folder: Path(folder, path).unlink()


def add(path, text):
    return lambda folder: Path(folder, path).write_text(text)


# What is broken on purpose, and what the check has to say about it.
BREAKS = [
    ("a metric is misspelt", swap(RULES / "ingest.yaml", r"ccm_ingest_flooded_total\[", "ccm_ingest_floods_total["), "ccm_ingest_floods_total is no metric"),
    ("a label is misspelt", swap(RULES / "connector.yaml", r'\{why="panic"\}', '{reason="panic"}'), "has no label reason"),
    ("a value is misspelt", swap(RULES / "connector.yaml", r'"link\|settings"', '"link|setings"'), "for of ccm_connector_waiting is never setings"),
    ("a value to come is misspelt", swap(RULES / "connector.yaml", r"down\|half_open", "down|halfopen"), "is never halfopen"),
    ("it groups by a label that there is not", swap(RULES / "dispatch.yaml", r"by \(namespace, kind\)", "by (namespace, provider)"), "has the label provider"),
    ("no severity", swap(RULES / "events.yaml", r"severity: page", "level: page"), "severity is page or ticket"),
    ("another severity", swap(RULES / "events.yaml", r"severity: page", "severity: critical"), "severity is page or ticket"),
    ("no `for`", swap(RULES / "events.yaml", r"        for: 10m\n", ""), "give it a `for`"),
    ("no description", swap(RULES / "ingest.yaml", r"description: >-", "details: >-"), "its description is a sentence"),
    ("another runbook", swap(RULES / "ingest.yaml", r"RUNBOOKS/CcmIngestSilent", "RUNBOOKS/CcmIngestLate"), "runbook_url is"),
    ("a text asks for a label that is misspelt", swap(RULES / "availability.yaml", r"role {{ \$labels.role", "role {{ $label.role"), "promtool does not take the rules"),
    ("a text formats what it cannot", swap(RULES / "ingest.yaml", r"printf \"%.0f\"", 'printf "%d"'), "does not render (%!)"),
    ("an expression that is none", swap(RULES / "ingest.yaml", r"\) > 100", ") > > 100"), "promtool does not take the rules"),
    ("no test fires", swap(TESTS / "events.yaml", r"(alertname=\"CcmEventsFail\", alertstate=\"firing\"\}\n[^\n]*\n        exp_samples:)\n.*?value: 1\n", r"\1 []\n"), "no test in which it fires"),
    ("one severity of two is not tested", swap(TESTS / "availability.yaml", r'role="admin", severity="ticket"', 'role="admin", severity="page"'), "CcmRequestsFail (ticket): no test"),
    ("no silent test", swap(TESTS / "events.yaml", r"  - name: \"CcmWebhookDisabled is silent.*?exp_samples: \[\]\n\n?", ""), "no test in which it stays silent"),
    ("a silent test without its metrics", swap(TESTS / "ingest.yaml", r"(CcmPhonesFlood is silent.*?series: ')ccm_\w+", r"\1ccm_bus_connected"), "anything would be silent"),
    ("a test of an alert that is gone", swap(TESTS / "ingest.yaml", r"alertname=\"CcmPhonesFlood\"", 'alertname="CcmPhonesFlooded"'), "which is no alert"),
    ("a runbook is missing", remove(RUNBOOKS / "CcmRoleGone.md"), "no runbook"),
    ("a runbook of no alert", add(RUNBOOKS / "CcmAnything.md", "# CcmAnything\n"), "there is no such alert"),
    ("a heading is missing", swap(RUNBOOKS / "CcmRoleGone.md", "## Remedy", "## Remedies"), "its headings are"),
    ("a heading with nothing below", swap(RUNBOOKS / "CcmRoleGone.md", r"## Escalation\n.*", "## Escalation\n\nNobody.\n"), "says nothing"),
    ("it is not in the index", swap(RUNBOOKS / "README.md", r"\[CcmRoleGone\]\(CcmRoleGone.md\)", "CcmRoleGone"), "CcmRoleGone is not in it"),
    ("the index has another severity", swap(RULES / "dependencies.yaml", "severity: page", "severity: ticket"), "CcmDatabaseDown is not in it as ticket"),
    ("a link to nowhere", swap(RUNBOOKS / "README.md", r"\]\(\.\./slo\.md\)", "](../slos.md)"), "which is not there"),
    ("a link to a heading that is gone", swap(RUNBOOKS / "CcmLinkDown.md", "#causes", "#reasons"), "which has no such heading"),
    ("a page names a metric that is gone", swap(RUNBOOKS / "README.md", r"\Z", "\n`ccm_gone_total`\n"), "ccm_gone_total is no metric"),
    ("a page's query is none", swap(RUNBOOKS / "README.md", r"\Z", "\n```promql\nsum(ccm_ready\n```\n"), "does not read"),
    ("a page looks for a log line that nothing says", swap(RUNBOOKS / "CcmIngestNotStored.md", "webhook failed", "webhook has failed"), "no line of the source says"),
    ("a dashboard was changed by hand", swap(dashboards.FOLDER / "overview.json", r'"title": "', '"title": "My '), "is not what dashboards.py makes"),
    ("a dashboard of one's own", add(dashboards.FOLDER / "mine.json", '{"title": "Mine", "panels": [], "templating": {"list": []}}'), "makes no such dashboard"),
    ("a panel asks for what there is not", swap(dashboards.FOLDER / "ingest.json", r"ccm_ingest_accepted_total", "ccm_ingest_taken_total"), "ccm_ingest_taken_total is no metric"),
    ("what is there is still to come", swap(Path("deploy/monitoring/metrics-to-come.txt"), r"\Z", "gauge ccm_connector_actors\n"), "is in the source now"),
]

# What is changed in a rule, and the alert of which a test then fails: its near miss, or the case for which the rule has the words.
WEAKENED = [
    ("connector", "links that a planned absence holds count", r'\{state=~"down\|half_open"\}\) >= 3', '{state=~"down|half_open|held"}) >= 0', "CcmManyLinksDown"),
    ("connector", "two links are many", r">= 3\n", ">= 2\n", "CcmManyLinksDown"),
    ("connector", "what a tenant lets wait no longer counts", r'(CcmTextsRefused\n.*?)why!="held"(.*?)why!="held"(.*?)why!="held"', r'\1\2\3', "CcmTextsRefused"),
    ("connector", "the first event of a pod is not seen", r"\n            or ccm_connector_texts_refused_total\{[^\n]*", "", "CcmTextsRefused"),
    ("connector", "an old series is taken for a new one", r'unless last_over_time\(ccm_connector_texts_refused_total[^\n]*', "", "CcmTextsRefused"),
    ("connector", "waiting for agents counts", r'"link\|settings"', '"link|settings|agent"', "CcmTextsWaitForLinks"),
    ("connector", "a kill of a connector wakes somebody", r"(nobodys.*?for: )2m", r"\g<1>0m", "CcmTenantsWithoutOwner"),
    ("availability", "a pod that drains counts", r"          unless on \(namespace, job, instance\) ccm_draining == 1\n", "", "CcmPodNotReady"),
    ("availability", "a rollout counts", r"for: 2h", "for: 20m", "CcmVersionsMixed"),
    ("availability", "what follows from a database that is away is told besides", r"          unless on \(namespace\) ccm:database_down\n", "", "CcmRoleNotReady"),
    ("availability", "other targets count", r"\n          and on \(namespace, job, instance\) last_over_time[^\n]*", "", "CcmPodNotScraped"),
    ("dispatch", "30 seconds are long", r'"lines_to_providers"\}\) > 60', '"lines_to_providers"}) > 20', "CcmLinesNotTaken"),
    ("dispatch", "refusals count as given up", r"refused\|opted_out\|capped", "opted_out|capped", "CcmTextsGivenUp"),
    ("ingest", "who knows no account wakes somebody", r"signature\|stale\|wrong_account\|account\"", 'signature|stale|wrong_account|account|no_account"', "CcmIngestRefusesMost"),
    ("slo", "two bad ones burn a budget", r">= 10", ">= 1", "CcmAcceptBudgetBurnsFast"),
    ("slo", "only Prometheus 2 is read", r'bucket\{le=~"5\(\\\\\.0\)\?"', 'bucket{le="5"', "CcmChatBudgetBurnsFast"),
    ("slo", "4xx count", r'status=~"5\.\."', 'status=~"[45].."', "CcmAcceptBudgetBurnsFast"),
]


def prove_rules(tree):
    """Weakens a rule in each way; yields where its tests go on succeeding."""

    def one(case):
        file, what, old, new, name = case
        with tempfile.TemporaryDirectory() as folder:
            copy(folder)
            try:
                swap(RULES / f"{file}.yaml", old, new)(folder)
            except LookupError as error:
                return f"{what}: {error}"
            path = Path(folder, TESTS, f"{file}.yaml")
            tests = parsed(path.read_text())
            of = [test for test in tests["tests"] if test["name"].split()[0] == name]
            path.write_text(yaml.safe_dump(tests | {"tests": of}))
            good, output = promtool("test", "rules", path)
        if good or "exp:" not in output:
            return told(f"not found: {what}: the tests of {name} do not fail", output)
        return None

    yield from filter(None, at_once(one, WEAKENED))


def prove(tree):
    """Breaks a copy in each way; yields what was not found."""
    def one(case):
        what, broken, said = case
        with tempfile.TemporaryDirectory() as folder:
            copy(folder)
            try:
                broken(folder)
            except LookupError as error:
                return f"{what}: {error}"
            found = list(everything(Tree(folder), metrics.Known(ROOT, Path(folder, "deploy/monitoring"))))
        return None if any(said in problem for problem in found) else f"not found: {what}: {said!r} is in none of {len(found)} problems"
    yield from filter(None, at_once(one, BREAKS))
    yield from prove_rules(tree)
    yield from prove_tests(tree)


def prove_tests(tree):
    """What tests expect, of alerts that always fire and of alerts that never do: each expectation that is not met has to fail."""
    for always in (True, False):
        expected = [
            expression | {"eval_time": "1m"}
            for _, test, _, fires in tree.cases()
            if bool(fires) != always
            for expression in test["promql_expr_test"]
        ]
        rules = [{k: v for k, v in alert.items() if k not in ("for", "keep_firing_for")} for alert in tree.alerts()]
        rules = [rule | {"expr": "vector(1)" if always else "vector(1) > 1"} for rule in rules]
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "broken", "rules": rules}]}))
            tests = [{"interval": "1m", "input_series": [], "promql_expr_test": expected}]
            Path(folder, "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": tests}))
            _, output = promtool("test", "rules", Path(folder, "tests.yaml"))
        failed = len(re.findall(r'^\s*expr: "ALERTS', output, flags=re.M))
        if failed != len(expected):
            yield f"with alerts that {'always' if always else 'never'} fire {failed} of {len(expected)} tests fail"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    tree, known = Tree(ROOT), metrics.Known(ROOT, ROOT / "deploy/monitoring")
    problems = list(everything(tree, known))
    problems += run_tests(list(tree.tests))
    program = ROOT / "target/debug/ccmctl"
    if program.exists():
        problems += check_commands(tree, program)
    else:
        print("skipped: commands of ccmctl, target/debug/ccmctl is not built")
    if not problems and not quick:
        problems += prove(tree)
    for problem in problems:
        print(f"wrong: {problem}", file=sys.stderr)
    alerts, cases = tree.alerts(), list(tree.cases())
    silent = sum(not fires for *_, fires in cases)
    boards = dashboards.read(ROOT)
    panels = sum(len(list(dashboards.panels(board))) for board in boards)
    print(
        f"{len({a['alert'] for a in alerts})} alerts: {len(cases) - silent} tests in which they fire, {silent} in which they nearly do; "
        f"{len(boards)} dashboards with {panels} panels; {len(known.source)} metrics in the source, {len(known.coming)} to come; "
        f"{'not proved to fail' if quick else f'{len(BREAKS) + len(WEAKENED)} things broken on purpose'}; {len(problems)} problems"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
