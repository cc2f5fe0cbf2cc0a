"""The processes of compose.yaml on this machine, without a container engine: each with its command, environment, secrets and user as they stand there,
under the names that services have. In namespaces of its own: ports, names and mounts are nobody else's, and go with it."""

import contextlib
import glob
import hashlib
import hmac
import http.client
import http.server
import json
import os
import pathlib
import pwd
import shutil
import signal
import ssl
import subprocess
import threading
import time

from composed import ROLES

USER = 65532
# An address that the console may be opened from; 127.0.0.1 is not.
FRIEND = "127.0.0.2"
PHONE, NUMBER, SKILLSET = "+353861234567", "+14155550123", "WC_Default_Skillset"
SIGNING = "a-secret-of-the-trial"
SIMULATOR, PROVIDER = 8445, 8447
QUIET = {"stdin": subprocess.DEVNULL}


class Wrong(Exception):
    """What is not as compose.yaml promises."""


def postgres_folder():
    folders = [os.environ.get("PG_BIN", ""), *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    return next((folder for folder in folders if folder and os.access(f"{folder}/initdb", os.X_OK)), None)


def redis_program():
    return os.environ.get("REDIS_BIN") or shutil.which("redis-server")


def missing(programs):
    """Why they cannot be started here; nothing, if they can."""
    if os.geteuid() or subprocess.run(["ip", "link", "set", "lo", "up"], capture_output=True).returncode:
        return "this needs root and namespaces"
    for name in ("ccm", "aacc-sim"):
        if not os.access(programs / name, os.X_OK):
            return f"{programs / name} is not built"
    needed = {"Postgres": postgres_folder(), "Redis": redis_program(), **{name: shutil.which(name) for name in ("caddy", "psql", "setpriv", "wget")}}
    return ", ".join(f"no {name}" for name, where in needed.items() if not where)


def wait_for(what, seconds, look):
    """Until `look` gives something true, which is given back."""
    until, seen = time.monotonic() + seconds, None
    while time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            seen = look()
            if seen:
                return seen
        time.sleep(0.1)
    raise Wrong(f"{what}: not within {seconds} s")


class Stack:
    def __init__(self, folder, project, programs):
        self.folder, self.project = folder, project
        self.services = project["services"]
        self.running = {}
        for name in ("logs", "secrets", "run", "bin"):
            (folder / name).mkdir()
        for name in ("ccm", "aacc-sim"):
            shutil.copy(programs / name, folder / "bin" / name)
        self.namespace()

    def namespace(self):
        """Names of services lead to this machine; /run is empty but for what the containers have there."""
        names = " ".join(self.services)
        hosts = " ".join(value for key, value in self.services["caddy"]["environment"].items() if key.endswith("_HOST"))
        file = self.folder / "hosts"
        file.write_text(f"127.0.0.1 localhost {names} {hosts}\n")
        subprocess.run(["mount", "--bind", file, "/etc/hosts"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        for name in ("secrets", "postgresql", "rules"):
            pathlib.Path("/run", name).mkdir()

    def secrets(self, name):
        """Those that compose.yaml mounts for this service, and no others."""
        place = self.folder / "secrets" / name
        if not place.exists():
            place.mkdir(mode=0o755)
            for secret in self.services.get(name, {}).get("secrets", []):
                shutil.copy(self.project["secrets"][secret]["file"], place / secret)
        return str(place)

    def command(self, service, user, command):
        """As an engine starts it: its secrets, no rights but those that it is given."""
        rights = "".join(f",+{right.lower()}" for right in self.services.get(service, {}).get("cap_add", []))
        setpriv = ("setpriv", "--no-new-privs", "--pdeathsig", "KILL", "--inh-caps=-all", f"--bounding-set=-all{rights}")
        as_user = ("--reuid", str(user), "--regid", str(user), "--clear-groups") if user else ()
        inside = 'mount --bind "$0" /run/secrets && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", inside, self.secrets(service), *setpriv, *as_user, *map(str, command)]

    def env(self, service, **more):
        return {"PATH": os.environ["PATH"], **self.services.get(service, {}).get("environment", {}), **more}

    def start(self, service, user, command, **more):
        log = open(self.folder / "logs" / service, "a")
        process = subprocess.Popen(self.command(service, user, command), env=self.env(service, **more), stdout=log, stderr=log, **QUIET)
        self.running[service] = process

    def run(self, service, user, command, **more):
        return subprocess.run(self.command(service, user, command), env=self.env(service, **more), capture_output=True, text=True, timeout=120, **QUIET)

    def role(self, name):
        self.start(name, USER, [self.folder / "bin/ccm", *self.services[name]["command"]])

    def stop(self, service, how=signal.SIGTERM):
        process = self.running.pop(service)
        process.send_signal(how)
        return process.wait(timeout=40)

    def end(self):
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()

    def log(self, service):
        return (self.folder / "logs" / service).read_text()

    # ------------------------------------------------------------------------------------------------------------ what roles stand on

    def postgres(self):
        programs, data = postgres_folder(), self.folder / "postgres"
        user = next(found for name in ("postgres", "nobody") for found in [user_named(name)] if found)
        data.mkdir()
        for place in (data, pathlib.Path("/run/postgresql")):
            os.chown(place, user, user)
        made = self.run("postgres", user, [f"{programs}/initdb", "-D", data, "-U", "postgres", "-A", "trust", self.services["postgres"]["environment"]["POSTGRES_INITDB_ARGS"]])
        if made.returncode:
            raise Wrong(f"initdb: {made.stderr.strip()[-500:]}")
        # As the image does it: passwords over TCP, none over the socket.
        (data / "pg_hba.conf").write_text("local all all trust\nhost all all all scram-sha-256\n")
        _, *options = self.services["postgres"]["command"]
        self.start("postgres", user, [f"{programs}/postgres", "-D", data, "-k", "/run/postgresql", "-c", "listen_addresses=*", *options])
        wait_for("Postgres", 30, lambda: subprocess.run([f"{programs}/pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres"]).returncode == 0)
        made = self.run("postgres", user, ["sh", "deploy/compose/logins.sh"], PGHOST="/run/postgresql")
        if made.returncode:
            raise Wrong(f"logins.sh: {made.stderr.strip()[-500:]}")

    def redis(self):
        _, *options = self.services["redis"]["command"]
        place = self.folder / "redis"
        place.mkdir()
        self.start("redis", USER, [redis_program(), *options, "--dir", "/tmp"])
        password = pathlib.Path(self.secrets("redis"), "redis.conf").read_text().split()[1]
        ping = ["redis-cli", "--no-auth-warning", "ping"]
        wait_for("Redis", 10, lambda: subprocess.run(ping, env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": password}, capture_output=True, text=True).stdout == "PONG\n")
        if "NOAUTH" not in subprocess.run(ping, capture_output=True, text=True).stdout:
            raise Wrong("Redis asks for no password")

    def migrate(self):
        return self.run("migrate", USER, [self.folder / "bin/ccm", *self.services["migrate"]["command"]])

    def caddy(self):
        home = str(self.folder / "caddy")
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", self.folder / "deploy/compose/Caddyfile"]
        self.start("caddy", 0, command, HOME=home, XDG_DATA_HOME=home, XDG_CONFIG_HOME=home)
        authority = self.folder / "caddy/caddy/pki/authorities/local/root.crt"
        self.trust = wait_for("Caddy's authority", 20, lambda: ssl.create_default_context(cafile=str(authority)))
        wait_for("Caddy", 20, lambda: self.ask("CCM_SMS_HOST", "GET", "/", seconds=3))

    # -------------------------------------------------------------------------------------------------------------------- who calls

    def host(self, key):
        return self.services["caddy"]["environment"][key]

    def ask(self, host, method, path, body=None, *, source="127.0.0.1", seconds=15, **headers):
        """Status and body of what the proxy answers."""
        connection = http.client.HTTPSConnection(self.host(host), 443, timeout=seconds, source_address=(source, 0), context=self.trust)
        return answer_of(connection, method, path, body, headers)

    def api(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}"}
        status, answer = self.ask("CCM_CONSOLE_HOST", method, path, json.dumps(body) if body is not None else None, source=FRIEND, **headers, **{"Content-Type": "application/json"})
        if status not in (200, 201):
            raise Wrong(f"{method} {path}: {status} {answer[:300]}")
        return json.loads(answer)


def user_named(name):
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name).pw_uid


def answer_of(connection, method, path, body, headers):
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def local(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {"Content-Type": "application/json"}
    return answer_of(connection, method, path, json.dumps(body) if body is not None else None, headers)


class Provider(http.server.BaseHTTPRequestHandler):
    """Takes agents' texts in the generic dialect of docs/providers.md."""

    texts = []

    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.texts.append(text)
        answer = json.dumps({"id": f"provider-{len(self.texts)}"}).encode()
        self.send_response(202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def try_out(folder, project, programs):
    """What was seen, line by line; raises Wrong."""
    # What an operator writes whose AACC is reached through a private network.
    with open("deploy/compose/secrets/ccm.toml", "a") as own:
        own.write('\n[egress]\nprivate_networks = "127.0.0.0/8"\n')
    stack = Stack(folder, project, programs)
    try:
        yield from steps(stack)
    except Wrong as wrong:
        ends = "".join(f"\n    {name}: {line[:300]}" for name in stack.running for line in stack.log(name).splitlines()[-2:])
        raise Wrong(f"{wrong}{ends}") from None
    finally:
        stack.end()


def look_at_settings(stack):
    """The program takes what compose.yaml sets and what it mounts, for each role; and would say so if it did not."""
    for name in (*ROLES, "migrate"):
        said = stack.run(name, USER, [stack.folder / "bin/ccm", "config", "check", name])
        if said.returncode:
            raise Wrong(f"ccm config check {name}: {(said.stderr or said.stdout).strip()[-500:]}")
    if stack.run("ingest", USER, [stack.folder / "bin/ccm", "config", "check", "ingest"], CCM__INGEST__PUBLIC_URL="https://x").returncode == 0:
        raise Wrong("ccm config check takes a setting that there is not")


def steps(stack):
    look_at_settings(stack)
    stack.postgres()
    stack.redis()
    # A pod that is there before its schema waits for it.
    stack.role("ingest")
    wait_for("/readyz of ingest before the migration", 20, lambda: local(9081, "GET", "/readyz")[0] == 503)
    if ready(stack).returncode == 0:
        raise Wrong("the proxy's health check finds roles ready that are not")
    migrated = stack.migrate()
    if migrated.returncode:
        raise Wrong(f"ccm migrate: {migrated.stderr.strip()[-500:]}")
    for name in list(ROLES)[1:]:
        stack.role(name)
    wait_for("all roles, asked by the proxy's health check", 60, lambda: ready(stack).returncode == 0)
    bus = json.loads(local(9081, "GET", "/readyz")[1])["dependencies"]["bus"]["state"]
    if bus != "up":
        raise Wrong(f"Redis is {bus} for ingest")
    yield "migrated; all seven roles are ready, each with its own secrets, as user 65532 without rights"

    stack.caddy()
    look_at_the_way_in(stack)
    yield "through the proxy, over TLS: four hosts lead to their roles, the console from its networks alone"

    text_an_agent(stack)
    yield "a text went from a webhook to an agent and back"

    replace_a_role(stack)
    yield "callers wait while a role is replaced; where one is away, the proxy says so and logs no address"

    if shutil.which("prometheus"):
        yield look_at_prometheus(stack)
    else:
        yield "skipped: Prometheus (there is none here)"


def ready(stack):
    return subprocess.run(["sh", "deploy/compose/ready"], capture_output=True, text=True)


def look_at_the_way_in(stack):
    token = stack.run("admin", USER, [stack.folder / "bin/ccm", "token", "--role", "platform-admin"])
    if token.returncode:
        raise Wrong(f"ccm token: {token.stderr.strip()[-500:]}")
    stack.token = token.stdout.strip()
    if stack.run("ingest", USER, [stack.folder / "bin/ccm", "token", "--role", "platform-admin"]).returncode == 0:
        raise Wrong("ingest can make tokens of the admin API")
    for source, wanted in (("127.0.0.1", 403), (FRIEND, 200)):
        status, _ = stack.ask("CCM_CONSOLE_HOST", "GET", "/openapi.json", source=source)
        if status != wanted:
            raise Wrong(f"the console's host answers {source} with {status}, not {wanted}")
    if local(8082, "GET", "/v1/tenants")[0] != 401:
        raise Wrong("the admin API on this machine does not ask for a token")
    for host, role in {"CCM_SMS_HOST": "ingest", "CCM_CHAT_HOST": "deflection", "CCM_POP_HOST": "screenpop"}.items():
        status, _ = stack.ask(host, "GET", "/healthz")
        if status != 404:
            raise Wrong(f"{stack.host(host)}/healthz is {status}: pages of operators are not for the internet")
        # The role counts what it is asked.
        counted = [line for line in local(ROLES[role], "GET", "/metrics")[1].splitlines() if line.startswith("ccm_http_requests_total") and f'role="{role}"' in line]
        if not counted:
            raise Wrong(f"{stack.host(host)} does not lead to {role}")


def text_an_agent(stack):
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", PROVIDER), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    stack.start("aacc-sim", 0, [stack.folder / "bin/aacc-sim", "--listen", f"127.0.0.1:{SIMULATOR}", "--control", f"127.0.0.1:{SIMULATOR + 1}"])
    authority = wait_for("the simulated AACC", 10, lambda: local(SIMULATOR + 1, "GET", "/control/ca.pem")[1])

    tenant = "/v1/tenants/" + stack.api("POST", "/v1/tenants", {"slug": "acme-bank", "name": "Acme Bank"})["id"]
    link = stack.api("POST", f"{tenant}/links", {"name": "AACC", "url": f"wss://localhost:{SIMULATOR}", "ca_pem": authority})["id"]
    skillset = stack.api("POST", f"{tenant}/skillsets", {"name": SKILLSET, "link_id": link})["id"]
    settings, secret = {"send_url": f"http://127.0.0.1:{PROVIDER}/send"}, {"signing_secret": SIGNING}
    account = stack.api("POST", f"{tenant}/accounts", {"name": "trial", "kind": "http", "settings": settings, "secret": secret})
    stack.api("POST", f"{tenant}/numbers", {"address": NUMBER, "account_id": account["id"], "skillset_id": skillset})

    base = f"https://{stack.host('CCM_SMS_HOST')}"
    if not account["webhook_url"].startswith(f"{base}/"):
        raise Wrong(f"the webhook's address is {account['webhook_url']}, not one of {base}")
    body = json.dumps({"id": "mo-1", "from": PHONE, "to": NUMBER, "text": "Is my card blocked?"})
    stamp = str(int(time.time()))
    sign = hmac.new(SIGNING.encode(), f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-CCM-Timestamp": stamp, "X-CCM-Signature": f"v1={sign}"}
    status, answer = stack.ask("CCM_SMS_HOST", "POST", account["webhook_url"].removeprefix(base), body, **headers)
    if status // 100 != 2:
        raise Wrong(f"the text's webhook: {status} {answer[:300]}")

    chat = wait_for("the chat at the agent's", 20, lambda: (json.loads(local(SIMULATOR + 1, "GET", "/control/chats")[1]) or [None])[0])
    place = f"/control/chats/{chat['guid']}"
    local(SIMULATOR + 1, "POST", f"{place}/join", {"id": "agent1", "name": "Mary"})
    wait_for("the text in the agent's window", 20, lambda: "Is my card blocked?" in local(SIMULATOR + 1, "GET", place)[1])
    local(SIMULATOR + 1, "POST", f"{place}/say", {"text": "No, it is not."})
    wait_for("the agent's text at the provider", 20, lambda: any(text["text"] == "No, it is not." and text["to"] == PHONE for text in Provider.texts))


def replace_a_role(stack):
    ended = stack.stop("screenpop")
    if ended:
        raise Wrong(f"screenpop ended with {ended} after SIGTERM")
    secret = "a-key-that-no-log-may-have"
    answers = []
    patient = threading.Thread(target=lambda: answers.append(stack.ask("CCM_POP_HOST", "GET", f"/?auth={secret}&dialed=14155550123")))
    patient.start()
    time.sleep(1)
    stack.role("screenpop")
    patient.join()
    if not answers or answers[0][0] >= 500:
        raise Wrong(f"who calls while a role is replaced is told {answers[:1]}")
    stack.stop("screenpop")
    status, _ = stack.ask("CCM_POP_HOST", "GET", f"/?auth={secret}&dialed=14155550123")
    if status != 502:
        raise Wrong(f"a role that is away is {status} for callers")
    log = stack.log("caddy")
    if "connection refused" not in log:
        raise Wrong("the proxy logs nothing about a role that is away")
    if secret in log or "14155550123" in log:
        raise Wrong("the proxy's log has keys or numbers")
    stack.role("screenpop")


def look_at_prometheus(stack):
    data = stack.folder / "prometheus"
    data.mkdir()
    os.chown(data, USER, USER)
    os.chown("/run/rules", USER, USER)
    # Debian's has its folder; the image's is the same.
    subprocess.run(["mount", "--bind", stack.folder / "deploy/compose/prometheus", "/etc/prometheus"], check=True)
    options = [option.replace("=/prometheus", f"={data}") for option in stack.services["prometheus"]["command"]]
    stack.start("prometheus", USER, ["sh", "/etc/prometheus/start", *options], CCM_ALERTS=str(stack.folder / "helm/ccm/files/alerts"))

    def targets():
        found = json.loads(local(9090, "GET", "/api/v1/targets?state=active")[1])["data"]["activeTargets"]
        return found if all(target["health"] == "up" for target in found) else None

    roles = [target["labels"]["pod"] for target in wait_for("Prometheus reads all roles", 45, targets) if target["labels"]["job"] == "ccm"]
    if len(roles) != 7:
        raise Wrong(f"Prometheus reads {roles}")
    groups = json.loads(local(9090, "GET", "/api/v1/rules")[1])["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    pages = [rule["annotations"]["runbook_url"] for rule in rules if rule["type"] == "alerting"]
    wrong = [page for page in pages if not page.startswith(stack.services["prometheus"]["environment"]["CCM_RUNBOOKS"])]
    if not pages or wrong or any(rule["health"] == "err" for rule in rules):
        raise Wrong(f"Prometheus has {len(pages)} alerts; runbooks elsewhere: {wrong[:3]}")
    return f"Prometheus reads all seven, and has {len(pages)} alerts with their runbooks"
