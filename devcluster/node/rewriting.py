"""Mount paths become real folders in texts: there is no mount namespace, so programs see the real ones.

Called for env values, command and args of a container. Pure.
"""

import re
from collections.abc import Mapping
from pathlib import Path

# What can surround a path without being a part of it: `=`, `:`, quotes, blanks, but no
# `/` (as in http://host/tmp), no letter (as in a/tmp) and no closing bracket (as in ${HOME}/tmp).
_NOT_AFTER = r"(?<![\w./~)}\-])"
_NOT_BEFORE = r"(?![\w.\-])"


class Rewriter:
    """Puts real folders in place of mount paths, the longest first, and never twice in one text."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = {mount.rstrip("/"): str(folder) for mount, folder in folders.items()}
        longest_first = sorted(self._folders, key=len, reverse=True)
        paths = "|".join(re.escape(mount) for mount in longest_first)
        self._pattern = re.compile(f"{_NOT_AFTER}({paths}){_NOT_BEFORE}") if paths else None

    def __call__(self, text: str) -> str:
        """Return the text with each mount path, and what lies below it, in its real place."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._folders[found[0]], text)
