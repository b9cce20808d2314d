"""What can go wrong with the local cluster, as one error whose text is meant for the person at the terminal.

Raised throughout `local`; `__main__` prints it without a traceback.
"""


class LocalClusterError(Exception):
    """The local cluster can't do what was asked; the message says why and what to do."""
