"""The sidecar's cache of the Trials and TrialEngines of one namespace."""
