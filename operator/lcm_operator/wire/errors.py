"""The error of this package. Its users translate it to their own."""


class WireError(Exception):
    """No connection, an invalid request, or no complete reply. The text must not repeat what was sent.

    Unless there was no connection, the server may have carried out the request.
    """
