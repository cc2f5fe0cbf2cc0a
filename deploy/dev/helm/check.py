"""Checks the chart helm/ccm: `check.py HELM [CCM]`, from the clone's root. deploy/dev/check-helm calls it with what it needs.

With --write, the schema's part for `config` is written anew from the program's defaults.
"""

import base64
import copy
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor

import yaml
from kubernetes_validate import utils as kubernetes

import mutations
import policy
import trial

CHART = pathlib.Path("helm/ccm")
PAGE = pathlib.Path("docs/kubernetes.md")
SCHEMA = CHART / "values.schema.json"
DEFAULTS = pathlib.Path("libs/runtime/src/config/default.toml")
# The oldest Kubernetes that the chart takes, and the newest that there are schemas of.
OLDEST, NEWEST = "1.30", "1.37"
# Kinds that Kubernetes has no schema for, and what each must have in its spec.
FOREIGN = {
    ("monitoring.coreos.com/v1", "PodMonitor"): {"selector": dict, "podMetricsEndpoints": list},
    ("monitoring.coreos.com/v1", "PrometheusRule"): {"groups": list},
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): {"parentRefs": list, "hostnames": list, "rules": list},
}

class Loader(yaml.CSafeLoader):
    """Refuses what is said twice, of which YAML takes the last."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1 and key != "<<"}:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {', '.join(twice)} is there twice")
        return super().construct_mapping(node, deep)


kubernetes.schema_contents = functools.lru_cache(None)(kubernetes.schema_contents)
problems = []


def problem(text):
    problems.append(text)
    print(f"  wrong  {text}")


def passed(text):
    print(f"  right  {text}")


# --- helm ----------------------------------------------------------------------------------------------------------------------


def helm(*arguments):
    return subprocess.run([HELM, *arguments], capture_output=True, text=True)


def render(values, *arguments, chart=CHART, release="ccm"):
    """The manifests of a release with these files of values; what went wrong, where it did."""
    files = [part for file in values for part in ("-f", str(file))]
    run = helm("template", release, str(chart), "-n", "ccm", "--kube-version", f"{OLDEST}.0", *files, *arguments)
    if run.returncode:
        return None, run.stderr
    try:
        return [manifest for manifest in yaml.load_all(run.stdout, Loader) if manifest], ""
    except yaml.YAMLError as error:
        return None, str(error)


def lint(file):
    run = helm("lint", "--strict", str(CHART), "-f", str(file))
    return run.stdout + run.stderr if run.returncode else ""


# --- what is in step -----------------------------------------------------------------------------------------------------------


def config_schema():
    """The schema of `config`: the program's settings with their types and comments."""
    sections, section, comment, nearby = {}, None, [], []
    for line in DEFAULTS.read_text().splitlines():
        if match := re.match(r"\[(\w+)\]$", line):
            section, comment, nearby = match[1], [], []
            sections[section] = {"type": "object", "additionalProperties": False, "properties": {}}
        elif line.startswith("#"):
            comment.append(line[1:].strip())
        elif match := re.match(r"(\w+) = ", line):
            value = tomllib.loads(line)[match[1]]
            kind = {bool: "boolean", int: "integer", str: "string"}[type(value)]
            # A comment counts for the keys below it until the next one, as in the file.
            nearby = comment or nearby
            setting = {"description": " ".join(nearby), "type": kind}
            if kind == "integer":
                setting["minimum"] = 0
            if match[1] == "log_format":
                setting["enum"] = ["json", "text"]
            sections[section]["properties"][match[1]] = setting
            comment = []
        else:
            comment = []
    return {
        "description": "The program's settings (`ccm config`). Secrets, files and addresses to listen at are refused",
        "type": "object",
        "additionalProperties": False,
        "properties": sections,
    }


def check_schema():
    schema = json.loads(SCHEMA.read_text())
    current = config_schema()
    if WRITE:
        schema["properties"]["config"] = current
        SCHEMA.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    elif schema["properties"]["config"] != current:
        problem(f"{SCHEMA} has other settings than {DEFAULTS}: run deploy/dev/check-helm --write")
        return
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    missing = list(without_default(schema, schema, values, ""))
    for path in missing:
        problem(f"the schema knows {path}, and values.yaml does not explain it")
    if not missing:
        passed("the schema has the program's settings, and values.yaml everything else of the schema")


def without_default(schema, part, values, path):
    if "$ref" in part:
        part = schema["definitions"][part["$ref"].rsplit("/", 1)[1]]
    for key, inner in part.get("properties", {}).items():
        name = f"{path}.{key}".lstrip(".")
        if name in {"global", "config"}:
            continue
        if key not in values:
            yield name
        elif isinstance(values[key], dict):
            yield from without_default(schema, inner, values[key], name)


def check_program(manifests):
    """The chart knows the program's version, ports and grace by heart: they must be right."""
    defaults = tomllib.loads(DEFAULTS.read_text())
    version = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
    before = len(problems)
    if yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] != version:
        problem(f"Chart.yaml's appVersion is not {version}, the workspace's")
    if policy.settings(manifests)["shutdown"]["grace_ms"] != defaults["shutdown"]["grace_ms"]:
        problem("the chart has another default of shutdown.grace_ms than the program")
    if f"default {defaults['connector']['lease_ms']})" not in (CHART / "templates/_validate.tpl").read_text():
        problem("the chart has another default of connector.lease_ms than the program")
    for deployment in policy.of_kind(manifests, "Deployment"):
        role = policy.labels(deployment)[policy.COMPONENT]
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        has = {port["name"]: port["containerPort"] for port in container["ports"]}
        listens = {key: int(value.rsplit(":", 1)[1]) for key, value in defaults[role].items() if key in ("listen", "ops_listen")}
        expected = {"http": listens["listen"], "ops": listens["ops_listen"]} if "ops_listen" in listens else {"ops": listens["listen"]}
        if has != expected:
            problem(f"{role} listens at {expected}, and the chart has {has}")
    if len(problems) == before:
        passed("version, ports and grace are the program's")


def check_network(manifests):
    """Each role may dial what it needs, and nothing else: exactly these ports, with the chart's defaults."""
    before = len(problems)
    for role in policy.ROLES:
        allowed = {53, 5432, 6379}
        allowed |= {8445, 8081, 443} if role in policy.DIALS_AACC else set()
        allowed |= {443} if role in policy.DIALS_OUT else set()
        rules = [
            rule
            for each in policy.of_kind(manifests, "NetworkPolicy")
            if policy.selects(each["spec"]["podSelector"], {**policy.labels(each), policy.COMPONENT: role})
            for rule in each["spec"].get("egress", [])
        ]
        if set().union(*map(policy.ports_of, rules)) != allowed:
            problem(f"{role} needs the ports {sorted(allowed)}, and its NetworkPolicy opens others")
    if len(problems) == before:
        passed("each role may dial what it needs, and nothing else")


# --- manifests -----------------------------------------------------------------------------------------------------------------


def validate(manifest):
    """What Kubernetes' own schemas, strict, say against it."""
    foreign = FOREIGN.get((manifest["apiVersion"], manifest["kind"]))
    if foreign:
        wrong = [key for key, kind in foreign.items() if not isinstance(manifest["spec"].get(key), kind)]
        return [f"{policy.title(manifest)}: spec has no {key}" for key in wrong]
    found = []
    for version in (OLDEST, NEWEST):
        try:
            kubernetes.validate(manifest, version, strict=True)
        except kubernetes.ValidationError as error:
            path = ".".join(map(str, error.absolute_path))
            found.append(f"{policy.title(manifest)}: {version}: {path}: {error.message[:200]}")
        except kubernetes.SchemaNotFoundError:
            found.append(f"{policy.title(manifest)}: Kubernetes {version} has no {manifest['apiVersion']}")
    return found


def examples(folder):
    """The page's sets of values, as files."""
    blocks = re.findall(r"^ *```yaml\n( *# values\n.*?)^ *```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for number, block in enumerate(blocks, 1):
        file = pathlib.Path(folder, f"{PAGE.stem}-{number}.yaml")
        file.write_text(textwrap.dedent(block))
        yield file


def wrong_with(manifests):
    schemas = [found for manifest in manifests for found in validate(manifest)]
    return schemas + [f"{name}: {found}" for name, found in policy.findings(manifests)]


def check_sets(files):
    rendered = {}
    with ThreadPoolExecutor() as workers:
        linted = list(workers.map(lint, files))
        made = list(workers.map(lambda file: render([file]), files))
    for file, lints, (manifests, error) in zip(files, linted, made):
        wrong = [lints] if lints else []
        if manifests is None:
            wrong.append(error)
        else:
            rendered[file.stem] = manifests
            wrong += wrong_with(manifests)
        for one in wrong:
            problem(f"{file.name}: {one.strip()}")
        if not wrong:
            passed(f"{file.name}: {len(manifests)} manifests")
    return rendered


def check_long_names():
    """Helm takes names of releases of up to 53 characters, Kubernetes names of Services of up to 63."""
    for values in ("everything", "trial"):
        manifests, error = render([CHART / f"ci/{values}.yaml"], release="r" * 53)
        for one in wrong_with(manifests) if manifests else [error]:
            problem(f"{values}.yaml, as a release with a long name: {one}")


def check_mutations(sound):
    proven = set()
    before = len(problems)
    for name, says, break_it in mutations.MUTATIONS:
        broken = copy.deepcopy(sound)
        break_it(broken)
        found = [text for by, text in policy.findings(broken) if by == name]
        if any(says in text for text in found):
            proven.add(name)
        else:
            problem(f"{name} did not find that something {says!r}: {found[:3]}")
    for one in policy.POLICIES:
        if one.__name__ not in proven:
            problem(f"nothing proves that the policy {one.__name__} can find anything")
    # Of the schemas too.
    for key, value in (("replicas", "two"), ("replica", 2)):
        broken = copy.deepcopy(next(iter(policy.of_kind(sound, "Deployment"))))
        broken["spec"][key] = value
        if not validate(broken):
            problem(f"Kubernetes' schemas took a Deployment with {key}: {value!r}")
    if not validate({"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "x"}}):
        problem("Kubernetes' schemas took a version of an API that is gone")
    if len(problems) == before:
        passed(f"{len(mutations.MUTATIONS) + 3} faults were found")


def check_refused():
    cases = yaml.safe_load(pathlib.Path("deploy/dev/helm/refused.yaml").read_text())
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as workers:

        def refused(number):
            file = pathlib.Path(folder, f"{number}.yaml")
            file.write_text(yaml.safe_dump(cases[number]["values"]))
            return render([CHART / "ci/defaults.yaml", file])

        answers = list(workers.map(refused, range(len(cases))))
    before = len(problems)
    for case, (manifests, error) in zip(cases, answers):
        if manifests is not None:
            problem(f"these values were taken: {case['values']}")
        elif case["says"] not in error:
            problem(f"{case['values']} was refused without {case['says']!r}: {error.strip()}")
    if len(problems) == before:
        passed(f"{len(cases)} sets of wrong values were refused, each with what to do")
    manifests, error = render([CHART / "ci/defaults.yaml"], "--kube-version", "1.29.9")
    if manifests is not None or "kubeVersion" not in error:
        problem("Kubernetes 1.29, which has no preStop.sleep, was taken")


def check_files():
    """Alerts and dashboards come into the release as they are, and there may be none."""
    with tempfile.TemporaryDirectory() as folder:
        other = pathlib.Path(folder, "ccm")
        subprocess.run(["cp", "-r", str(CHART), str(other)], check=True)
        for kind in ("alerts", "dashboards"):
            subprocess.run(["rm", "-rf", str(other / "files" / kind)], check=True)
            (other / "files" / kind).mkdir(parents=True)
        made = []
        for _ in range(2):
            made.append(render([CHART / "ci/everything.yaml"], chart=other)[0])
            rule = {"alert": "A", "expr": "x > 1", "annotations": {"summary": "{{ $value }}", "runbook_url": "https://RUNBOOKS/a.md"}}
            (other / "files/alerts/some.yaml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
            (other / "files/dashboards/one.json").write_text('{"title": "{{namespace}}"}')
    empty, full = made
    if empty is None or policy.of_kind(empty, "PrometheusRule"):
        return problem("without alerts and dashboards the chart does not render")
    rules = policy.of_kind(full or [], "PrometheusRule")
    notes = rules[0]["spec"]["groups"][0]["rules"][0]["annotations"] if rules else {}
    boards = [m for m in policy.of_kind(full or [], "ConfigMap") if m["data"].get("one.json")]
    if notes != {"summary": "{{ $value }}", "runbook_url": "https://wiki.example.com/ccm/a.md"}:
        problem(f"an alert came out as {notes}")
    elif not boards or boards[0]["data"]["one.json"] != '{"title": "{{namespace}}"}':
        problem("a dashboard came out changed")
    else:
        passed("alerts and dashboards come out as they are, with the address of their runbooks")


# --- the program ---------------------------------------------------------------------------------------------------------------


def program_takes(toml, folder, env=()):
    """What the program says against a configuration: it reads all of it before it makes a token, with a key of ours."""
    file, key = pathlib.Path(folder, "ccm.toml"), pathlib.Path(folder, "key")
    file.write_text(toml)
    key.write_bytes(base64.b64encode(bytes(48)))
    ours = {"CCM_CONFIG": str(file), "CCM__JWT__HS256_SECRET_FILE": str(key), "CCM__JWT__ED25519_PUBLIC_KEY_FILE": ""}
    run = subprocess.run(
        [CCM, "token", "--role", "support", "--valid-for", "1s"], capture_output=True, text=True, env={**dict(env), **ours}
    )
    return "" if run.returncode == 0 else run.stderr.strip() or f"it ended with {run.returncode}"


@functools.cache
def command_line_taken(*arguments):
    """Whether the program knows such a command line: it reads all of it before it helps."""
    return subprocess.run([CCM, *arguments, "--help"], capture_output=True).returncode == 0


def check_toml(rendered):
    if not CCM:
        print("  not checked  whether the program takes the configurations: it is not built (cargo build --workspace)")
        return
    before = len(problems)
    with tempfile.TemporaryDirectory() as folder:
        for name, manifests in rendered.items():
            toml = next(m["data"]["ccm.toml"] for m in manifests if "ccm.toml" in m.get("data", {}))
            env = {}
            for where, component, container in policy.containers(manifests):
                if component in {"postgres", "redis"}:
                    continue
                env |= {v["name"]: v.get("value", "from a secret") for v in container["env"] if v["name"].startswith("CCM__")}
                if not command_line_taken(*container["args"]):
                    problem(f"{name}: {where}: {CCM} does not know {container['args']}")
            if said := program_takes(toml, folder, env):
                problem(f"{name}: {CCM} does not take its configuration: {said.splitlines()[0]}")
        for wrong in ("[ingest]\nlisten_at = 1", "[connector]\nlease_ms = 0", "[shutdown]\ngrace_ms = 'long'"):
            if not program_takes(wrong, folder):
                problem(f"{CCM} takes {wrong!r}: what it takes proves nothing")
        if not program_takes("", folder, {"CCM__DATABASE__APP_ADDRESS": ""}) or command_line_taken("doctor", "--tenants", "acme"):
            problem(f"{CCM} takes any variable or argument: what it takes proves nothing")
    if len(problems) == before:
        passed(f"{CCM} takes each configuration, environment and command line, and refuses wrong ones")


def begin_trial(manifests, workers):
    """Takes as long as the rest of the checks: beside them. What it says, in the end."""
    found = trial.programs()
    if not CCM or not found:
        return None
    script = next(m["data"]["logins.sh"] for m in manifests if "logins.sh" in m.get("data", {}))
    return workers.submit(trial.try_out, script, found, CCM)


def end_trial(running):
    if not running:
        print("  not checked  the trial's logins, and TLS: ccm is not built, or Postgres, Redis or openssl are missing (deploy/dev/bootstrap)")
    elif said := running.result():
        problem(f"on a real Postgres and Redis: {said}")
    else:
        passed("on a real Postgres and Redis: logins, TLS of a private authority, the migration, and a pod that waits for it")


def main():
    began = time.monotonic()
    check_schema()
    files = sorted((CHART / "ci").glob("*.yaml"))
    if len(files) < 8:
        problem("there are fewer than eight sets of values in helm/ccm/ci")
    with tempfile.TemporaryDirectory() as folder:
        rendered = check_sets([*files, *examples(folder)])
    if problems:
        sys.exit(f"{len(problems)} things are wrong with the chart")
    with ThreadPoolExecutor() as workers:
        running = begin_trial(rendered["trial"], workers)
        check_program(rendered["defaults"])
        check_network(rendered["defaults"])
        check_long_names()
        check_mutations(rendered["everything"])
        check_refused()
        check_files()
        check_toml(rendered)
        end_trial(running)
    print(f"took {time.monotonic() - began:.0f} s")
    if problems:
        sys.exit(f"{len(problems)} things are wrong with the chart")


if __name__ == "__main__":
    WRITE = "--write" in sys.argv
    HELM, CCM = ([argument for argument in sys.argv[1:] if argument != "--write"] + [""])[:2]
    if CCM and not os.access(CCM, os.X_OK):
        CCM = ""
    main()
