"""Builds the programs of the real node and links all that the tests call into one folder: run.sh calls it."""

import sys
from pathlib import Path

from tools.chart.programs import HELM

from devcluster.cluster.layout import REPOSITORY
from devcluster.programs.building import built
from devcluster.programs.kubernetes import find_programs, kubernetes

NODE = kubernetes(
    REPOSITORY / "tools" / "node",
    "the node's programs",
    {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kubelet", "kube-proxy", "kube-scheduler")},
)


def _tell(said: str) -> None:
    sys.stderr.write(f"{said}\n")


def main(scratch: Path) -> None:
    """Link the programs into `scratch`/bin."""
    folder = scratch / "bin"
    folder.mkdir()
    for source in (find_programs(_tell), built(NODE, _tell), built(HELM, _tell)):
        for program in source.iterdir():
            (folder / program.name).symlink_to(program)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
