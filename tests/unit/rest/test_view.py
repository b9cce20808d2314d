"""The view: what lists, watches and our own writes make of it, in any order."""

import pytest

from lcm_operator.kube.follow import Changed, Deleted, Listed, Listing
from lcm_operator.kube.listing import Head
from lcm_operator.rest.cache.records import engine_of, trial_of
from lcm_operator.rest.cache.view import View

TIME = "2031-01-01T08:00:00Z"


def trial(name="a", version=1, *, engine="", uid=""):
    started = {"startedTime": TIME, "engineRef": {"name": name, "uid": engine}} if engine else {}
    metadata = {"name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return trial_of({"metadata": metadata, "spec": {"startTime": TIME}, "status": started})


def engine(name="a", version=2, uid="engine-1"):
    metadata = {"name": name, "uid": uid, "resourceVersion": str(version)}
    spec = {"trialID": name, "trialUID": f"uid-{name}", "startTime": TIME}
    return engine_of({"metadata": metadata, "spec": spec, "status": {"attempt": 1, "podRef": {}}})


def changed(viewed):
    return Changed(Head(name=viewed.name, uid=viewed.uid, resource_version=str(viewed.version)), viewed)


@pytest.fixture
def view():
    filled = View()
    filled.put_trial(trial(engine="engine-1"))
    filled.put_engine(engine())
    return filled


def test_what_a_list_lacks_is_dropped(view):
    view.take_trial(Listing())
    view.take_trial(changed(trial("b", 7)))
    view.take_trial(Listed(frozenset({"uid-b"}), "9"))
    assert view.trial_ids() == {"b"}


def test_trial_that_was_created_while_a_list_was_under_way_stays(view):
    view.take_trial(Listing())
    view.put_trial(trial("ours", 12))
    view.take_trial(Listed(frozenset({"uid-a"}), "9"))
    assert view.trial_ids() == {"a", "ours"}


def test_engine_that_a_list_lacks_is_gone_though_never_seen():
    view = View()
    view.put_trial(trial(engine="engine-1"))
    assert view.engine("a") is not None
    view.take_engine(Listing())
    view.take_engine(Listed(frozenset(), "9"))
    assert view.engine("a") is None


def test_engine_of_a_trial_that_starts_while_engines_are_listed_stays():
    view = View()
    view.put_trial(trial())
    view.take_engine(Listing())
    view.put_trial(trial(version=12, engine="engine-1"))
    view.take_engine(Listed(frozenset(), "9"))
    assert view.engine("a") is not None


def test_late_event_does_not_bring_a_deleted_engine_back(view):
    view.take_engine(Deleted(Head(name="a", uid="engine-1", resource_version="8")))
    view.take_engine(changed(engine(version=7)))
    assert view.engine("a") is None


def test_trial_of_the_same_name_takes_the_place_of_the_first(view):
    view.put_trial(trial(version=8, uid="uid-2"))
    view.take_trial(Deleted(Head(name="a", uid="uid-a", resource_version="9")))
    assert view.trial("a").uid == "uid-2"
    assert view.trial_ids() == {"a"}
