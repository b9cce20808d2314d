"""Our few API verbs over one bounded HTTP session. Used by operator, engine and local node."""
