"""Gives one process the library's strictness about certificates since Python 3.13, whatever its Python is.

Python imports a module of this name at its start from PYTHONPATH.
"""

import ssl

_ORIGINAL = ssl.create_default_context


def _strict(*arguments: object, **options: object) -> ssl.SSLContext:
    context = _ORIGINAL(*arguments, **options)  # type: ignore[arg-type]
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context


ssl.create_default_context = _strict  # type: ignore[assignment]
