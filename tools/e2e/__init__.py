"""What `make e2e` needs before its tests."""
