"""The script of the chart's Postgres, on a private server: it must make what `ccm migrate` and a role need."""

import base64
import glob
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


def programs():
    """The folder of Postgres' programs, where the testkit looks for it too."""
    folders = [os.environ.get("PG_BIN", ""), *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    found = [folder for folder in folders if folder and os.access(f"{folder}/initdb", os.X_OK)]
    return found[0] if found and shutil.which("psql") else None


def free_port():
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def somebody():
    """Postgres refuses root: whom it runs as instead."""
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        except KeyError:
            pass
    return {}


def try_out(script, postgres, ccm):
    """What went wrong; nothing, if all went well."""
    with tempfile.TemporaryDirectory(prefix="ccm-helm-") as folder:
        as_user = somebody()
        if as_user:
            os.chown(folder, as_user["user"], as_user["group"])
        data, port = f"{folder}/data", free_port()
        quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **as_user}
        subprocess.run([f"{postgres}/initdb", "-D", data, "-U", "postgres", "-A", "trust"], check=True, **quiet)
        # Passwords are asked for over TCP, as the image does it; its script comes over the socket.
        pathlib.Path(data, "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        options = ["-D", data, "-k", folder, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        server = subprocess.Popen([f"{postgres}/postgres", *options], **quiet)
        try:
            return with_server(script, postgres, ccm, folder, port)
        finally:
            server.terminate()
            server.wait(30)


def with_server(script, postgres, ccm, folder, port):
    env = {"PATH": os.environ["PATH"], "PGHOST": folder, "PGPORT": str(port), **PASSWORDS}
    for _ in range(100):
        ready = subprocess.run([f"{postgres}/pg_isready", "-q"], env=env)
        if ready.returncode == 0:
            break
        time.sleep(0.1)
    made = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True)
    if made.returncode:
        return f"logins.sh: {made.stderr.strip()}"

    key = pathlib.Path(folder, "key")
    key.write_bytes(base64.b64encode(bytes(32)))
    http, ops = free_port(), free_port()
    address = f"127.0.0.1:{port}/ccm"
    services = {
        "PGSSLMODE": "disable",
        "CCM__DATABASE__APP_URL": f"postgres://ccm_app_login:{PASSWORDS['APP_PASSWORD']}@{address}",
        "CCM__DATABASE__SYSTEM_URL": f"postgres://ccm_system_login:{PASSWORDS['SYSTEM_PASSWORD']}@{address}",
        # Redis is away, which must not matter.
        "CCM__REDIS__URL": "redis://127.0.0.1:1",
        "CCM__KEYS__MASTER_KEY_FILE": str(key),
        "CCM__INGEST__PUBLIC_BASE_URL": "https://sms.example.com",
        "CCM__INGEST__LISTEN": f"127.0.0.1:{http}",
        "CCM__INGEST__OPS_LISTEN": f"127.0.0.1:{ops}",
    }
    role = subprocess.Popen([ccm, "ingest"], env=services, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # A pod of a new version that starts before the migration waits for it, and does not end.
        if (status := answer(ops, "/readyz", 10, {503})) != 503:
            return f"before the migration /readyz of ingest says {status}, not 503"
        owner = f"postgres://ccm_owner:{PASSWORDS['OWNER_PASSWORD']}@{address}"
        environment = {"PGSSLMODE": "disable", "CCM__DATABASE__OWNER_URL": owner}
        migrated = subprocess.run([ccm, "migrate"], env=environment, capture_output=True, text=True)
        if migrated.returncode:
            return f"ccm migrate: {migrated.stderr.strip()[-500:]}"
        if (status := answer(ops, "/readyz", 10, {200})) != 200:
            return f"after the migration /readyz of ingest says {status}, not 200"
    finally:
        role.kill()
        role.wait()
    return ""


def answer(port, path, seconds, wanted):
    """The page's status, as soon as it is one of those, or at the end."""
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as page:
                status = page.status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError as error:
            status = str(error)
        if status in wanted or time.monotonic() > until:
            return status
        time.sleep(0.1)
