"""The client of trial registries, which report start times."""
