"""How heavy an engine is, beside a bare Python process that makes one API call.

Both are real processes that talk over TLS to the same server, which answers as an API server would; they take
turns, so that what else this machine does hits both. The engine is granted a plan that sleeps. Prints medians
and their ratios, and fails if the engine is more than twice as heavy. Linux only: it reads /proc.

Run it as `python benchmarks/engine_weight.py`.
"""

import argparse
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import trustme

MOST = 2.0
POD = str(uuid.uuid4())
NOW = datetime.now(UTC).isoformat()
ENGINE: dict[str, Any] = {
    "metadata": {"name": "example", "namespace": "lab", "uid": str(uuid.uuid4()), "resourceVersion": "1"},
    "spec": {
        "trialID": "example",
        "trialUID": "t",
        "trialGeneration": 1,
        "startTime": NOW,
        "activities": [{"name": "idle", "sleep": {"seconds": 3600}}],
    },
    "status": {"attempt": 1, "podRef": {"name": "example-1", "uid": POD, "notBefore": NOW}},
}
BARE_IMPORTS = "import json, os, ssl, urllib.request"
BARE = f"""{BARE_IMPORTS}
folder, server = os.environ["FOLDER"], os.environ["SERVER"]
url = server + "/apis/lcm.5gdrones.eu/v1alpha1/namespaces/lab/trialengines/example"
headers = {{"Authorization": "Bearer " + open(folder + "/token").read()}}
trust = ssl.create_default_context(cafile=folder + "/ca.crt")
with urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=trust) as answer:
    json.load(answer)
print("idle", flush=True)
input()
"""
ENGINE_IMPORTS = "import lcm_operator.engine.__main__"
IMPORTING = "import time; began = time.process_time()\n{}\nprint(time.process_time() - began)"


class Weight(NamedTuple):
    """One process: CPU seconds of its imports, seconds from start to first request, MiB when idle."""

    imports: float
    first_call: float
    memory: float


class ApiServer(ThreadingHTTPServer):
    """Answers what an engine asks until it sleeps: its TrialEngine, a silent watch, its two writes."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.crt"))
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(trust)
        self.socket = trust.wrap_socket(self.socket, server_side=True)
        self.first_request: float | None = None
        self.sleeps = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def reset(self) -> None:
        """Forget the last process."""
        self.first_request = None
        self.sleeps.clear()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: ApiServer

    def do_GET(self) -> None:
        """Give the TrialEngine, by itself or in a list, or begin a watch."""
        self.server.first_request = self.server.first_request or time.perf_counter()
        if "watch=true" not in self.path:
            is_list = self.path.partition("?")[0].endswith("/trialengines")
            self._answer({"metadata": {"resourceVersion": "1"}, "items": [ENGINE]} if is_list else ENGINE)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        self.rfile.read(1)  # until the client goes

    def do_PATCH(self) -> None:
        """Take the renewed Lease, and the checkpoint in which the activity runs."""
        changes = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "/leases/" in self.path:
            self._answer({})
            return
        status = {each["path"].removeprefix("/status/"): each["value"] for each in changes[1:]}
        self._answer(ENGINE | {"status": ENGINE["status"] | status})
        self.server.sleeps.set()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, body: Mapping[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def importing(imports: str) -> float:
    """Return how many seconds of CPU a fresh process takes for `imports`."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING.format(imports)],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def resident(pid: int) -> float:
    """Return the MiB that a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def weigh(
    server: ApiServer, folder: Path, imports: str, command: list[str], idle: Callable[[Any], bool]
) -> Weight:
    """Run a process until it is idle, and end it."""
    server.reset()
    host, port = server.server_address[:2]
    environment = {
        "PATH": os.environ["PATH"],
        "FOLDER": str(folder),
        "SERVER": f"https://{host!s}:{port}",
        "KUBERNETES_SERVICE_HOST": str(host),
        "KUBERNETES_SERVICE_PORT": str(port),
        "LCM_TRIAL_ENGINE": "example",
        "LCM_POD_NAME": "example-1",
        "LCM_POD_UID": POD,
        "LCM_SERVICE_ACCOUNT_DIRECTORY": str(folder),
    }
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder
    )
    try:
        if not idle(process) or server.first_request is None:
            raise RuntimeError(f"{command[1:3]} did not get idle")
        return Weight(importing(imports), server.first_request - began, resident(process.pid))
    finally:
        process.kill()
        process.communicate()


def sleeping(server: ApiServer) -> Callable[[Any], bool]:
    """Return what waits until an engine has begun to sleep: it has said so, and saved it before."""

    def idle(process: subprocess.Popen[bytes]) -> bool:
        said = any(b"activity started activity=idle" in line for line in process.stdout or ())
        return said and server.sleeps.is_set()

    return idle


def main() -> int:
    """Weigh both and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="how often each is weighed (default 9)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "token").write_text("token")
        (folder / "namespace").write_text("lab")
        server = ApiServer(folder)
        kinds = {
            "bare": (BARE_IMPORTS, [sys.executable, "-c", BARE], lambda p: p.stdout.readline() == b"idle\n"),
            "engine": (ENGINE_IMPORTS, [sys.executable, "-m", "lcm_operator.engine"], sleeping(server)),
        }
        for imports, _, _ in kinds.values():
            importing(imports)  # compiled once, read from disk once
        weighed: dict[str, list[Weight]] = {kind: [] for kind in kinds}
        for _ in range(runs):
            for kind, (imports, command, idle) in kinds.items():
                weighed[kind].append(weigh(server, folder, imports, command, idle))
    medians = {
        kind: Weight(*map(statistics.median, zip(*each, strict=True))) for kind, each in weighed.items()
    }
    bare, engine = medians["bare"], medians["engine"]
    ratios = Weight(*(mine / theirs for mine, theirs in zip(engine, bare, strict=True)))
    rows = [
        ("imports, ms of CPU", 1000 * bare.imports, 1000 * engine.imports, ratios.imports),
        ("to the first call, ms", 1000 * bare.first_call, 1000 * engine.first_call, ratios.first_call),
        ("resident, MiB", bare.memory, engine.memory, ratios.memory),
    ]
    lines = [f"{'medians of ' + str(runs) + ' runs':24}{'bare':>8}{'engine':>8}{'ratio':>8}"]
    lines += [f"{what:24}{one:8.1f}{other:8.1f}{ratio:8.2f}" for what, one, other, ratio in rows]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(max(ratios) > MOST)


if __name__ == "__main__":
    sys.exit(main())
