"""The CRDs themselves, as the API server sees them: structural, established, and small enough for kubectl."""

import json

import pytest

from devcluster.cluster.layout import REPOSITORY

KINDS = ("trials", "trialengines", "trialplans", "trialregistries")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_served_and_structural(cluster, kind):
    read = cluster.kubectl("get", "crd", f"{kind}.lcm.5gdrones.eu", "-o", "json").stdout
    conditions = {found["type"]: found["status"] for found in json.loads(read)["status"]["conditions"]}

    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize("kind", KINDS)
def test_kubectl_applies_a_manifest_from_its_side(cluster, kind):
    file = REPOSITORY / "deploy" / "crds" / f"{kind}.yaml"

    done = cluster.kubectl("apply", "--dry-run=server", f"--filename={file}")

    assert f"{kind}.lcm.5gdrones.eu" in done.stdout


def test_kubectl_explains_a_field(cluster):
    explained = " ".join(cluster.kubectl("explain", "trial.spec.startingDeadlineSeconds").stdout.split())

    assert (
        "startingDeadlineSeconds is how late a trial may still start, in seconds; default 120." in explained
    )
