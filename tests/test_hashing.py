"""hash_id: keyed, stable, and no more telling than its key."""

from hashlib import blake2b

import pytest

from recsys.errors import InputError
from recsys.hashing import KEY_VARIABLE, hash_id, key_from_environment

KEY = b"sixteen bytes ok"


def test_the_same_id_and_key_give_the_same_digits_in_every_process():
    assert hash_id("C-17", KEY) == blake2b(b"C-17", digest_size=16, key=KEY, person=b"recsys.id").hexdigest()
    assert len(hash_id("", KEY)) == 32


def test_another_key_or_id_gives_other_digits():
    digits = {hash_id(text, key) for text in ("1", "01", "1 ", "é", "e\u0301") for key in (KEY, KEY[::-1])}
    assert len(digits) == 10


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 65])
def test_a_key_that_can_be_guessed_or_is_too_long_is_refused(key):
    with pytest.raises(InputError, match=f"{len(key)} bytes; {KEY_VARIABLE} needs 16 to 64"):
        hash_id("1", key)


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "a secret of 22 letters")
    assert key_from_environment() == b"a secret of 22 letters"
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(InputError, match=KEY_VARIABLE):
        key_from_environment()
