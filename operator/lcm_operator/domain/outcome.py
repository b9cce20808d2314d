"""What became of an attempt, judged by the checkpoint; the pod only says that no more will come. Pure."""

from dataclasses import dataclass

from lcm_operator.api import reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.domain.snapshot import Absent, Pod, Snapshot


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    succeeded: bool
    reason: str
    message: str


def judge(snapshot: Snapshot, engine: TrialEngine) -> Outcome | None:
    """Return the outcome of the current attempt, or None while it may still act.

    A pod that has ended counts only once the TrialEngine was read after that: the last checkpoint may be
    newer than what the watch has told so far.
    """
    spec, status = engine.spec, engine.status
    states = {activity.name: status.activity(activity.name) for activity in spec.activities}
    for activity in spec.activities:
        state = states[activity.name]
        if state.state == "Failed" and not activity.continue_on_error:
            return Outcome(
                succeeded=False,
                reason=reasons.ACTIVITY_FAILED,
                message=f"activity {activity.name} failed: {state.message}",
            )
    if all(state.state in ("Succeeded", "Skipped", "Failed") for state in states.values()):
        return Outcome(succeeded=True, reason=reasons.COMPLETED, message="the plan has been worked through")
    pod = snapshot.pod
    if isinstance(pod, Absent) and snapshot.engine_read_after_end:
        return Outcome(succeeded=False, reason=reasons.ENGINE_ENDED, message=f"pod {pod.name} is gone")
    if isinstance(pod, Pod) and pod.ended and snapshot.engine_read_after_end:
        how = f"exit code {pod.exit_code}" if pod.exit_code is not None else "no exit code"
        message = f"pod {pod.name} ended before the plan did ({how})"
        detail = f": {pod.message}" if pod.message else ""
        return Outcome(succeeded=False, reason=reasons.ENGINE_ENDED, message=message + detail)
    return None


def progress(engine: TrialEngine) -> str:
    """Return how many activities are through, as `3/5`."""
    through = sum(
        engine.status.activity(activity.name).state in ("Succeeded", "Skipped")
        for activity in engine.spec.activities
    )
    return f"{through}/{len(engine.spec.activities)}"
