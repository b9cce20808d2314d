"""Names that are a contract: group, labels, annotations, and the object names of a trial ID. Pure."""

import itertools
import re
from collections.abc import Iterator

GROUP = "lcm.5gdrones.eu"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

LABEL_TRIAL = f"{GROUP}/trial"
LABEL_ATTEMPT = f"{GROUP}/attempt"
LABEL_IMPORTED_FROM = f"{GROUP}/imported-from"
"""On a Trial that `lcm import` created: which service it was imported from."""
ANNOTATION_RESTORE = f"{GROUP}/restore"
ANNOTATION_RESTORE_FROM = f"{GROUP}/restore-from"
ANNOTATION_RESTORE_PLAN = f"{GROUP}/restore-plan"
ANNOTATION_DELETE = f"{GROUP}/delete"
ANNOTATION_REGISTRY_START_TIME = f"{GROUP}/registry-start-time"
"""On a Trial with registryRef: the start time that its creator read; counts until status.startTime is set."""
ANNOTATION_REGISTRY_READ_TIME = f"{GROUP}/registry-read-time"
"""The time of that read, RFC 3339 in UTC with microseconds."""
ANNOTATION_IMPORTED_BY = f"{GROUP}/imported-by"
"""On an imported Trial: the name of the TrialRegistry."""
ANNOTATION_VANISHED = f"{GROUP}/vanished"
"""On an imported Trial: when the operator suspended it, as the registry no longer listed it."""
ANNOTATION_SYNC = f"{GROUP}/sync"
"""On a TrialRegistry: a request ID; the registry is asked at once."""
ANNOTATION_ORIGIN = f"{GROUP}/origin"
"""On a Secret: the scheme, host and port that it may be sent to."""
FINALIZER_IMPORT = f"{GROUP}/import"
"""Of earlier versions, on imported Trials; taken off wherever it is found."""
FINALIZER_ENGINE = f"{GROUP}/engine"
"""On a TrialEngine, from just before the latch until its `finally` is no longer owed."""
FINALIZER_TIMER = f"{GROUP}/timer"
"""kopf's, for its timer on TrialEngines."""

ENGINE_SERVICE_ACCOUNT = "lcm-engine"
ENGINE_CONTAINER = "engine"
DEFAULT_PLAN = "default"
LONGEST_ID = 253
"""Of trial IDs and of the IDs of requests, in characters."""
REST_AUDIENCE = "lcm-rest"
"""The audience of the token that an engine's pod presents to the REST sidecar."""

_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LOOKS_HASHED = re.compile(r"-[0-9a-f]{10}$")
_LONGEST_PLAIN = 50
_LONGEST_SLUG = 39


def slug(trial_id: str) -> str:
    """Return the part of `trial_id` that fits into a name: at most 39 of a-z0-9 and single `-`, never empty.

    >>> slug("Ünder/Test 1")
    'nder-test-1'
    """
    dashed = re.sub(r"[^a-z0-9]+", "-", trial_id.lower())
    return dashed[:_LONGEST_SLUG].strip("-") or "trial"


def engine_name(trial_id: str) -> str:
    """Return the name of the TrialEngine of `trial_id`: the ID itself if valid, else slug and hash.

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
    from hashlib import sha256  # noqa: PLC0415 - engines do not need it

    digest = sha256(trial_id.encode()).hexdigest()
    return f"{slug(trial_id)}-{digest[:10]}"


def object_names(trial_id: str) -> Iterator[str]:
    """Yield, without end, the possible names of an object created for `trial_id`; use the first free one.

    >>> [name for name, _ in zip(object_names("trial-1"), range(3))]
    ['trial-1', 'trial-1-02cccd8bc6', 'trial-1-02cccd8bc6-2']
    """
    first, hashed = engine_name(trial_id), hashed_name(trial_id)
    yield first
    if hashed != first:
        yield hashed
    yield from (f"{hashed}-{number}" for number in itertools.count(2))


def pod_name(engine: str, attempt: int) -> str:
    """Return the name of the pod of one attempt."""
    return f"{engine}-{attempt}"
