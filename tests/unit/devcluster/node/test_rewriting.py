"""Mount paths become real folders, at path boundaries only and in a single pass."""

# ruff: noqa: S108 - mount paths of made-up pods, nothing is written there

from pathlib import Path

import pytest

from devcluster.node.expansion import expand
from devcluster.node.rewriting import Rewriter

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
REWRITE = Rewriter(
    {
        "/tmp": Path("/tmp/node/pods/1/volumes/tmp"),
        "/tmp/cache/": Path("/tmp/node/pods/1/volumes/cache"),
        ACCOUNT: Path("/tmp/node/pods/1/volumes/account"),
        "/dev/termination-log": Path("/tmp/node/pods/1/containers/engine/termination-log"),
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("/tmp", "/tmp/node/pods/1/volumes/tmp", id="a mount path alone"),
        pytest.param("/tmp/x/y", "/tmp/node/pods/1/volumes/tmp/x/y", id="what lies below a mount path"),
        pytest.param("/tmp/", "/tmp/node/pods/1/volumes/tmp/", id="a slash at its end stays"),
        pytest.param("/tmp/cache/x", "/tmp/node/pods/1/volumes/cache/x", id="the longest mount path wins"),
        pytest.param(
            "/tmp/cached", "/tmp/node/pods/1/volumes/tmp/cached", id="a longer name is not the mount"
        ),
        pytest.param("/tmpfs/x", "/tmpfs/x", id="a name that begins alike stays"),
        pytest.param("/tmp.old", "/tmp.old", id="a name with an extension stays"),
        pytest.param("/tmp-1", "/tmp-1", id="a name with a dash stays"),
        pytest.param("/var/tmp", "/var/tmp", id="the end of another path stays"),
        pytest.param("http://host/tmp", "http://host/tmp", id="the path of a URL stays"),
        pytest.param("${HOME}/tmp", "${HOME}/tmp", id="a path below a variable stays"),
        pytest.param("../tmp", "../tmp", id="a relative path stays"),
        pytest.param(
            f"--dir={ACCOUNT}", "--dir=/tmp/node/pods/1/volumes/account", id="the value of an option"
        ),
        pytest.param(
            "/bin:/tmp:/usr/bin", "/bin:/tmp/node/pods/1/volumes/tmp:/usr/bin", id="an entry of a search path"
        ),
        pytest.param(
            'cat "/tmp/a" /tmp/b>/dev/termination-log',
            'cat "/tmp/node/pods/1/volumes/tmp/a" /tmp/node/pods/1/volumes/tmp/b'
            ">/tmp/node/pods/1/containers/engine/termination-log",
            id="each path of a script, none of them twice although the real folders lie below /tmp",
        ),
    ],
)
def test_a_text_is_rewritten(text, expected):
    assert REWRITE(text) == expected


def test_without_mounts_nothing_is_rewritten():
    assert Rewriter({})("/tmp") == "/tmp"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("$(A)$(B)", "12", id="known names are replaced"),
        pytest.param("$(C)", "$(C)", id="an unknown name stays"),
        pytest.param("$$(A)", "$(A)", id="a doubled dollar escapes"),
        pytest.param("$$$(A)", "$1", id="an escaped dollar before a reference"),
        pytest.param("$A ${A} $(A", "$A ${A} $(A", id="other forms are the shell's"),
        pytest.param("$(LOOP)", "$(A)", id="a value is not expanded again"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text, expected):
    assert expand(text, {"A": "1", "B": "2", "LOOP": "$(A)"}) == expected
