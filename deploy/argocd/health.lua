-- The health of Trials, TrialEngines, TrialRegistries and TrialPlans for Argo CD (docs/gitops.md).
-- A trial that waits for its start or runs is Healthy: a sync must not wait for days.

local function health(status, message)
  return {status = status, message = message}
end

local function find(kind)
  local status = obj.status or {}
  for _, each in ipairs(status.conditions or {}) do
    if each.type == kind then
      return each
    end
  end
  return {status = "", reason = "", message = ""}
end

local function described(condition, default)
  if condition.message ~= nil and condition.message ~= "" then
    return condition.reason .. ": " .. condition.message
  end
  return default
end

if obj.kind == "TrialPlan" then
  return health("Healthy", "a plan has no state")
end

local status = obj.status or {}
local suspended = obj.spec ~= nil and obj.spec.suspend == true
-- What the operator has seen; a TrialEngine is written by the operator alone.
if obj.kind ~= "TrialEngine" and status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "the operator has not seen this change yet")
end

local stalled, recent = find("Stalled"), find("Reconciling")
if stalled.status == "True" then
  return health("Degraded", described(stalled, stalled.reason))
end
if recent.status == "True" then
  return health("Progressing", described(recent, recent.reason))
end

if obj.kind == "TrialRegistry" then
  if suspended then
    return health("Suspended", "the registry is not asked")
  end
  return health("Healthy", described(find("Synced"), "synced"))
end

local succeeded, started = find("Succeeded"), find("Started")
if succeeded.status == "True" or succeeded.status == "False" then
  return health("Healthy", described(succeeded, succeeded.reason))
end
if started.status == "True" then
  local works = {Running = true, Restoring = true, Stopping = true}
  -- Everything else ends by itself within startingDeadlineSeconds, or 2 minutes if that is longer.
  return health(works[succeeded.reason] and "Healthy" or "Progressing", described(succeeded, succeeded.reason))
end
if obj.kind == "TrialEngine" then
  return health("Healthy", "waits for its start")
end
if suspended then
  return health("Suspended", described(find("Scheduled"), "the trial is not started"))
end
for _, kind in ipairs({"Accepted", "Armed"}) do
  if find(kind).status == "False" then
    return health("Progressing", described(find(kind), find(kind).reason))
  end
end
if status.startTime ~= nil then
  return health("Healthy", "starts at " .. status.startTime)
end
return health("Healthy", described(find("Scheduled"), "waits for its start time"))
