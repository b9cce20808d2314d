"""What runs in an engine pod: waits for the grant, works through the plan, saves the checkpoint. No kopf."""
