"""What can go wrong on the wire. Raised in this package; turned into their own errors by those who use it."""


class WireError(Exception):
    """No connection, no sendable request, or no whole reply; says which, without anything that was sent.

    A request that was begun may have been done, unless its connection could not be made.
    """
