"""The chart's promises about Postgres and Redis, on real ones: the script of the trial's Postgres, certificates of a private authority as
the chart hands them over, and a pod that is there before the schema is."""

import base64
import contextlib
import glob
import json
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PASSWORDS = {"OWNER_PASSWORD": "o1", "APP_PASSWORD": "a2", "SYSTEM_PASSWORD": "s3"}
# Where Debian and the image have the public authorities.
PUBLIC = "/etc/ssl/certs/ca-certificates.crt"


class Wrong(Exception):
    """What is not as the chart promises."""


def programs():
    """Postgres' programs, where the testkit looks for them too, and Redis; or None."""
    folders = [os.environ.get("PG_BIN", ""), *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    found = [folder for folder in folders if folder and os.access(f"{folder}/initdb", os.X_OK)]
    redis = os.environ.get("REDIS_BIN") or shutil.which("redis-server")
    if found and redis and all(map(shutil.which, ("psql", "openssl"))):
        return {"postgres": found[0], "redis": redis}
    return None


def free_port():
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def somebody():
    """Postgres refuses root: whom it runs as instead."""
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return {}


class Trial:
    def __init__(self, folder, found, ccm):
        self.folder, self.found, self.ccm = folder, found, ccm
        self.as_user = somebody()
        self.postgres_port, self.redis_port, self.ops = free_port(), free_port(), free_port()
        self.stack = contextlib.ExitStack()

    def run(self, *command, **more):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, **self.as_user, **more)
        if done.returncode:
            raise Wrong(f"{pathlib.Path(command[0]).name}: {done.stderr.strip()[-500:]}")

    def begin(self, *command, **more):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = self.stack.enter_context(subprocess.Popen(command, cwd=self.folder, **quiet, **more))
        self.stack.callback(process.kill)

    def certificates(self):
        """A private authority, and a certificate of it for localhost."""
        openssl = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
        self.run(*openssl, "-subj", "/CN=trial CA", "-keyout", "ca.key", "-out", "ca.crt", "-addext", "keyUsage=keyCertSign")
        names = ("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE")
        self.run(*openssl, "-subj", "/CN=localhost", *names, "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "own.key", "-out", "own.crt")
        pathlib.Path(self.folder, "own.key").chmod(0o600)
        # As the chart mounts it: the private authority alone in a folder.
        trusted = pathlib.Path(self.folder, "trusted")
        trusted.mkdir()
        shutil.copy(pathlib.Path(self.folder, "ca.crt"), trusted / "redis-ca.crt")

    def servers(self, script):
        postgres, data = self.found["postgres"], f"{self.folder}/data"
        self.run(f"{postgres}/initdb", "-D", data, "-U", "postgres", "-A", "trust")
        # Passwords are asked for over TCP, as the image does it; its script comes over the socket.
        lines = ["local all all trust", "host all all 127.0.0.1/32 scram-sha-256", "host all all ::1/128 scram-sha-256", ""]
        pathlib.Path(data, "pg_hba.conf").write_text("\n".join(lines))
        options = {
            "listen_addresses": "localhost",
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": f"{self.folder}/own.crt",
            "ssl_key_file": f"{self.folder}/own.key",
        }
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        place = ("-D", data, "-k", self.folder, "-p", str(self.postgres_port))
        self.begin(f"{postgres}/postgres", *place, *settings, **self.as_user)
        tls = ("--tls-port", str(self.redis_port), "--port", "0", "--tls-auth-clients", "no")
        certificate = ("--tls-cert-file", "own.crt", "--tls-key-file", "own.key", "--tls-ca-cert-file", "ca.crt")
        # The rest as the chart starts it.
        rest = ("--save", "", "--appendonly", "no", "--maxmemory", "128mb", "--requirepass", "r4", "--bind", "127.0.0.1", "-::1")
        self.begin(self.found["redis"], *tls, *certificate, *rest, **self.as_user)
        env = {"PATH": os.environ["PATH"], "PGHOST": self.folder, "PGPORT": str(self.postgres_port), **PASSWORDS}
        for _ in range(100):
            if subprocess.run([f"{postgres}/pg_isready", "-q"], env=env).returncode == 0:
                break
            time.sleep(0.1)
        self.run("sh", "-c", script, env=env)

    def url(self, role, password):
        return f"postgres://{role}:{PASSWORDS[password]}@localhost:{self.postgres_port}/ccm"

    def start_ingest(self):
        key = pathlib.Path(self.folder, "key")
        key.write_bytes(base64.b64encode(bytes(32)))
        env = {
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": f"{self.folder}/ca.crt",
            "SSL_CERT_FILE": PUBLIC,
            "SSL_CERT_DIR": f"{self.folder}/trusted",
            "CCM__DATABASE__APP_URL": self.url("ccm_app_login", "APP_PASSWORD"),
            "CCM__DATABASE__SYSTEM_URL": self.url("ccm_system_login", "SYSTEM_PASSWORD"),
            "CCM__REDIS__URL": f"rediss://:r4@localhost:{self.redis_port}",
            "CCM__KEYS__MASTER_KEY_FILE": str(key),
            "CCM__INGEST__PUBLIC_BASE_URL": "https://sms.example.com",
            "CCM__INGEST__LISTEN": "127.0.0.1:0",
            "CCM__INGEST__OPS_LISTEN": f"127.0.0.1:{self.ops}",
        }
        self.begin(self.ccm, "ingest", env=env)

    def migrate(self, **env):
        env["CCM__DATABASE__OWNER_URL"] = self.url("ccm_owner", "OWNER_PASSWORD")
        return subprocess.run([self.ccm, "migrate"], env=env, capture_output=True, text=True)

    def wait_for(self, what, wanted):
        """Until the page of readiness is as wanted, ten seconds at most."""
        until, seen = time.monotonic() + 10, None
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ops}/readyz", timeout=2) as page:
                    seen = page.status, json.load(page)
            except urllib.error.HTTPError as error:
                seen = error.code, json.load(error)
            except OSError as error:
                seen = None, str(error)
            if seen[0] and wanted(*seen):
                return
            time.sleep(0.1)
        raise Wrong(f"{what}: /readyz of ingest says {seen}")

    def check(self, script):
        self.certificates()
        self.servers(script)
        self.start_ingest()
        # A pod of a new version that is there before its schema waits for it, and does not end.
        self.wait_for("before the migration", lambda status, report: status == 503 and "migrate" in str(report))
        if "UnknownIssuer" not in self.migrate(PGSSLMODE="verify-full").stderr:
            raise Wrong("ccm migrate does not refuse a certificate of an authority that it does not know")
        for mode in ({"PGSSLMODE": "verify-full", "PGSSLROOTCERT": f"{self.folder}/ca.crt"}, {"PGSSLMODE": "disable"}):
            migrated = self.migrate(**mode)
            if migrated.returncode:
                raise Wrong(f"ccm migrate with {mode}: {migrated.stderr.strip()[-500:]}")
        self.wait_for("after the migration", lambda status, _: status == 200)
        self.wait_for("Redis over TLS", lambda _, report: report["dependencies"]["bus"]["state"] == "up")


def try_out(script, found, ccm):
    """What went wrong; nothing, if all went well."""
    with tempfile.TemporaryDirectory(prefix="ccm-helm-") as folder:
        trial = Trial(folder, found, os.path.abspath(ccm))
        if trial.as_user:
            os.chown(folder, trial.as_user["user"], trial.as_user["group"])
        with trial.stack:
            try:
                trial.check(script)
            except Wrong as wrong:
                return str(wrong)
    return ""
