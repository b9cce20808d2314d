"""What the text of a variable may be."""

from pathlib import Path

import pytest

from lcm_operator import kinds
from lcm_operator.kinds import Kind


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (kinds.BOOLEAN, "True"),
        (kinds.BOOLEAN, "1"),
        (kinds.LOG_LEVELS, "debug"),
        (kinds.SECONDS, "soon"),
        (kinds.SECONDS, "-1"),
        (kinds.SECONDS, "nan"),
        (kinds.SECONDS, "inf"),
        (kinds.LEAD_SECONDS, "9.9"),
        (kinds.LEAD_SECONDS, "86401"),
        (kinds.NAMESPACE, "Trials"),
        (kinds.NAMESPACE, "a.b"),
        (kinds.NAMESPACE, "a" * 64),
        (kinds.OBJECT_NAME, "a/b"),
        (kinds.OBJECT_NAME, "a..b"),
        (kinds.OBJECT_NAME, "a" * 254),
        (kinds.TIME_ZONE, "Mars/Base"),
        (kinds.TIME_ZONE, "../etc/passwd"),
        (kinds.TIME_ZONE, "Europe"),
        (kinds.FILE, "/"),
        (kinds.FILE, "/nowhere"),
    ],
)
def test_a_text_that_does_not_fit_is_rejected(kind: Kind[object], text: str):
    with pytest.raises(ValueError, match=r"^$"):
        kind.parse(text)


def test_a_list_of_namespaces_names_those_that_are_none():
    with pytest.raises(ValueError, match="'', '!b' can't be a namespace"):
        kinds.NAMESPACES.parse("a,,!b")


def test_values_are_read(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()

    assert kinds.FILE.parse(str(file)) == file
    assert kinds.BOOLEAN.parse("true") is True
    assert kinds.SECONDS.parse("0.5") == 0.5
    assert kinds.NAMESPACES.parse("b, a") == ("b", "a")
    assert kinds.OBJECT_NAME.parse("5gdrones.v2") == "5gdrones.v2"
    assert kinds.HOST_NAMES.parse("a, B.example ,") == {"a", "b.example"}
    assert str(kinds.TIME_ZONE.parse("Europe/Helsinki")) == "Europe/Helsinki"


def test_the_words_of_an_enumeration_are_named():
    assert kinds.LOG_LEVELS.allowed == "DEBUG, INFO, WARNING or ERROR"
    assert kinds.BOOLEAN.allowed == "false or true"
