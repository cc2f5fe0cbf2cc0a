"""An image's file system, started as a container engine would: read-only, as its own user, without any right of root's, in a network of its own."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

USER = 65532
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
NAME = "aacc.example.test"


class Wrong(Exception):
    """What is not as it should be."""


class Root:
    """The unpacked image. What an engine puts into every container (/proc, /dev, names) is put in; the rest is the image's, and read-only."""

    def __init__(self, image, folder):
        self.path = pathlib.Path(folder, "root")
        self.path.mkdir()
        image.unpack(self.path)
        for name in ("proc", "dev"):
            self.path.joinpath(name).mkdir()
        for name, text in {"resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", "hosts": "127.0.0.1 localhost\n"}.items():
            self.path.joinpath("etc", name).write_text(text)
        mount("--bind", self.path, self.path)
        mount("-t", "proc", "proc", self.path / "proc")
        mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", self.path / "dev")
        for name in ("null", "urandom"):
            self.path.joinpath("dev", name).touch()
            mount("--bind", f"/dev/{name}", self.path / "dev" / name)
        mount("-o", "remount,bind,ro", self.path)

    def put(self, file, place):
        """Another file in the place of one, as a bind mount."""
        mount("--bind", file, self.path / place)

    def take_back(self, place):
        subprocess.run(["umount", self.path / place], check=True)

    def command(self, *arguments):
        chroot = (shutil.which("chroot"), f"--userspec={USER}:{USER}", "--groups=", str(self.path))
        return [shutil.which("setpriv"), "--no-new-privs", "--pdeathsig", "KILL", *chroot, "/usr/local/bin/ccm", *arguments]

    def run(self, *arguments, env=()):
        return subprocess.run(self.command(*arguments), env=dict(env), capture_output=True, text=True, timeout=60)


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def network():
    """The network of one's own has nothing but a loopback that is down."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def name_server():
    """Knows NAME, as 127.0.0.1, and nothing else."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    wanted = b"".join(bytes([len(part)]) + part.encode() for part in NAME.split(".")) + b"\0"

    def serve():
        while True:
            question, who = server.recvfrom(512)
            end = question.index(b"\0", 12) + 5
            known = question[12 : end - 4] == wanted
            is_a = question[end - 4 : end - 2] == b"\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if known and is_a else b""
            head = question[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, 1 if answer else 0, 0, 0)
            server.sendto(head + question[12:end] + answer, who)

    threading.Thread(target=serve, daemon=True).start()


def certificates(folder):
    """A private authority, and a certificate of it for NAME."""

    def request(*arguments):
        fixed = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90")
        subprocess.run(["openssl", *fixed, *arguments], cwd=folder, check=True, capture_output=True)

    request("-subj", "/CN=check CA", "-keyout", "ca.key", "-out", "ca.crt", "-addext", "keyUsage=keyCertSign")
    names = ("-addext", f"subjectAltName=DNS:{NAME}", "-addext", "basicConstraints=critical,CA:FALSE")
    request("-subj", f"/CN={NAME}", *names, "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "own.key", "-out", "own.crt")


def tls_server(folder):
    """Shakes hands and says nothing more; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/own.crt", f"{folder}/own.key")
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            caller, _ = server.accept()
            with contextlib.suppress(OSError), context.wrap_socket(caller, server_side=True) as talk:
                talk.recv(1000)

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()[1]


def steps_of(root, port):
    """What the link doctor says of each step, and the first cause."""
    done = root.run("doctor", "--json", f"wss://{NAME}:{port}")
    if done.returncode != 1:
        raise Wrong(f"ccm doctor ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    steps = json.loads(done.stdout)["steps"]
    causes = [step["finding"]["cause"] for step in steps if step["outcome"] == "failed"]
    return {step["kind"]: step["outcome"] for step in steps}, causes[0] if causes else None


def look_at_tls(root, folder):
    certificates(folder)
    name_server()
    port = tls_server(folder)

    def expect(what, steps, cause, wanted, causes):
        seen = {kind: steps[kind] for kind in wanted}
        if seen != wanted or cause not in causes:
            raise Wrong(f"ccm doctor, {what}: {steps}, first cause {cause}; expected {wanted} and one of {sorted(causes)}")

    # The name is looked up, the authorities are there, and an authority that is none of them is refused.
    passed = {"settings": "passed", "dns": "passed", "tcp": "passed"}
    expect("an unknown authority", *steps_of(root, port), {**passed, "tls": "failed"}, {"private_ca_missing"})
    # The same file with one authority more: it is this file that is believed.
    more = pathlib.Path(folder, "more.crt")
    more.write_bytes(root.path.joinpath(BUNDLE).read_bytes() + pathlib.Path(folder, "ca.crt").read_bytes())
    root.put(more, BUNDLE)
    steps, cause = steps_of(root, port)
    if steps["tls"] != "passed":
        raise Wrong(f"ccm doctor, an authority of the bundle: TLS {steps['tls']}, {cause}")
    root.take_back(BUNDLE)
    # And without: the check would see it.
    root.put("/dev/null", BUNDLE)
    expect("no authorities", *steps_of(root, port), {"settings": "failed"}, {"no_system_roots"})
    root.take_back(BUNDLE)


def ask(port, page):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.closing(connection):
        connection.request("GET", page)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def look_at_a_role(root):
    """`ccm ingest` with a database and a Redis that are not there: lives, says what it lacks, ends when told to."""
    env = {
        "CCM__DATABASE__APP_URL": "postgres://ccm_app_login:x@127.0.0.1:1/ccm",
        "CCM__DATABASE__SYSTEM_URL": "postgres://ccm_system_login:x@127.0.0.1:1/ccm",
        "CCM__REDIS__URL": "redis://127.0.0.1:1",
        "CCM__KEYS__MASTER_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "CCM__INGEST__PUBLIC_BASE_URL": "https://sms.example.com",
    }
    role = subprocess.Popen(root.command("ingest"), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    logs = []
    threading.Thread(target=lambda: logs.extend(role.stderr), daemon=True).start()
    try:
        until, live, ready = time.monotonic() + 20, None, None
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                live, ready = ask(9081, "/healthz")[0], ask(9081, "/readyz")
                if ready[0] == 503 and '"down"' in ready[1]:
                    break
            if role.poll() is not None:
                raise Wrong(f"ccm ingest ended with {role.returncode}: {''.join(logs)[-500:]}")
            time.sleep(0.1)
        if live != 200:
            raise Wrong(f"ccm ingest: /healthz says {live}: {''.join(logs)[-500:]}")
        if not ready or ready[0] != 503 or json.loads(ready[1])["dependencies"]["database"]["state"] != "down":
            raise Wrong(f"ccm ingest without a database: /readyz says {ready}")
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{role.pid}/status").read_text().splitlines() if ":\t" in line)
        for key, wanted in {"Uid": f"{USER}\t" * 4, "Gid": f"{USER}\t" * 4, "Groups": "", "NoNewPrivs": "1", "CapEff": "0" * 16, "CapPrm": "0" * 16}.items():
            if status[key].strip() != wanted.strip():
                raise Wrong(f"ccm ingest runs with {key} {status[key]!r}, not {wanted!r}")
        memory = int(status["VmRSS"].split()[0]) * 1024
        role.send_signal(signal.SIGTERM)
        began = time.monotonic()
        if role.wait(timeout=20) != 0:
            raise Wrong(f"ccm ingest ended with {role.returncode} after SIGTERM: {''.join(logs)[-500:]}")
        return memory, time.monotonic() - began
    finally:
        if role.poll() is None:
            role.kill()
            role.wait()


def look_at_commands(root, version, defaults):
    said = root.run("--version")
    if not said.stdout.endswith(f" {version}\n"):
        raise Wrong(f"ccm --version says {said.stdout!r} {said.stderr.strip()[-300:]}")
    printed = root.run("config")
    if printed.returncode or not all(line in printed.stdout for line in defaults):
        raise Wrong(f"ccm config ended with {printed.returncode} and printed {len(printed.stdout)} bytes")
    with contextlib.suppress(OSError):
        root.path.joinpath("written").touch()
        raise Wrong("the root can be written, even by root: this check does not start it as it says")


def try_out(image, folder, version, defaults):
    """What was seen, as a sentence; raises Wrong."""
    folder = pathlib.Path(folder)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    os.chmod(folder, 0o755)
    root = Root(image, folder)
    look_at_commands(root, version, defaults)
    look_at_tls(root, folder)
    memory, ending = look_at_a_role(root)
    return f"ccm ingest took {memory / 1e6:.0f} MB and ended {ending * 1000:.0f} ms after SIGTERM"
