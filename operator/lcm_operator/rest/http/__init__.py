"""HTTP: connections, routes, what requests hold and what is answered. It knows no service."""
