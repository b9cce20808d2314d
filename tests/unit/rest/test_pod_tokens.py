"""An engine's pod shows its own token: what Kubernetes has to say about it, and for which trial it counts."""

import pytest
from tests.unit.rest.harness import run
from tests.unit.rest.kube import Kube

from lcm_operator.rest.auth.pod_tokens import PodTokens

JWT = "eyJhbGciOi.eyJzdWIiOi.c2lnbmVk-_"
UID = "authentication.kubernetes.io/pod-uid"


def review(**changes):
    """Return what a TokenReview says of the token of the pod that is granted to the engine `a`."""
    user = {"username": "system:serviceaccount:lab:lcm-engine", "extra": {UID: ["pod-1"]}}
    return {"authenticated": True, "audiences": ["lcm-rest"], "user": user} | changes


def is_engine(kube, trial_id="a", token=JWT):
    return run(PodTokens(kube, "lab").engine(trial_id, (token,))) is not None


@pytest.fixture
def kube():
    made = Kube()
    made.engine("a", pod_uid="pod-1")
    made.engine("b", pod_uid="pod-2")
    made.reviews[JWT] = review()
    return made


def test_the_token_of_the_granted_pod_counts_for_its_own_trial_only(kube):
    assert [is_engine(kube, trial_id) for trial_id in ("a", "b", "c")] == [True, False, False]


def test_it_is_reviewed_for_our_audience_each_time(kube):
    is_engine(kube)
    is_engine(kube)

    assert kube.reviewed == [{"token": JWT, "audiences": ["lcm-rest"]}] * 2


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"authenticated": False, "error": "expired"}, id="it is not good"),
        pytest.param({}, id="nothing is said"),
        pytest.param(review(audiences=["https://kubernetes.default.svc"]), id="it is meant for another"),
        pytest.param(review(audiences=[]), id="the audience was not looked at"),
        pytest.param(
            review(user={"username": "system:serviceaccount:other:lcm-engine", "extra": {UID: ["pod-1"]}}),
            id="it is of another namespace",
        ),
        pytest.param(
            review(user={"username": "system:serviceaccount:lab:default", "extra": {UID: ["pod-1"]}}),
            id="it is another account's",
        ),
        pytest.param(
            review(user={"username": "system:serviceaccount:lab:lcm-engine", "extra": {UID: ["pod-0"]}}),
            id="it is of an earlier pod",
        ),
        pytest.param(review(user={"username": "system:serviceaccount:lab:lcm-engine"}), id="it is no pod's"),
    ],
)
def test_what_kubernetes_says_otherwise_does_not_count(kube, said):
    kube.reviews[JWT] = said

    assert not is_engine(kube)


def test_an_engine_without_a_granted_pod_knows_no_token(kube):
    kube.engine("a")

    assert not is_engine(kube)


@pytest.mark.parametrize("token", ["", "key", "a.b", "a.b.c.d", "a.b.c ", "ä.b.c"])
def test_what_is_no_token_of_a_pod_is_not_reviewed(kube, token):
    assert not is_engine(kube, token=token)
    assert kube.reviewed == []
