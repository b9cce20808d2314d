"""A real Prometheus that scrapes a real operator."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import yaml

from devcluster.waiting import wait_until

LOOPBACK = "127.0.0.1"


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int, log: Path) -> None:
        self._base = f"http://{LOOPBACK}:{port}"
        self._log = log

    def ready(self) -> bool:
        """Return whether it answers queries."""
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self._base}/-/ready", timeout=5).ok
        return False

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of the API."""
        answer = requests.get(f"{self._base}/api/v1/{path}", params=parameters, timeout=10)
        assert answer.ok, answer.text
        return answer.json()["data"]

    def series(self, query: str) -> list[dict[str, Any]]:
        """Return what a query returns now."""
        found: list[dict[str, Any]] = self.ask("query", query=query)["result"]
        return found

    def firing(self) -> dict[str, list[dict[str, str]]]:
        """Return the labels of the alerts that fire, by name."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in self.ask("alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    def log(self) -> str:
        """Return the end of its log."""
        return self._log.read_text()[-2000:]


@contextlib.contextmanager
def scraping(
    program: Path, folder: Path, targets: dict[str, int], rules: dict[str, Any] | None = None
) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes ports of this machine, by job, each second."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules or {"groups": []}))
    jobs = [
        {
            "job_name": job,
            "honor_labels": True,
            "static_configs": [{"targets": [f"{LOOPBACK}:{port}"]}],
        }
        for job, port in targets.items()
    ]
    settings = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    command = [
        str(program / "prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
    ]
    log = folder / "prometheus.log"
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            running = Prometheus(port, log)
            assert wait_until(running.ready, seconds=60), running.log()
            yield running
        finally:
            process.terminate()
            process.wait(30)
