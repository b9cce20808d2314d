"""API machinery over one bounded HTTP session. It knows resources and metadata, but no trial."""
