"""The engine pod: waits for the grant, works through the plan, saves the checkpoint. No kopf."""
