"""Turns a container of a pod into something to start: command, environment, directories.

Called by a pod's lifetime, before it asks the launcher. It starts nothing.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from devcluster.node import environment
from devcluster.node.api import NodeApi
from devcluster.node.expansion import expand
from devcluster.node.files import ContainerFiles
from devcluster.node.launching import Start
from devcluster.node.rewriting import Rewriter
from devcluster.node.sources import Sources
from devcluster.node.volumes import Volumes

Json = dict[str, Any]


class CannotRunError(Exception):
    """Found only during preparation: this machine lacks something that the pod needs."""


async def prepare(
    pod: Json, container: Json, *, api: NodeApi, volumes: Volumes, files: ContainerFiles, log: Path
) -> Start:
    """Return how to start the container. Raises CannotRunError, NotReadyError, and what the API raises."""
    files.prepare()
    folders = volumes.folders(container)
    message_path = container.get("terminationMessagePath", "/dev/termination-log")
    rewrite = Rewriter({**folders, message_path: files.termination_log})
    sources = Sources(api, pod["metadata"]["namespace"])
    declared = await environment.declared(pod, container, sources, environment.api_server(api.server))
    variables = environment.basis(pod, files.home)
    if "/tmp" in folders:  # noqa: S108 - a mount path of the pod
        variables["TMPDIR"] = str(folders["/tmp"])  # noqa: S108
    variables |= {name: rewrite(value) for name, value in declared.items()}
    texts = container["command"] + container.get("args", [])
    command = [rewrite(expand(text, declared)) for text in texts]
    working_directory = _working_directory(container, rewrite, files)
    return Start(
        directory=files.directory,
        log=log,
        command=[_program(command[0], variables["PATH"], working_directory), *command[1:]],
        environment=variables,
        working_directory=working_directory,
    )


def _program(name: str, path: str, working_directory: Path) -> str:
    """Return the program's file, found as exec would find it."""
    if os.sep in name:
        file = working_directory / name
        if file.is_file() and os.access(file, os.X_OK):
            return name
        raise CannotRunError(
            f"command {name} is not a program on this machine; the local node runs no images"
        )
    found = shutil.which(name, path=path)
    if found is None:
        raise CannotRunError(f"command {name} does not exist on this machine; there are no images")
    return found


def _working_directory(container: Json, rewrite: Rewriter, files: ContainerFiles) -> Path:
    wanted = container.get("workingDir")
    if not wanted:
        return files.home
    directory = Path(rewrite(wanted))
    if not directory.is_dir():
        raise CannotRunError(
            f"workingDir {wanted} does not exist on this machine; the local node runs no images"
        )
    return directory
