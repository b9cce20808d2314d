"""The newest Python that we claim, for the tests."""
