"""Requests to restore or remove an engine: they meet the very object that the sidecar has shown."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from tests.unit.rest.kube import Kube

from lcm_operator.api import names
from lcm_operator.rest.cache.view import ShownEngine
from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.rest.services.engines import Engines

SHOWN = ShownEngine("a", "uid-a", "a", None, datetime(2026, 11, 24, tzinfo=UTC), None)


class Showing(SimpleNamespace):
    """A view of one engine that never sees anything happen."""

    def engine(self, _trial_id):
        return SHOWN

    def engine_record(self, _name):
        return None

    async def until(self, _holds, _seconds):
        return False


def annotations(kube):
    return kube.api.get("trialengines", "a")["metadata"].get("annotations", {})


def refusal(asked):
    with pytest.raises(HttpRefusalError) as refused:
        asyncio.run(asked)
    return refused.value.status


@pytest.mark.parametrize(("what", "status"), [("restore", 404), ("remove", 400)])
def test_engine_made_again_under_the_same_name_is_left_alone(what, status):
    kube = Kube()
    kube.engine("a")
    kube.drop("trialengines", "a")
    kube.api.put("trialengines", kube.engine("b") | {"metadata": {"name": "a", "uid": "another"}})

    assert refusal(getattr(Engines(kube, Showing(), "lab"), what)("a")) == status
    assert not annotations(kube)


@pytest.mark.parametrize(
    ("what", "annotation"), [("restore", names.ANNOTATION_RESTORE), ("remove", names.ANNOTATION_DELETE)]
)
def test_request_survives_a_write_of_somebody_else(what, annotation):
    kube = Kube()
    kube.engine("a")
    kube.before_write.append(lambda: kube.api.merge_patch("trialengines", "a", {"metadata": {"labels": {}}}))

    assert refusal(getattr(Engines(kube, Showing(), "lab"), what)("a")) == 500  # nobody has answered
    assert annotation in annotations(kube)


@pytest.mark.parametrize(("what", "status"), [("restore", 404), ("remove", 400)])
def test_engine_that_was_just_deleted_is_unknown(what, status):
    assert refusal(getattr(Engines(Kube(), Showing(), "lab"), what)("a")) == status
