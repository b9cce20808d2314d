"""The end of a TrialEngine: what happens between its deletion and its disappearance. Pure.

A TrialEngine is held by our finalizer until its pod has ended, so that no engine acts for a trial that is
gone. Deleted by the owner's deletion (garbage collection), by us, or by a person.
"""

from datetime import datetime

from lcm_operator.api import names
from lcm_operator.api.engine import TrialEngine
from lcm_operator.domain.actions import Decision, DeletePod, LookUpPod, ReleaseEngine, act, wait
from lcm_operator.domain.snapshot import Pod, Snapshot


def decide_removal(snapshot: Snapshot, engine: TrialEngine, now: datetime) -> Decision:
    """Decide about a TrialEngine with a deletionTimestamp."""
    if names.FINALIZER_ENGINE not in engine.metadata.finalizers:
        return wait("the TrialEngine goes")
    pod = snapshot.pod
    if pod is None:
        name = names.pod_name(engine.metadata.name, max(engine.status.attempt, 1))
        return act(LookUpPod(engine.metadata.namespace, name))
    if isinstance(pod, Pod) and not pod.ended:
        if not pod.deleting:
            return act(DeletePod(engine.metadata.namespace, pod.name, pod.uid))
        return wait("the pod is ending", now + snapshot.settings.poll_ending_pod)
    return act(ReleaseEngine(engine))
