"""`lcm plan check` reads what kubectl's own code reads, value by value, on a generated corpus."""

import json
import random

import pytest
from tests.cluster.kubectl_reader import KubectlReader

from lcm_operator.cli.document import UnreadableError
from lcm_operator.cli.documents import decoded, read

PLAIN = """
y Y n N yes Yes YES yEs no No NO true True TRUE tRue false on On ON off Off OFF ~ null Null NULL nULL ''
"" = << Infinity NaN nan .nan .NaN .NAN .inf -.inf +.inf .Inf .iNF 1 01 007 08 09.5 0777 0o17 0O17 0o8
0o777 -0o17 -017 0x1F 0X1f 0xg -0x1F 0b11 -0b11 +0b1 0b2 1_000 1__0 _1 1_ 0x_1 0_7 0b_1 1e1_0 1e3 1E3 1e+3
1e-3 1e 1.5e3 60.0 1e2 1. .5 -.5 +.5 .5_0 5_0.5 . .. - -- + 0o 0x -0 +0 -0.0 0.1 1.10 1e400 1e-400 1e20
1e21 12:30 12:30:00 190:20:30 9007199254740993 9223372036854775807 9223372036854775808
18446744073709551615 18446744073709551616 -9223372036854775808 -9223372036854775809 +9223372036854775808
89882110000000000001 0xFFFFFFFFFFFFFFFF 0xFFFFFFFFFFFFFFFFFF 123456789.5 16777217.0 2001-01-01 2001-1-1
2001-01-01T10:00:00Z 2026-11-24T10:00:00+02:00 10.0.0.1 1.2.3 1-2
"""
SCALARS = [
    *PLAIN.split(),
    *("2001-01-01 10:00:00", "!!str 1", "!!int 5", '!!int "5"', "!!int x", "!!int 1.5", "!!float 1"),
    *("!!bool yes", "!!bool x", "!!null ~", "!!null x", "!!binary aGk=", "!!binary x", "!!float x"),
    *(
        "!!timestamp 2001-01-01",
        "!!timestamp x",
        "!!timestamp 2001-02-30",
        "!foo 1",
        "! 1",
        "&a 1",
        "*a",
        "@a",
        "`a",
        "%a",
        "?a",
    ),
    *("-a", ":a", "a:b", "a#b", "a #b", "'it''s'", '"a\\nb"', '"\\x41"', '"\\/"', '"\\q"'),
    *("é", "a\tb", "a\t"),
    *("[a, b]", "[1, 2,]", "{a: 1}", "{{ parameters.x }}", '"{{ parameters.x }}"', "|\n  x\n", ">-\n  x\n"),
]
POSITIONS = {
    "a value": "a: {}\n",
    "a key": "{}: 1\n",
    "an item": "- {}\n",
    "in a flow mapping": "a: {{b: {}}}\n",
    "in a flow list": "a: [{}, 1]\n",
    "an explicit key": "? {}\n: 1\n",
    "in JSON": '{{"a": {}}}\n',
    "a document": "{}\n",
}
FILES = {
    "a merge before": b"base: &b {x: 1}\na:\n  <<: *b\n  x: 2\n",
    "a merge after": b"base: &b {x: 1}\na:\n  x: 2\n  <<: *b\n",
    "a merge of several": b"b: &b {x: 1}\nc: &c {x: 2, y: 3}\na: {<<: [*b, *c], z: 4}\n",
    "a merge of a text": b"a: {<<: x}\n",
    "a quoted merge": b"a: {'<<': {x: 1}}\n",
    "an anchor set again": b"a: &x 1\nb: &x 2\nc: *x\n",
    "an unknown alias": b"a: *x\n",
    "a node in itself": b"&a [*a]\n",
    "a key twice": b"a: 1\na: 2\n",
    "a null as a key": b"~: 1\n",
    "JSON": b'{"a": 60.0, "b": 1e2, "c": [null, true], "d": "\\u00e9\\/"}',
    "JSON with tabs": b'{\n\t"a":\t1,\n\t"b": {\t}\n}\n',
    "JSON with a huge number": b'{"a": 1e400}',
    "JSON with half a character": b'{"\\ud800": "a\\ud800b", "c": "\\ud83d\\ude00"}',
    "JSON with NaN": b'{"a": NaN}\n',
    "several JSON": b'{"a": 1}{"a": 2}\n{"a": 3}',
    "JSON, then YAML": b'{"a": 1}\n---\nb: 2\n',
    "a list in JSON": b"[1, 2]",
    "tabs before a value": b"a:\t1\t# one\nb: [1,\t2]\n",
    "tabs as an indent": b"a:\n\tb: 1\n",
    "a UTF-8 mark": b"\xef\xbb\xbfa: 1\n",
    "UTF-16, little": "a: é\n".encode("utf-16"),
    "UTF-16, big": b"\xfe\xff" + "a: é\n".encode("utf-16-be"),
    "UTF-16 without a mark": "a: 1\n".encode("utf-16-le"),
    "Latin-1": "a: é\n".encode("latin-1"),
    "CRLF": b"a: 1\r\nb: |\r\n  x\r\n  y\r\n---\r\nc: 2\r\n",
    "a null byte": b"a: \0\n",
    "a control character": b"a: b\x07\n",
    "nothing": b"",
    "comments only": b"# a\n---\n# b\n---\na: 1\n---\n# c\n",
    "separators only": b"---\n---\n---\n",
    "a comment after a separator": b"a: 1\n--- # two\nb: 2\n",
    "a text after a separator": b"a: 1\n--- b\n",
    "a longer separator": b"a: 1\n----\nb: 2\n",
    "a separator within a text": b"a: |\n  x\n  ---\n  y\n",
    "an end of a document": b"a: 1\n...\nb: 2\n",
    "a directive": b"%YAML 1.1\n---\na: 1\n",
    "a null document": b"~\n---\na: 1\n",
    "no line end": b"a: 1\n---\nb: 2",
    "a text of several lines": b"a: x\n  y\n\n  z\nb: 'c\n  d'\n",
}
ALPHABET = "0123456789_+-.eExXoObByYnN~=aT:"


@pytest.fixture(scope="module")
def kubectl_reads():
    return KubectlReader()


def ours(file):
    try:
        return [document.value for document in read(decoded(file))]
    except UnreadableError:
        return None


def text(documents):
    """Documents in one form: numbers as they are sent, keys in order."""
    return json.dumps(documents, sort_keys=True) if documents is not None else None


def differences(kubectl_reads, files):
    return [
        f"{file!r}: kubectl reads {text(theirs)}, check {text(mine)}"
        for file, theirs in zip(files, kubectl_reads(files), strict=True)
        if text(mine := ours(file)) != text(theirs)
    ]


@pytest.mark.parametrize("position", POSITIONS.values(), ids=POSITIONS.keys())
def test_each_form_of_a_scalar_is_read_as_by_kubectl(kubectl_reads, position):
    assert not differences(kubectl_reads, [position.format(scalar).encode() for scalar in SCALARS])


def test_streams_merges_encodings_and_json_are_read_as_by_kubectl(kubectl_reads):
    assert not differences(kubectl_reads, list(FILES.values()))


def test_random_scalars_are_read_as_by_kubectl_as_values_and_keys(kubectl_reads):
    generator = random.Random(36)  # noqa: S311 - a corpus, no secret
    drawn = ["".join(generator.choices(ALPHABET, k=generator.randint(1, 8))) for _ in range(3000)]
    files = [form.format(scalar).encode() for scalar in drawn for form in ("a: {}\n", "{}: 1\n")]

    assert not differences(kubectl_reads, files)
