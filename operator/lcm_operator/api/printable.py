"""Text from outside, made printable."""


def printable(text: str) -> str:
    r"""Return `text` with `?` for what is neither printable, nor a tab, nor the end of a line.

    >>> printable("a\x1b[31m\tb\n")
    'a?[31m\tb\n'
    """
    return "".join(each if each.isprintable() or each in "\n\t" else "?" for each in text)
