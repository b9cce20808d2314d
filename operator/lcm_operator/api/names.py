"""Names that are a contract: group, labels, annotations, and how objects are called after a trial ID.

Pure functions; used by operator, REST sidecar, registry import and tests.
"""

import hashlib
import re

GROUP = "lcm.5gdrones.eu"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

LABEL_TRIAL = f"{GROUP}/trial"
LABEL_ATTEMPT = f"{GROUP}/attempt"
ANNOTATION_RESTORE = f"{GROUP}/restore"
ANNOTATION_RESTORE_FROM = f"{GROUP}/restore-from"
ANNOTATION_DELETE = f"{GROUP}/delete"
FINALIZER_ENGINE = f"{GROUP}/engine"
"""Ours: held until the engine's pod has ended."""
FINALIZER_TIMER = f"{GROUP}/timer"
"""kopf's, for its timer on TrialEngines."""

ENGINE_SERVICE_ACCOUNT = "lcm-engine"
ENGINE_CONTAINER = "engine"
DEFAULT_PLAN = "default"

_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LOOKS_HASHED = re.compile(r"-[0-9a-f]{10}$")
_LONGEST_PLAIN = 50
_LONGEST_SLUG = 39


def slug(trial_id: str) -> str:
    """Return what of `trial_id` can stand in a name: at most 39 of a-z0-9 and single `-`, never empty.

    >>> slug("Ünder/Test 1")
    'nder-test-1'
    """
    dashed = re.sub(r"[^a-z0-9]+", "-", trial_id.lower())
    return dashed[:_LONGEST_SLUG].strip("-") or "trial"


def engine_name(trial_id: str) -> str:
    """Return the name of the TrialEngine of `trial_id`: the ID itself where it can be, else slug and hash.

    >>> engine_name("trial-1")
    'trial-1'
    >>> engine_name("Trial 1")
    'trial-1-bb654d8159'
    """
    plain = (
        len(trial_id) <= _LONGEST_PLAIN
        and _DNS_LABEL.fullmatch(trial_id) is not None
        and _LOOKS_HASHED.search(trial_id) is None
    )
    return trial_id if plain else hashed_name(trial_id)


def hashed_name(trial_id: str) -> str:
    """Return slug + `-` + the first 10 hex digits of the ID's sha256."""
    digest = hashlib.sha256(trial_id.encode()).hexdigest()
    return f"{slug(trial_id)}-{digest[:10]}"


def pod_name(engine: str, attempt: int) -> str:
    """Return the name of the pod of one attempt."""
    return f"{engine}-{attempt}"
