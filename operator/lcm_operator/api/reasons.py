"""Every condition type and reason that can stand in a status or an Event. Documented in docs/reasons.md.

A reason never carries data; the message beside it does.
"""

# Condition types of a Trial (Started and Succeeded also of a TrialEngine).
ACCEPTED = "Accepted"
SCHEDULED = "Scheduled"
ARMED = "Armed"
STARTED = "Started"
SUCCEEDED = "Succeeded"

# Not there yet.
WAITING = "Waiting"
"""The step lies ahead."""

# Accepted
DUPLICATE_TRIAL_ID = "DuplicateTrialID"
"""Another Trial of the namespace holds the trial ID."""

# Scheduled
START_TIME_KNOWN = "StartTimeKnown"
"""The operator will start the trial at status.startTime."""
SUSPENDED = "Suspended"
"""spec.suspend is true."""
AWAITING_REGISTRY = "AwaitingRegistry"
"""The start time comes from a TrialRegistry that has not told it yet."""

# Synced (of a TrialRegistry)
SYNCED = "Synced"
"""The registry told its trials. Also the type of the condition."""
REGISTRY_UNREACHABLE = "RegistryUnreachable"
"""The registry can't be connected to, or gave no complete reply in time."""
REGISTRY_REFUSED = "RegistryRefused"
"""The registry answered with another status than 200."""
REGISTRY_REPLY_MALFORMED = "RegistryReplyMalformed"
"""The registry's reply can't be read as a list of trials."""
REGISTRY_MISCONFIGURED = "RegistryMisconfigured"
"""The TrialRegistry, or the Secret that it names, does not say how to reach the registry."""

# Armed
ADMITTED = "Admitted"
"""The TrialEngine exists and the API server would admit its pod."""
PLAN_NOT_FOUND = "PlanNotFound"
"""The TrialPlan that the Trial uses does not exist."""
PLAN_MALFORMED = "PlanMalformed"
"""The TrialPlan can't be read by this version."""
PLAN_TOO_LARGE = "PlanTooLarge"
"""The resolved TrialEngine.spec is larger than 256 KiB."""
PLAN_UNSUPPORTED = "PlanUnsupported"
"""The plan uses something that this version's engine can't do."""
PARAMETERS_INVALID = "ParametersInvalid"
"""A parameter is not declared by the plan, or one without default is missing."""
TEMPLATE_REFUSED = "TemplateRefused"
"""engine.template sets a field that is not on the allow list."""
NAME_TAKEN = "NameTaken"
"""An object that is not ours has the name of the TrialEngine or its pod."""
ADMISSION_REFUSED = "AdmissionRefused"
"""The API server would refuse the TrialEngine or its pod (admission, quota, Pod Security)."""
SERVICE_ACCOUNT_NOT_FOUND = "ServiceAccountNotFound"
"""The engines' ServiceAccount does not exist in the namespace."""
ROLE_BINDING_NOT_FOUND = "RoleBindingNotFound"
"""The engines' RoleBinding does not exist in the namespace."""
API_UNAVAILABLE = "APIUnavailable"
"""The API server could not be asked or did not take the create (429, 5xx); it will be asked again."""
NAMESPACE_TERMINATING = "NamespaceTerminating"
"""The namespace is being deleted: nothing can be created in it."""

# Started
ENGINE_STARTED = "EngineStarted"
"""The pod was created and the start is latched."""

# Succeeded
COMPLETED = "Completed"
"""Every activity of the plan has passed."""
RUNNING = "Running"
"""The engine works through the plan."""
RESTORING = "Restoring"
"""A restore was asked for; the next attempt begins from the checkpoint."""
ACTIVITY_FAILED = "ActivityFailed"
"""An activity failed; the engine waits for restore or delete."""
ENGINE_ENDED = "EngineEnded"
"""The pod ended before the plan did; the engine waits for restore or delete."""
ENGINE_LOST = "EngineLost"
"""The TrialEngine of a started trial is gone, and with it its checkpoint."""
ENGINE_NOT_READY = "EngineNotReady"
"""The engine gave no sign of life in time after the grant; its pod was deleted."""
ENGINE_SILENT = "EngineSilent"
"""The engine gave no sign of life for heartbeatTimeoutSeconds; its pod was deleted."""
DEADLINE_EXCEEDED = "DeadlineExceeded"
"""The attempt took longer than activeDeadlineSeconds; final, `finally` has run."""
STOPPING = "Stopping"
"""The engine was told to stop and runs `finally`."""
MISSED = "Missed"
"""The trial was not started within startingDeadlineSeconds."""
CANCELLED = "Cancelled"
"""The trial was cancelled."""

# Reasons of Events only.
RESTORED = "Restored"
MOVED = "Moved"
"""The registry has another start time for the trial than before."""
BAD_ENTRIES = "BadEntries"
"""The registry has entries that can't be read; the others are taken."""
VANISHED = "Vanished"
"""The registry no longer has an imported trial: it is suspended until the registry has it again."""
REFUSED = "RequestRefused"
MALFORMED = "Malformed"
