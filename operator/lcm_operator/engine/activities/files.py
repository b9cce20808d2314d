"""The files and the standard input of a program."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from lcm_operator.api.plan import ExecFile
from lcm_operator.engine.outcome import ActivityFailedError

_MODE = 0o555


@asynccontextmanager
async def working_folder(files: tuple[ExecFile, ...], mounted: Path | None) -> AsyncIterator[Path | None]:
    """Provide a new folder with `files` while the program runs; None if there are none.

    `mounted` has the keys of ConfigMaps, as NAME/KEY. Raises ActivityFailedError.
    """
    if not files:
        yield None
        return
    folder = Path(mkdtemp(prefix="lcm-files-"))
    try:
        for file in files:
            try:
                path = folder / file.name
                path.write_bytes(_content(file, mounted))
                path.chmod(_MODE)
            except OSError as error:
                raise ActivityFailedError(f"files: cannot provide {file.name}: {error}") from error
        yield folder
    finally:
        # In a thread: the program may have left so much that the Lease would not be renewed meanwhile.
        await asyncio.to_thread(rmtree, folder, ignore_errors=True)


@contextmanager
def standard_input(text: str | None) -> Iterator[int]:
    """Provide a file descriptor from which a program reads `text`: memory, never a disk."""
    number = os.open(os.devnull, os.O_RDONLY) if text is None else os.memfd_create("stdin")
    try:
        if text is not None:
            with os.fdopen(number, "wb", closefd=False) as file:
                file.write(text.encode(errors="replace"))
            os.lseek(number, 0, os.SEEK_SET)
        yield number
    finally:
        os.close(number)


def _content(file: ExecFile, mounted: Path | None) -> bytes:
    source = file.config_map_key_ref
    if source is None:
        return (file.content or "").encode(errors="replace")
    if mounted is None:
        raise ActivityFailedError(f"files: this pod has no volume with ConfigMap {source.name}")
    return (mounted / source.name / source.key).read_bytes()
