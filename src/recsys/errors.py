"""Errors that a user can mend: each message names the value, the place and the remedy."""


class InputError(Exception):
    """Something outside the program (config, file, data, request) is wrong; the front door prints it bare."""


class UnavailableError(InputError):
    """A store or server outside does not answer. The user can mend it, and it may mend itself: worth another try."""
