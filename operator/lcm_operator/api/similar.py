"""Names that are similar to a misspelt one."""

from collections.abc import Iterable

_CUTOFF = 0.6


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most similar, regardless of case; '' if none is.

    >>> nearest("Fyl", ["prepare", "fly"])
    'fly'
    """
    import difflib  # noqa: PLC0415 - an engine never needs it

    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=_CUTOFF)
    return by_lower[found[0]] if found else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the nearest known name; '' without one.

    >>> did_you_mean("dron", ["drone"])
    ', did you mean drone?'
    """
    found = nearest(name, known)
    return f", did you mean {found}?" if found else ""
