"""Callback tokens: where they are stored, whom they admit, and when they end."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.rest.harness import run
from tests.unit.rest.kube import Kube

from lcm_operator.kube.errors import ConflictError
from lcm_operator.rest.auth.tokens import LIFETIME, MOST_PER_TRIAL, CallbackTokens
from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.rest.state import MOST, NAME, SidecarState

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


class Harness:
    """An API server, a clock, and any number of sidecars."""

    def __init__(self):
        self.kube = Kube()
        self.now = NOW
        self.tokens = self.sidecar()

    def sidecar(self):
        return CallbackTokens(self.kube, "lab", SidecarState(self.kube, "lab"), lambda: self.now)

    def issue(self, trial_id, times=1):
        async def scenario():
            found = []
            for _ in range(times):
                self.now += timedelta(seconds=1)
                found.append(await self.tokens.issue(trial_id))
            return found

        return run(scenario())

    def holds(self, trial_id, *tokens):
        async def scenario():
            partners = [await self.sidecar().partner(trial_id, (token,)) for token in tokens]
            return [partner is not None for partner in partners]

        return run(scenario())

    @property
    def noted(self):
        raw = self.kube.objects.get(("configmaps", NAME))
        return json.loads(raw["data"]["tokens"]) if raw else []

    def on_engine(self, name):
        return self.kube.objects["trialengines", name]["status"]["callbackTokens"]


@pytest.fixture
def harness():
    return Harness()


def engine_exists(harness):
    harness.kube.engine("a")


def nothing_exists(_harness):
    pass


@pytest.fixture(params=[nothing_exists, engine_exists], ids=["without an engine", "with an engine"])
def either(harness, request):
    request.param(harness)
    return harness


def test_a_token_is_good_for_its_trial_only_in_every_sidecar(either):
    (token,) = either.issue("a")

    assert either.holds("a", token) == [True]
    assert either.holds("b", token) == [False]
    assert either.holds("A", token) == [False]


@pytest.mark.parametrize("other", ["", "x", "x" * 43, "ü" * 43], ids=["empty", "short", "made up", "odd"])
def test_anything_else_is_no_token(either, other):
    either.issue("a")

    assert either.holds("a", other) == [False]


def test_tokens_hold_256_random_bits(harness):
    found = harness.issue("a", times=MOST_PER_TRIAL)

    assert len(set(found)) == MOST_PER_TRIAL
    assert {len(token) for token in found} == {43}


def test_a_token_is_stored_as_a_hash(either):
    (token,) = either.issue("a")
    everything = json.dumps([*either.kube.objects.values()])

    assert hashlib.sha256(token.encode()).hexdigest() in everything
    assert token not in everything


def test_a_token_ends_after_thirty_days(either):
    (token,) = either.issue("a")

    either.now += LIFETIME - timedelta(seconds=1)
    assert either.holds("a", token) == [True]
    either.now += timedelta(seconds=1)
    assert either.holds("a", token) == [False]


def test_a_revoked_token_ends_and_no_other_one(either):
    first, second = either.issue("a", times=2)
    run(either.tokens.revoke("a", first))

    assert either.holds("a", first, second) == [False, True]


def test_token_issued_before_its_engine_exists_stays_valid_and_revocable(harness):
    early, other = harness.issue("a", times=2)
    harness.kube.engine("a")
    (late,) = harness.issue("a")

    assert harness.holds("a", early, other, late) == [True, True, True]
    run(harness.tokens.revoke("a", early))
    assert harness.holds("a", early, other, late) == [False, True, True]


def test_the_ninth_token_of_a_trial_ends_the_oldest(either):
    found = either.issue("a", times=MOST_PER_TRIAL + 2)

    assert either.holds("a", *found) == [False] * 2 + [True] * MOST_PER_TRIAL


def test_the_ninth_ends_the_oldest_also_where_they_are_in_two_places(harness):
    early = harness.issue("a", times=6)
    others = harness.issue("b", times=6)
    harness.kube.engine("a")
    late = harness.issue("a", times=4)

    assert harness.holds("a", *early, *late) == [False] * 2 + [True] * 8
    assert harness.holds("b", *others) == [True] * 6


def test_expired_tokens_do_not_count_and_go(either):
    old = either.issue("a", times=MOST_PER_TRIAL)
    either.now += LIFETIME
    new = either.issue("a", times=2)

    assert either.holds("a", *old, *new) == [False] * MOST_PER_TRIAL + [True] * 2
    assert len(either.noted) + len(either.on_engine("a") if either.noted == [] else []) == 2


def test_thousand_tokens_are_kept_and_the_next_is_refused_until_some_expire(harness):
    stands = (NOW + timedelta(days=1)).isoformat()
    harness.kube.put(
        "configmaps",
        NAME,
        data={
            "tokens": json.dumps(
                [{"trial": f"{n}", "hash": f"{n}", "expirationTime": stands} for n in range(MOST)]
            )
        },
    )

    with pytest.raises(HttpRefusalError) as raised:
        harness.issue("a")
    assert (raised.value.status, "Too many callback tokens" in raised.value.detail) == (400, True)
    assert len(harness.noted) == MOST
    harness.now += timedelta(days=1)
    (token,) = harness.issue("a")
    assert harness.holds("a", token) == [True]
    assert len(harness.noted) == 1


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param({"attempt": 0}, id="it may be armed anew"),
        pytest.param({"deleting": True}, id="it is being deleted"),
        pytest.param({"trial_id": "other"}, id="it is another trial's"),
    ],
)
def test_an_engine_that_may_not_stay_is_given_no_tokens(harness, engine):
    harness.kube.engine("a", **engine)
    (token,) = harness.issue("a")

    assert harness.on_engine("a") == []
    assert harness.holds("a", token) == [True]


def test_an_engine_of_another_trial_that_has_the_same_name_lends_no_tokens(harness):
    harness.kube.engine("a")
    (token,) = harness.issue("a")
    harness.kube.objects["trialengines", "a"]["spec"]["trialID"] = "other"

    assert harness.holds("a", token) == [False]


def test_an_engine_that_saves_its_checkpoint_meanwhile_costs_no_token(harness):
    harness.kube.engine("a")
    (first,) = harness.issue("a")

    def save():
        status = harness.kube.objects["trialengines", "a"]["status"] | {"values": {"kpiLabel": "Idle"}}
        raw = harness.kube.objects["trialengines", "a"]
        harness.kube.put("trialengines", "a", metadata=raw["metadata"], spec=raw["spec"], status=status)

    harness.kube.before_write = [save, save]
    (second,) = harness.issue("a")

    assert harness.holds("a", first, second) == [True, True]
    assert harness.kube.objects["trialengines", "a"]["status"]["values"] == {"kpiLabel": "Idle"}


def test_an_engine_that_is_deleted_while_its_token_is_issued_costs_no_token(harness):
    harness.kube.engine("a")
    harness.kube.before_write = [lambda: harness.kube.drop("trialengines", "a")]
    (token,) = harness.issue("a")

    assert harness.holds("a", token) == [True]


def test_an_engine_that_never_stops_changing_is_reported_as_such(harness):
    harness.kube.engine("a")
    harness.kube.before_write = [lambda: harness.kube.engine("a")] * 100

    with pytest.raises(ConflictError, match="TrialEngine a is being changed too often"):
        harness.issue("a")
