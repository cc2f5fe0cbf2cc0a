"""Plays the demo for a minute before a Prometheus of its own: texts, answers, a link that breaks, chats that end, a caller, an agent's page, a webhook."""

import contextlib
import http.server
import json
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.parse
import urllib.request
from pathlib import Path

import fake

# A debug build on a busy machine.
START_S, PLAY_S = 240, 60
AGENT = {"id": "russell", "name": "Russell"}


def ask(url, body=None, token=None, form=None):
    headers = {"Content-Type": "application/json" if form is None else "application/x-www-form-urlencoded"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else form
    with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=30) as answer:
        text = answer.read()
    try:
        return json.loads(text)
    except ValueError:
        return text


class Stage:
    """The demo's addresses."""

    def __init__(self, folder, programs, page):
        self.folder, self.programs, self.page = Path(folder), programs, page

    def configs(self):
        return {path.stem: tomllib.loads(path.read_text()) for path in self.folder.glob("*.toml") if path.stem != "migrate"}

    def address(self, role):
        return f"http://{self.configs()[role][role]['listen']}"

    def targets(self):
        """For Prometheus: what each role shows to the cluster."""
        found = []
        for role, config in self.configs().items():
            mine = config.get(role, {})
            if ops := mine.get("ops_listen") or mine.get("listen"):
                found.append({"targets": [ops], "labels": {"namespace": "ccm", "pod": f"ccm-{role}-0"}})
        return found

    def token(self):
        command = [f"{self.programs}/ccm", "--config", f"{self.folder}/admin.toml", "token", "--role", "platform-admin", "--subject", "panels"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def play(self):
        about = ask(f"{self.page}/demo/about")
        token, api = self.token(), self.address("admin")
        tenant = ask(f"{api}/v1/tenants", token=token)["items"][0]["id"]
        ours = f"{api}/v1/tenants/{tenant}"
        receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        ask(f"{ours}/webhooks", {"name": "panels", "url": f"http://127.0.0.1:{receiver.server_port}/"}, token)
        key = ask(f"{ours}/auth-keys", {"name": "panels", "uses": ["deflection"]}, token)["key"]
        calls = f"{self.address('deflection')}/v1/deflections"
        send = f"{self.page}/sim/phone/control/phones/{urllib.parse.quote(about['customer'])}/send"
        began, n = time.time(), 0
        while time.time() < began + PLAY_S:
            n += 1
            ask(send, {"to": about["number"], "text": f"text {n}"})
            self.desk(n)
            if n % 15 == 3:
                self.tried(lambda: ask(f"{self.page}/demo/screenpop"))
                self.tried(lambda: ask(f"{self.address('ingest')}/v1/sms/twilio/none", form=b"Body=forged"))
                query = urllib.parse.urlencode({"auth": key, "caller": "+14695550199", "contact_id": f"call-{n}"})
                self.tried(lambda: ask(f"{calls}?{query}"))
                one = ask(f"{ours}/conversations", token=token)["items"][0]["id"]
                ask(f"{ours}/conversations/{one}/messages", token=token)
            if n == 40:
                for word in ("STOP", "START", "HELP"):
                    ask(send, {"to": about["number"], "text": word})
            time.sleep(0.5)
        receiver.shutdown()

    def tried(self, request):
        """What is refused is shown too, and a busy machine may be too slow."""
        with contextlib.suppress(OSError):
            request()

    def desk(self, n):
        chats = f"{self.page}/sim/aacc/control/chats"
        for chat in ask(chats):
            one = f"{chats}/{chat['guid']}"
            if chat["state"] == "waiting":
                ask(f"{one}/join", AGENT)
            elif chat["state"] == "live" and n % 10 == 9:
                ask(f"{one}/leave", {"agent_id": AGENT["id"], "end_chat": True})
            elif chat["state"] == "live":
                ask(f"{one}/say", {"text": f"answer {n}", "raw": False, "agent_id": AGENT["id"]})
                if n == 25:
                    ask(f"{self.page}/sim/aacc/control/faults/break", {"guid": chat["guid"], "how": "close"})


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def playing(programs):
    with tempfile.TemporaryDirectory() as folder:
        port = fake.free_port()
        stage = Stage(f"{folder}/demo", programs, f"http://127.0.0.1:{port}")
        targets = Path(folder, "targets.json")
        targets.write_text("[]")
        # Whoever runs Postgres there must be let in.
        Path(folder).chmod(0o755)
        with open(Path(folder, "demo.log"), "w") as log:
            child = subprocess.Popen([f"{programs}/ccm-demo", "--port", str(port), "--dir", f"{folder}/demo"], stdout=log, stderr=log)
        try:
            with fake.prometheus({"file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}) as url:
                wait(stage, child, Path(folder, "demo.log"))
                targets.write_text(json.dumps(stage.targets()))
                print(f"the demo plays for {PLAY_S} s before the Prometheus at {url}", file=sys.stderr)
                stage.play()
                # The last scrape.
                time.sleep(3)
                yield url
        finally:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(30)
            child.kill()


def wait(stage, child, log):
    for _ in range(START_S):
        if child.poll() is not None:
            break
        try:
            ask(f"{stage.page}/demo/about")
            return
        except OSError:
            time.sleep(1)
    raise SystemExit("the demo does not start:\n" + log.read_text()[-2000:])
