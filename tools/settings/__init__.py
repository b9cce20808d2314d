"""The reference of the settings."""
