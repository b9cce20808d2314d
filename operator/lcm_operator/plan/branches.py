"""Parallel branches of a plan: which activities run side by side, and which wait for which. Pure.

    deploy ─┬─> start ──> land ─┬─> release
            └─> measure ────────┘

A longest run of consecutive activities with `branch` is a block. Its branches run side by side, each in the
order of the list; the next activity without `branch` waits for all of them.

The order between activities is therefore partial. Whoever asks what comes before or after an activity asks
here, never the list alone.
"""

from collections.abc import Sequence

from lcm_operator.api.plan import Activity

Labels = Sequence[object]
"""The `branch` of each activity of a list, in order; None without one."""


def beside(labels: Labels, place: int) -> frozenset[int]:
    """Return the places of the activities that may run at the same time as the one at `place`."""
    if labels[place] is None:
        return frozenset()
    start = end = place
    while start > 0 and labels[start - 1] is not None:
        start -= 1
    while end < len(labels) and labels[end] is not None:
        end += 1
    return frozenset(other for other in range(start, end) if labels[other] != labels[place])


def blocks(activities: Sequence[Activity]) -> list[list[list[Activity]]]:
    """Return the activities as blocks in their order, each a list of its branches.

    An activity without `branch` is a block of its own.
    """
    found: list[list[list[Activity]]] = []
    branches: dict[str, list[Activity]] = {}
    for activity in activities:
        if activity.branch is None:
            branches = {}
            found.append([[activity]])
        elif branches:
            if activity.branch not in branches:
                found[-1].append(branches.setdefault(activity.branch, []))
            branches[activity.branch].append(activity)
        else:
            branches[activity.branch] = [activity]
            found.append([branches[activity.branch]])
    return found


def siblings(activities: Sequence[Activity], name: str) -> tuple[Activity, ...]:
    """Return the activities that may run at the same time as the activity `name`."""
    labels, place = _located(activities, name)
    return tuple(activities[other] for other in sorted(beside(labels, place)))


def preceding(activities: Sequence[Activity], name: str) -> tuple[Activity, ...]:
    """Return the activities that must have passed before the activity `name` begins, in order."""
    labels, place = _located(activities, name)
    parallel = beside(labels, place)
    return tuple(each for other, each in enumerate(activities[:place]) if other not in parallel)


def following(activities: Sequence[Activity], name: str) -> tuple[Activity, ...]:
    """Return the activities that begin only after the activity `name` has passed, in order."""
    labels, place = _located(activities, name)
    parallel = beside(labels, place)
    later = range(place + 1, len(activities))
    return tuple(activities[other] for other in later if other not in parallel)


def _located(activities: Sequence[Activity], name: str) -> tuple[Labels, int]:
    labels = [activity.branch for activity in activities]
    return labels, next(place for place, each in enumerate(activities) if each.name == name)
