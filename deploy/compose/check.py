"""deploy/dev/check-compose: compose.yaml against the Compose specification and against rules of ours; `init` run for real; and the processes that it
would start, started as it says. Works in a copy of what it needs, so that no .env of yours is touched."""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import tomllib

import composed
import trial
import yaml

HERE = pathlib.Path.cwd()
COPIED = ("compose.yaml", "Dockerfile", "Cargo.toml", "docs/one-machine.md", "deploy/compose", "helm/ccm/files", "helm/ccm/values.yaml", "libs/runtime/src/config/default.toml")


def copy_to(folder):
    for name in COPIED:
        source, target = HERE / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("secrets", ".new-*", "alertmanagers.yml", "__pycache__"))
        else:
            shutil.copy(source, target)


def init(*arguments):
    return subprocess.run(["deploy/compose/init", *arguments], capture_output=True, text=True)


def look_at_init():
    """Runs it, and has it refuse."""
    found = []
    wrong = {
        "no domain": ("--tls", "internal"),
        "a domain that is none": ("--domain", "localhost", "--tls", "internal"),
        "no kind of certificate": ("--domain", "ccm.test"),
        "a certificate of no kind": ("--domain", "ccm.test", "--tls", "self-signed"),
        "a network that is none": ("--domain", "ccm.test", "--tls", "internal", "--console-networks", "office"),
        "an option that is none": ("--domain", "ccm.test", "--tls", "internal", "--force"),
    }
    for what, arguments in wrong.items():
        done = init(*arguments)
        if not done.returncode or not done.stderr.startswith("error:"):
            found.append(f"init takes {what}")
    if pathlib.Path(".env").exists() or pathlib.Path("deploy/compose/secrets").exists():
        found.append("init leaves something behind when it refuses")
    # As the page says it.
    line = re.search(r"^ *(deploy/compose/init .*)$", pathlib.Path("docs/one-machine.md").read_text(), re.M)[1]
    if subprocess.run(["sh", "-c", line], capture_output=True).returncode:
        found.append(f"docs/one-machine.md: this fails: {line}")
    pathlib.Path(".env").unlink()
    shutil.rmtree("deploy/compose/secrets")
    networks = f"{trial.FRIEND}/32 198.51.100.0/24"
    done = init("--domain", "ccm.test", "--tls", "internal", "--console-networks", networks, "--observability")
    if done.returncode:
        return [*found, f"init failed: {done.stderr.strip()}"]
    secrets = pathlib.Path("deploy/compose/secrets")
    before = {file.name: file.read_bytes() for file in secrets.iterdir()}
    if stat.S_IMODE(secrets.stat().st_mode) != 0o700 or stat.S_IMODE(pathlib.Path(".env").stat().st_mode) != 0o600:
        found.append("others can enter the secrets' folder, or read .env")
    passwords = [value for name, value in before.items() if name.endswith("_password")]
    if len(set(passwords)) != len(passwords) or any(len(value) != 48 for value in passwords):
        found.append("passwords are the same, or short")
    if any(value.decode() in done.stdout for value in passwords):
        found.append("init prints a password")
    again = init("--domain", "other.test", "--tls", "internal")
    if not again.returncode or before != {file.name: file.read_bytes() for file in secrets.iterdir()}:
        found.append("init writes over what is there")
    pathlib.Path(".env").rename("kept")
    if not init("--domain", "other.test", "--tls", "internal").returncode:
        found.append("init makes new secrets when only .env is gone")
    pathlib.Path("kept").rename(".env")
    return found


def mutations(text, env, settings, versions):
    """Breaks compose.yaml in each way that is looked for; what is not found."""
    published = 'ports: ["127.0.0.1:8082:8082"]'
    cases = {
        "a key that Compose does not know": ("  read_only: true\n", "  read_only: true\n  readonly: true\n", "readonly"),
        "a root that can be written": ("  read_only: true\n", "", "can be written"),
        "rights of root's": ("  cap_drop: [ALL]\n", "", "keeps rights"),
        "a log without end": ("max-size: 20m, ", "", "grows without end"),
        "a version that moves": ("caddy:2.10.2-alpine", "caddy:latest", "no exact version"),
        "another version of the program": ("image: ${CCM_IMAGE:-ccm:0.1.0}", "image: other/${CCM_IMAGE:-ccm:0.1.0}", "its image is"),
        "another Postgres than the chart's": ("postgres:15.14", "postgres:15.13", "the chart has"),
        "a port for everybody": (published, published.replace("127.0.0.1:", ""), "to everybody"),
        "a variable that nobody sets": ("https://${CCM_CHAT_HOST}", "https://${CCM_CHATS_HOST}", "has no value"),
        "a setting that the program does not know": ("CCM__CONSOLE__URL:", "CCM__CONSOLE__URI:", "no setting console.uri"),
        "a secret that nobody makes": ("master.key: { file: deploy/compose/secrets/master.key }", "master.key: { file: deploy/compose/secrets/main.key }", "is not there"),
        "a role that knows the owner": ("secrets: [ccm.toml, master.key]\n", "secrets: [ccm.toml, master.key, migrate.toml]\n", "knows the owner"),
        "roles that wait for nothing": ("    migrate: { condition: service_completed_successfully }\n", "", "wait for the migration"),
        "a database that the internet reaches": ("  data:\n    internal: true\n", "  data: {}\n", "way out"),
        "a network that is not there": ("networks: [inside, data]\n", "networks: [inside, date]\n", "no date"),
        "no limit": ("    mem_limit: 1g\n", "", "no limits"),
    }
    missed = []
    for what, (old, new, wanted) in cases.items():
        if old not in text:
            missed.append(f"{what}: {old!r} is no longer in compose.yaml; write this case anew")
            continue
        found = composed.faults_of(text.replace(old, new, 1), env, settings, versions)
        if not any(wanted in fault for fault in found):
            missed.append(f"{what} was planted and not found; found: {found}")
    return missed, len(cases)


def settings_of(toml):
    return {f"{section}.{key}" for section, keys in tomllib.loads(toml).items() for key in keys}


def tool(name, *command, env=None):
    """Runs a checker that may not be there."""
    if not shutil.which(command[0]):
        print(f"  skipped: {name} (there is no {command[0]} here)")
        return []
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})})
    return [f"{name}: {(done.stderr or done.stdout).strip()[-500:]}"] if done.returncode else []


def main(programs):
    with tempfile.TemporaryDirectory(prefix="ccm-compose-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        copy_to(folder)
        os.chdir(folder)
        faults = look_at_init()
        env = composed.variables(pathlib.Path(".env").read_text())
        text = pathlib.Path("compose.yaml").read_text()
        values = yaml.safe_load(pathlib.Path("helm/ccm/values.yaml").read_text())
        versions = {part: values[section]["inCluster"]["image"]["tag"] for part, section in {"postgres": "database", "redis": "redis"}.items()}
        versions["ccm"] = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
        settings = settings_of(pathlib.Path("libs/runtime/src/config/default.toml").read_text())
        faults += composed.faults_of(text, env, settings, versions)
        missed, count = mutations(text, env, settings, versions)
        faults += missed
        print(f"compose.yaml: the specification, init and our rules; {count - len(missed)} of {count} ways to break it are told apart")
        project, _ = composed.read(text, env)
        faults += tool("Caddyfile", "caddy", "validate", "--adapter", "caddyfile", "--config", "deploy/compose/Caddyfile", env=project["services"]["caddy"]["environment"])
        faults += tool("prometheus.yml", "promtool", "check", "config", "--syntax-only", "deploy/compose/prometheus/prometheus.yml")
        for file in pathlib.Path("deploy/compose").rglob("*.yaml"):
            yaml.safe_load(file.read_text())
        if not faults:
            why_not = trial.missing(programs)
            if why_not:
                print(f"  skipped: the processes ({why_not})")
            else:
                began = time.monotonic()
                try:
                    for line in trial.try_out(folder, project, programs):
                        print(f"  {line}")
                    print(f"  the processes as compose.yaml starts them ({time.monotonic() - began:.0f} s)")
                except trial.Wrong as wrong:
                    faults.append(str(wrong))
        for fault in faults:
            print(f"  wrong: {re.sub(r'(?<=//)[^:@/]*:[^@]*@', '…@', fault)}")
        os.chdir(HERE)
        return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
