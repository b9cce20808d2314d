"""The operator process: gather, decide, apply. The only importers of kopf."""
