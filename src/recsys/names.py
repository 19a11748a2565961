"""Names that come from a config and end in paths, addresses and queries of stores: plain ones only."""

import re

from recsys.errors import InputError

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")  # no file can be called so on Windows


def require_plain_name(name: str, place: str) -> None:
    """InputError unless the name is letters, digits, space, '.', '_' and '-', 100 at most, and leads nowhere else."""
    if not PLAIN.fullmatch(name) or RESERVED.fullmatch(name) or ".." in name or name != name.strip(" ."):
        shown = repr(name if len(name) <= 60 else name[:60] + "…")
        raise InputError(
            f"{place} = {shown}; give a plain name: letters, digits, space, '.', '_', '-', 100 characters at most, "
            "no '..', and none that Windows reserves (CON, NUL …)"
        )
