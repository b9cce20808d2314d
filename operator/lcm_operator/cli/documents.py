"""The documents of a file as kubectl reads them, with the line of each field.

A repeated key is reported: kubectl uses the last one without a word.
"""

from collections.abc import Iterator

from lcm_operator.cli.document import Document, UnreadableError
from lcm_operator.cli.json_reader import leading_json
from lcm_operator.cli.yaml_reader import read_yaml

_BOUND_OF_GUESS = 4096
_ENCODINGS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def decoded(content: bytes) -> str:
    """Return the text of a file: UTF-8, or UTF-16 with a byte order mark."""
    encoding = _ENCODINGS.get(content[:2], "utf-8")
    return content.decode(encoding, errors="replace").removeprefix("\ufeff")


def read(text: str) -> list[Document]:
    """Return the documents of a file, without empty ones. Raises UnreadableError."""
    found: list[Document] = []
    position = 0
    if text[:_BOUND_OF_GUESS].lstrip().startswith("{"):
        found, position = leading_json(text)
    if position < len(text):
        first_line = text.count("\n", 0, position) + 1
        found += (read_yaml(chunk, line) for line, chunk in _chunks(text[position:], first_line))
    return [document for document in found if document.value is not None]


def _chunks(text: str, number: int) -> Iterator[tuple[int, str]]:
    """Yield the documents of a stream of YAML with their first lines: kubectl splits it at lines `---`."""
    lines: list[str] = []
    start = number
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=number):  # noqa: PLR1704, B020 - goes on counting
        bare = line.removesuffix("\r")
        if bare.startswith("---"):
            if (rest := bare[3:].strip()) and not rest.startswith("#"):
                raise UnreadableError(number, f"nothing but a comment may follow --- here, got {rest[:40]}")
            if lines:
                yield start, "\n".join(lines) + "\n"
                lines, start = [], number + 1
                continue
        lines.append(bare)
    yield start, "\n".join(lines) + "\n"
