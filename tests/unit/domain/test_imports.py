"""What follows from a registry's list, and what is remembered of what was imported."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.unit.domain.builders import T, at, trial

from lcm_operator.api import conditions
from lcm_operator.api.conditions import ConditionUpdate
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.storage import parse
from lcm_operator.api.trial import Trial
from lcm_operator.domain import imports

NOW = at(-3600)
SOON, LATER = at(0), at(600)


def registry(*, ignored: tuple[str, ...] = (), imports: tuple[str, ...] = (), **spec: Any) -> TrialRegistry:
    status = {"ignored": ignored, "imports": imports}
    wanted = {"url": "http://registry", "import": "All"} | spec
    return parse({"metadata": {"name": "default"}, "spec": wanted, "status": status}, TrialRegistry)


def imported(trial_id: str, *, status: dict[str, Any] | None = None, **more: Any) -> Trial:
    annotations = {"lcm.5gdrones.eu/imported-by": "default"} | more.pop("annotations", {})
    return known(trial_id, annotations=annotations, status=status, **more)


def known(trial_id: str, *, status: dict[str, Any] | None = None, **more: Any) -> Trial:
    made = trial(name=trial_id, uid=trial_id, startTime=None, registryRef={"name": "default"}, **more)
    fields = {"start_time": SOON} | (status or {})
    return msgspec.structs.replace(made, status=msgspec.structs.replace(made.status, **fields))


def over(reason: str = "Missed") -> dict[str, Any]:
    made = conditions.with_condition((), ConditionUpdate("Succeeded", "False", reason), T)
    return {"conditions": made}


def compare(of: TrialRegistry, times: dict[str, datetime], *trials: Trial) -> imports.Changes:
    return imports.compare(of, times, trials, NOW)


def names(found: tuple[Trial, ...]) -> list[str]:
    return [each.metadata.name for each in found]


# --- moves, resumptions, look-ups


def test_a_trial_that_the_list_has_at_another_time_is_moved():
    changes = compare(registry(), {"a": LATER, "b": SOON}, known("a"), known("b"))

    assert (names(changes.moved), names(changes.lacking)) == (["a"], [])


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        pytest.param(known("a"), True, id="waits for its start"),
        pytest.param(imported("a"), True, id="was imported"),
        pytest.param(known("a", status={"started_time": T}), False, id="has started"),
        pytest.param(known("a", status=over()), False, id="is over"),
        pytest.param(known("a", deleted=True), False, id="is being deleted"),
        pytest.param(
            trial(name="a", registryRef={"name": "other"}, startTime=None), False, id="is another's"
        ),
        pytest.param(trial(name="a"), False, id="has a start time of its own"),
    ],
)
def test_a_trial_that_the_list_lacks_is_asked_for_if_it(found, lacks):
    assert names(compare(registry(), {}, found).lacking) == (["a"] if lacks else [])


def test_a_trial_that_had_vanished_is_resumed_when_it_is_listed_again():
    vanished = {"lcm.5gdrones.eu/vanished": "2026-11-24T09:00:00Z"}
    held = imported("a", suspend=True, annotations=vanished)
    resumed_by_a_person = imported("b", annotations=vanished)

    changes = compare(registry(), {"a": SOON, "b": SOON}, held, resumed_by_a_person)

    assert names(changes.resumed) == ["a", "b"]
    assert imports.resumption(held)["spec"] == {"suspend": False}
    assert "spec" not in imports.resumption(resumed_by_a_person)


@pytest.mark.parametrize(
    ("found", "policy", "suspends"),
    [
        pytest.param(imported("a"), "Suspend", True, id="an imported one"),
        pytest.param(imported("a"), "Keep", False, id="none where they are to be kept"),
        pytest.param(known("a"), "Suspend", False, id="none that was made by hand"),
        pytest.param(imported("a", status={"started_time": T}), "Suspend", False, id="none that has started"),
        pytest.param(
            imported("a", annotations={"lcm.5gdrones.eu/vanished": "x"}), "Suspend", False, id="none twice"
        ),
    ],
)
def test_of_those_that_have_vanished_is_suspended(found, policy, suspends):
    assert (imports.suspension(registry(onVanished=policy), found, NOW) is not None) is suspends


def test_look_ups_take_turns_and_what_starts_soon_comes_first():
    waiting = [known(f"t{number}", status={"start_time": at(86400)}) for number in range(5)]
    soon = known("soon", status={"start_time": NOW + timedelta(seconds=30)})
    asked = {"t0": at(-50), "t1": at(-60), "soon": at(-40)}

    order = imports.next_look_ups([*waiting, soon], asked, NOW, timedelta(seconds=60))

    assert [each.metadata.name for each in order] == ["soon", "t2", "t3", "t4", "t1", "t0"]


# --- which of them are imported


def test_new_entries_that_are_not_ignored_are_imported_soonest_first():
    times = {"late": LATER, "past": at(-7200), "known": SOON, "ignored": SOON, "soon": SOON}

    changes = compare(registry(ignored=("ignored",)), times, known("known"))

    assert [trial_id for trial_id, _ in changes.wanted] == ["soon", "late"]


def test_nothing_is_imported_unless_it_is_to_be():
    changes = compare(registry(**{"import": "None"}), {"a": SOON})

    assert (changes.wanted, changes.beyond_limit) == ((), 0)


def test_the_limit_counts_imported_trials_that_wait_for_their_start():
    times = dict.fromkeys("abcd", SOON)
    waiting = imported("waiting")
    others = [imported("over", status=over()), imported("on", status={"started_time": T}), known("by-hand")]

    changes = compare(registry(importLimit=3), times, waiting, *others)

    assert ([trial_id for trial_id, _ in changes.wanted], changes.beyond_limit) == (["a", "b"], 2)


def entry(trial_id: str, start: datetime) -> str:
    (made,) = imports.noted({}, [(trial_id, start)])
    return made


def test_one_that_was_imported_and_is_gone_was_removed_by_somebody():
    imports = (entry("a", LATER),)

    changes = compare(registry(imports=imports), {"a": LATER, "b": LATER})

    assert (changes.removed, [trial_id for trial_id, _ in changes.wanted]) == (("a",), ["b"])


def test_one_that_was_deleted_is_not_imported_at_a_time_that_came_later():
    changes = compare(registry(imports=(entry("a", at(-7200)),)), {"a": LATER, "b": LATER})

    assert (changes.removed, [trial_id for trial_id, _ in changes.wanted]) == (("a",), ["b"])


def test_one_that_was_deleted_is_noticed_when_its_start_has_passed():
    changes = compare(registry(imports=(entry("a", at(-7200)),)), {"a": at(-7200), "b": at(-7200)})

    assert (changes.removed, changes.wanted) == (("a",), ())


def test_what_has_passed_takes_no_place_of_what_is_ignored():
    """More than are kept would change places with each list."""
    full = tuple(f"t{number}" for number in range(1000))
    imports = (entry("past", at(-7200)), entry("ahead", LATER))

    changes = compare(registry(ignored=full, imports=imports), {"past": at(-7200), "ahead": LATER})

    assert changes.removed == ("ahead",)


# --- what is remembered


def remember(of: TrialRegistry, *trials: Trial, made=(), times=None, complete=True) -> set[str]:
    return set(imports.remember(of, trials, made, times or {}, NOW, complete=complete))


def test_imports_are_remembered_until_their_start_and_the_list_lacks_them():
    before = registry(imports=(entry("gone", LATER), entry("passed", at(-7200))))

    after = remember(before, imported("there"), known("by-hand"), made=[("new", LATER)])

    assert after == {entry("gone", LATER), entry("there", SOON), entry("new", LATER)}


@pytest.mark.parametrize(
    ("trials", "times", "complete"),
    [
        pytest.param((), {"a": at(-7200)}, True, id="is still listed"),
        pytest.param((), {}, False, id="may be among what could not be read"),
        pytest.param((imported("a", status=over("Cancelled")),), {}, True, id="was cancelled"),
        pytest.param((imported("a", status=over()),), {}, True, id="was missed"),
    ],
)
def test_one_whose_start_has_passed_is_remembered_if_it(trials, times, complete):
    before = registry(imports=(entry("a", at(-7200)),))

    assert remember(before, *trials, times=times, complete=complete) == {entry("a", at(-7200))}


def test_one_that_has_started_is_forgotten():
    before = registry(imports=(entry("a", LATER),))

    assert remember(before, imported("a", status={"started_time": T}), times={"a": LATER}) == set()


CANCELLED, MISSED = over("Cancelled"), over("Missed")


@pytest.mark.parametrize(
    ("found", "when_gone", "when_kept_for_its_time"),
    [
        pytest.param(imported("a"), "Deleted", "Over", id="waits"),
        pytest.param(imported("a", status=CANCELLED), "Deleted", "Deleted", id="cancelled"),
        pytest.param(
            imported("a", status=CANCELLED | {"started_time": T}), "Deleted", "Deleted", id="stopped"
        ),
        pytest.param(imported("a", status=MISSED), "DeletedIfRemembered", "Over", id="missed"),
        pytest.param(imported("a", status={"started_time": T}), "Over", "Over", id="started"),
        pytest.param(known("a"), None, None, id="no import"),
    ],
)
def test_what_is_noted_of_a_trial_that_is_gone_or_removed(found, when_gone, when_kept_for_its_time):
    gone, expired = imports.removal(found), imports.expiry(found)

    assert (gone and gone.fate, expired and expired.fate) == (when_gone, when_kept_for_its_time)


@pytest.mark.parametrize(
    ("fate", "ignored", "left"),
    [
        ("Deleted", ("x", "a", "new"), {"a", "b"}),
        ("DeletedIfRemembered", ("x", "a"), {"a", "b"}),
        ("Over", ("x",), {"b"}),
    ],
)
def test_what_is_noted_of_imports(fate, ignored, left):
    before = registry(ignored=("x",), imports=(entry("a", SOON), entry("b", LATER))).status

    after = imports.with_notes(before, [imports.Note("a", fate), imports.Note("new", fate)])

    assert after.ignored == ignored
    assert imports.remembered(after.imports).keys() == {imports.digest(each) for each in left}


def test_a_note_that_says_nothing_new_changes_nothing():
    before = registry(ignored=("a", "b")).status

    assert imports.with_notes(before, [imports.Note("c", "Over")]) == before


def test_a_move_is_remembered_and_what_is_over_is_not():
    after = remember(registry(), imported("a"), imported("b", status=over()), times={"a": LATER})

    assert after == {entry("a", LATER)}


def test_one_that_somebody_has_scheduled_by_hand_is_forgotten():
    before = registry(imports=(entry("a", LATER),), ignored=("a", "b"))

    assert remember(before, known("a")) == set()
    assert imports.ignored(before.status.ignored, ("c",), [known("a")]) == ("b", "c")


def test_no_more_is_remembered_than_fits():
    many = {f"{number:012}": T + timedelta(seconds=number) for number in range(imports.MOST_REMEMBERED + 5)}

    kept = imports.noted(many, ())

    assert len(kept) == imports.MOST_REMEMBERED
    assert imports.remembered(kept).keys() == set(list(many)[5:])
    assert max(map(len, kept)) <= 32


@pytest.mark.parametrize("written", ["", "x", "x/", "x/-5", "x/12.5", "/", "x/99999999999999"])
def test_what_people_write_into_the_memory_is_passed_over(written):
    assert all(time > T for time in imports.remembered([written, entry("a", LATER)]).values())


# --- earlier versions


def test_finalizer_of_earlier_versions_is_removed_and_the_import_mark_stays():
    held = known("a")
    finalizers = ("lcm.5gdrones.eu/import", "other")
    held = msgspec.structs.replace(
        held, metadata=msgspec.structs.replace(held.metadata, finalizers=finalizers)
    )

    patch = imports.release(held)["metadata"]

    assert imports.is_imported(held)
    assert patch["finalizers"] == ["other"]
    assert patch["annotations"] == {"lcm.5gdrones.eu/imported-by": "default"}
