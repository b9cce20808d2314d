"""What is decided: scheduling, arming, the engine's life cycle, restore. Pure: no I/O, no clock."""
