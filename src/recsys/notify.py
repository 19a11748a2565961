"""Tell somebody: a command or a web hook named in the environment, which alone knows the secret."""

import json
import os
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

COMMAND = "RECSYS_NOTIFY_COMMAND"  # words of a shell, without a shell; gets the message as JSON on standard input
URL = "RECSYS_NOTIFY_URL"  # http(s) address that takes JSON by POST; its path is usually the secret
SECONDS = 20  # patience with each


def notify(message: dict[str, Any], environment: Mapping[str, str] = os.environ, seconds: float = SECONDS) -> list[str]:
    """Send `message` wherever the environment says; returns one line for each way that failed, without its secret.

    Raises nothing: whoever reports a failure must not fail over it. `message["text"]` is the line that chat tools show.
    """
    body, failed = json.dumps(message, ensure_ascii=False, default=str).encode(), []
    for name, send in ((COMMAND, _run), (URL, _post)):
        target = environment.get(name, "").strip()
        if target and (why := _tried(send, target, body, seconds)):
            failed.append(f"{name}: {why}")
    return failed


def _tried(send: Any, target: str, body: bytes, seconds: float) -> str:
    """Why it failed, "" if it did not. Only the type of an error is told: its text may repeat the secret."""
    try:
        return str(send(target, body, seconds))
    except Exception as error:
        return type(error).__name__


def _run(command: str, body: bytes, seconds: float) -> str:
    """Run the command in a session of its own, so that its children end with it."""
    process = subprocess.Popen(
        shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        process.communicate(body, timeout=seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"not done after {seconds:g} s"
    return f"exit code {process.returncode}" if process.returncode else ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Where a redirect leads was not agreed with the operator, so the message does not follow."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(url: str, body: bytes, seconds: float) -> str:
    if not url.startswith(("http://", "https://")):
        return "not an http(s) address"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        error.close()
        return f"status {error.code}"
    return ""
