"""HTTP: connections, routing, validation and replies. It must not know any service."""
