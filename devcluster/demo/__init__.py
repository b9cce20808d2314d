"""What `make run` plays on a cluster that is up, and how it is narrated."""
