"""Customer ids that say nothing: a keyed hash, so that reports and exports can be joined but not read back.

A plain hash of an id can be undone by hashing every id a shop ever gave; with a secret key it cannot. The key comes
from the environment, never from the config, so no recipe, log or artifact holds it.
"""

import os
from hashlib import blake2b

from recsys.errors import InputError

KEY_VARIABLE = "RECSYS_ID_KEY"
MIN_KEY_BYTES = 16  # shorter keys can be tried one by one
LONGEST_KEY = 64  # bytes; blake2b takes no more


def hash_id(text: str, key: bytes) -> str:
    """32 hexadecimal digits (128 bits) of keyed BLAKE2b; the same id and key give the same digits everywhere.

    `key`: 16 to 64 bytes, secret. At 10 million ids the chance that any two collide is about 1e-25.
    """
    if not MIN_KEY_BYTES <= len(key) <= LONGEST_KEY:
        raise InputError(
            f"the key for hashing ids has {len(key)} bytes; {KEY_VARIABLE} needs {MIN_KEY_BYTES} to {LONGEST_KEY}, "
            f"e.g. export {KEY_VARIABLE}=$(python -c 'import secrets; print(secrets.token_hex(16))')"
        )
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=key, person=b"recsys.id").hexdigest()


def key_from_environment(variable: str = KEY_VARIABLE) -> bytes:
    """The secret key in an environment variable, as UTF-8 bytes; InputError where it is not set or too short."""
    key = os.environ.get(variable, "").encode()
    hash_id("", key)
    return key
