"""The sidecar: the HTTP interface of the 5G!Drones Lifecycle Manager, on custom resources."""
