"""What kubectl itself reads in a file: its decoders, as a program that is built once (tools/kubectl-yaml)."""

import base64
import json
import subprocess
from collections.abc import Sequence
from typing import Any

from devcluster.cluster.layout import REPOSITORY
from devcluster.programs.building import Module, built

MODULE = Module(REPOSITORY / "tools" / "kubectl-yaml", "kubectl's reader of YAML", {"kubectl-yaml": "."})


class KubectlReader:
    """Reads files as kubectl does."""

    def __init__(self) -> None:
        self._program = built(MODULE, print) / "kubectl-yaml"

    def __call__(self, files: Sequence[bytes]) -> list[list[Any] | None]:
        """Return the documents of each file as they would be sent; None for a file with an error."""
        lines = "".join(f"{base64.b64encode(file).decode()}\n" for file in files)
        done = subprocess.run([self._program], input=lines, capture_output=True, text=True, check=True)
        found = [json.loads(line, parse_int=_number) for line in done.stdout.split("\n")[:-1]]
        assert len(found) == len(files)
        return [None if each["error"] else each["documents"] for each in found]


def _number(text: str) -> float:
    """Return an integer of 64 bits as such, and a larger one as the float that it is for Kubernetes."""
    return int(text) if -(2**63) <= int(text) < 2**63 else float(text)
