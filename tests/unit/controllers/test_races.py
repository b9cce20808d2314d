"""Whoever interferes at whatever point: one side wins, no engine acts twice or too early, nothing is left.

At every point before and after every write of an undisturbed scenario, with watches that tell at once or lag.
"""

import pytest
from tests.unit.controllers.scenarios import PROMPT, is_sound
from tests.unit.controllers.simulation import Simulation
from tests.unit.domain.builders import T, at, nap

from lcm_operator.api.storage import rfc3339
from lcm_operator.kube.errors import NotFoundError, RejectedError

ALL = [("one", 1, 1), ("two", 1, 1), ("three", 1, 1)]
LATER = at(600)


class Interference:
    """Does something once and remembers whether the API server took it."""

    def __init__(self, does):
        self._does = does
        self.taken = False

    def __call__(self, api):
        try:
            self._does(api)
        except (RejectedError, NotFoundError):
            return
        self.taken = True


def variants(does, prompt, **how):
    """Yield a finished simulation for each point at which `does` can be done, and whether it was taken."""
    undisturbed = Simulation(prompt=prompt, **how).run()
    for point in range(1, undisturbed.points + 1):
        interference = Interference(does)
        simulation = Simulation(prompt=prompt, interfere=(point, interference), **how).run()
        assert is_sound(simulation), point
        yield point, simulation, interference.taken


def left(simulation):
    return [
        raw["metadata"]["name"] for plural in ("trialengines", "pods") for raw in simulation.api.all(plural)
    ]


def both(outcomes):
    """Check that each side has won at least once: else the test has not tried the race."""
    assert set(outcomes) == {True, False}


@pytest.mark.parametrize("prompt", PROMPT)
def test_rescheduled_trial_starts_once_at_the_old_or_the_new_start_time(prompt):
    outcomes = []
    for point, simulation, taken in variants(
        lambda api: api.edit("trials", "example", startTime=rfc3339(LATER)), prompt
    ):
        assert simulation.acts == ALL, point
        assert simulation.outcome()["phase"] == "Succeeded", point
        assert min(simulation.act_times) >= (LATER if taken else T), point
        assert max(simulation.act_times) < (at(720) if taken else LATER), point
        outcomes.append(taken)
    both(outcomes)


@pytest.mark.parametrize("prompt", PROMPT)
def test_a_trial_that_is_suspended_either_never_acts_or_has_started(prompt):
    outcomes = []
    for point, simulation, taken in variants(lambda api: api.edit("trials", "example", suspend=True), prompt):
        assert simulation.acts == ([] if taken else ALL), point
        assert simulation.outcome()["phase"] == ("Missed" if taken else "Succeeded"), point
        assert left(simulation) == ([] if taken else ["example", "example-1"]), point
        outcomes.append(taken)
    both(outcomes)


@pytest.mark.parametrize("prompt", PROMPT)
def test_a_trial_whose_plan_is_edited_runs_one_plan_or_the_other_as_a_whole(prompt):
    other = [nap("one"), nap("two"), nap("three", stateName="Edited")]
    for point, simulation, _ in variants(lambda api: api.edit("trials", "example", activities=other), prompt):
        assert simulation.acts == ALL, point
        assert simulation.outcome()["phase"] == "Succeeded", point


@pytest.mark.parametrize("prompt", PROMPT)
def test_of_a_trial_that_is_deleted_nothing_is_left(prompt):
    for point, simulation, taken in variants(lambda api: api.delete("trials", "example"), prompt):
        assert taken, point
        assert simulation.acts == ALL[: len(simulation.acts)], point
        assert left(simulation) == [], point


@pytest.mark.parametrize("prompt", PROMPT)
@pytest.mark.parametrize(
    "delete",
    [
        pytest.param(lambda api: api.delete("trials", "example"), id="trial"),
        pytest.param(lambda api: api.delete("trialengines", "example"), id="engine"),
    ],
)
def test_begun_plan_is_released_once_whenever_its_end_comes_by_deleting_the(delete, prompt):
    for point, simulation, _ in variants(delete, prompt, finally_=("free",)):
        acts = [activity for activity, _, _ in simulation.acts]
        assert acts.count("free") == (1 if simulation.begun else 0), point
        assert acts[-1:] == (["free"] if simulation.begun else []), point


def recreate(api):
    """Delete the Trial and create it again at once, with a later start time."""
    api.delete("trials", "example")
    api.create(
        "trials",
        {
            "metadata": {"name": "example"},
            "spec": {
                "startTime": rfc3339(LATER),
                "activities": [nap(name) for name in ("one", "two", "three")],
            },
            "status": {},
        },
    )


@pytest.mark.parametrize("prompt", PROMPT)
def test_a_trial_that_is_re_created_at_once_is_a_trial_of_its_own(prompt):
    undisturbed = Simulation(prompt=prompt).run()
    for point in range(1, undisturbed.points + 1):
        simulation = Simulation(prompt=prompt, interfere=(point, recreate)).run()
        late = [act for act, when in zip(simulation.acts, simulation.act_times, strict=True) if when >= LATER]
        early = [act for act, when in zip(simulation.acts, simulation.act_times, strict=True) if when < LATER]
        assert late == ALL, point
        assert early == ALL[: len(early)], point
        assert simulation.outcome()["phase"] == "Succeeded", point
        assert left(simulation) == ["example", "example-1"], point


def delete_pod(api):
    """Delete the pod of the first attempt, as a person or a drain does."""
    api.delete("pods", "example-1")


@pytest.mark.parametrize("prompt", PROMPT)
def test_a_pod_that_is_deleted_is_never_replaced_without_being_asked(prompt):
    for point, simulation, taken in variants(delete_pod, prompt):
        assert [attempt for attempt, _ in simulation.grants] == [1], point
        assert simulation.acts == ALL[: len(simulation.acts)], point
        expected = {"Succeeded"} if not taken else {"Succeeded", "Failed"}
        assert simulation.outcome()["phase"] in expected, point


@pytest.mark.parametrize("prompt", PROMPT)
def test_deleted_engine_that_was_started_is_never_started_again(prompt):
    for point, simulation, taken in variants(lambda api: api.delete("trialengines", "example"), prompt):
        phase = simulation.outcome()["phase"]
        if not taken:
            assert (phase, simulation.acts) == ("Succeeded", ALL), point
        assert phase in ("Succeeded", "Failed", "Cancelled"), point
        assert simulation.acts == ALL[: len(simulation.acts)], point
        assert len(simulation.grants) <= 1, point


def replace_engine(api):
    """Put another TrialEngine in the place of the first, finalizers or not."""
    engine = api.get("trialengines", "example")
    api.remove("trialengines", "example")
    kept = ("name", "labels", "finalizers", "ownerReferences")
    metadata = {key: engine["metadata"][key] for key in kept if key in engine["metadata"]}
    api.create("trialengines", {"metadata": metadata, "spec": engine["spec"], "status": {}})


@pytest.mark.parametrize("prompt", PROMPT)
def test_replaced_engine_is_never_started_after_its_forerunner_was(prompt):
    for point, simulation, taken in variants(replace_engine, prompt):
        phase = simulation.outcome()["phase"]
        assert phase in (("Succeeded", "Failed", "Cancelled") if taken else ("Succeeded",)), point
        assert simulation.acts == ALL[: len(simulation.acts)], point
        assert len(simulation.grants) <= 1, point


def stray_pod(api):
    """Create the granted pod once more after it has gone, as a leader that was stopped for long does."""
    pod = api.get("pods", "example-1")
    if not api.get("trialengines", "example").get("status", {}).get("podRef"):
        raise RejectedError(403, "Forbidden", "only after the grant")
    api.remove_by_force("example-1")
    kept = ("name", "labels", "ownerReferences")
    metadata = {key: pod["metadata"][key] for key in kept}
    api.create("pods", {"metadata": metadata, "spec": pod["spec"]})


@pytest.mark.parametrize("prompt", PROMPT)
def test_a_pod_that_takes_the_place_of_the_granted_one_never_acts(prompt):
    for point, simulation, taken in variants(stray_pod, prompt):
        strays = [uid for uid, name in simulation.pods.items() if name == "example-1"][1:]
        assert bool(strays) is taken, point
        assert not {uid for _, uid in simulation.grants} & set(strays), point
        assert simulation.outcome()["phase"] == "Succeeded", point


def removed_by_force(api):
    """Remove the pod as `kubectl delete --force` and the pod garbage collector do; its engine continues."""
    if not api.get("trialengines", "example").get("status", {}).get("podRef"):
        raise RejectedError(403, "Forbidden", "only after the grant")
    api.remove_by_force("example-1")


@pytest.mark.parametrize("prompt", PROMPT)
def test_a_pod_removed_by_force_is_restored_once_its_engine_can_not_act(prompt):
    """The simulation itself watches that no two attempts act at a time."""
    outcomes = []
    for point, simulation, _ in variants(removed_by_force, prompt):
        assert simulation.outcome()["phase"] == "Succeeded", point
        assert list(dict.fromkeys(name for name, _, _ in simulation.acts)) == ["one", "two", "three"], point
        outcomes.append(len(simulation.grants) == 2)
        reasons = [reason for _, reason, *_ in simulation.outcome()["attempts"]]
        assert reasons == ["Start", "Disruption"][: len(simulation.grants)], point
    both(outcomes)


@pytest.mark.parametrize("prompt", PROMPT)
def test_a_restore_by_a_person_waits_for_an_engine_removed_by_force(prompt):
    def removed_and_asked(api):
        removed_by_force(api)
        api.edit("trials", "example", annotations={"lcm.5gdrones.eu/restore": "r1"})

    for point, simulation, taken in variants(removed_and_asked, prompt):
        assert simulation.outcome()["phase"] == "Succeeded", point
        assert not taken or simulation.outcome()["restored"] == ("r1", "Done"), point


@pytest.mark.parametrize("prompt", PROMPT)
def test_a_release_waits_for_an_engine_removed_by_force(prompt):
    def removed_and_deleted(api):
        removed_by_force(api)
        api.edit("trials", "example", annotations={"lcm.5gdrones.eu/delete": "d1"})

    for point, simulation, taken in variants(removed_and_deleted, prompt, finally_=("free",)):
        if taken:
            assert [act[0] for act in simulation.acts].count("free") == (1 if simulation.begun else 0), point
            assert simulation.outcome()["phase"] in ("Cancelled", "Succeeded"), point


@pytest.mark.parametrize("prompt", PROMPT)
def test_a_restart_after_its_deadline_misses_a_trial_or_has_started_it(prompt):
    """The operator is killed at any point, and comes back an hour later."""
    undisturbed = Simulation(prompt=prompt).run()
    outcomes = []
    for point in range(1, undisturbed.points + 1):
        simulation = Simulation(prompt=prompt)
        simulation.kills = frozenset({point})
        simulation.away = at(1800)
        simulation.run()
        assert is_sound(simulation), point
        started = simulation.outcome()["phase"] == "Succeeded"
        assert simulation.acts == (ALL if started else []), point
        assert started or simulation.outcome()["phase"] == "Missed", point
        assert started or left(simulation) == [], point
        outcomes.append(started)
    both(outcomes)
