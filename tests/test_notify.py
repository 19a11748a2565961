"""Messages leave by a real command and a real HTTP request; whatever goes wrong is a line without the secret."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from recsys.notify import COMMAND, URL, notify

MESSAGE = {"text": "train failed: see docs/runbook.md", "error": "Käse"}


class Hook(BaseHTTPRequestHandler):
    """Keeps what is posted; answers with the status that the path ends in."""

    got: list[tuple[str, str, dict]] = []  # noqa: RUF012

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(int(self.path.rsplit("/", 1)[1]))
        self.send_header("Location", "/elsewhere/200")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Hook.got.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def python(code: str) -> str:
    return f'{sys.executable} -c "{code}"'


def test_nothing_is_sent_where_the_environment_names_nothing():
    assert notify(MESSAGE, {}) == notify(MESSAGE, {COMMAND: " ", URL: ""}) == []


def test_command_and_address_both_get_the_message(hook, tmp_path):
    command = python(f"import sys; open('{tmp_path}/told', 'wb').write(sys.stdin.buffer.read())")
    assert notify(MESSAGE, {COMMAND: command, URL: f"{hook}/secret/200"}) == []
    assert json.loads((tmp_path / "told").read_text()) == MESSAGE
    assert Hook.got == [("/secret/200", "application/json", MESSAGE)]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("{hook}/secret/500", "status 500"), ("{hook}/secret/302", "status 302"), ("file:///secret", "not an http(s)"),
        ("http://127.0.0.1:1/secret", "URLError"), ("http://[secret", "ValueError"),
    ],
)  # fmt: skip
def test_a_failing_address_is_told_without_itself(hook, url, why):
    (line,) = notify(MESSAGE, {URL: url.format(hook=hook)})
    assert line.startswith(f"{URL}: {why}")
    assert "secret" not in line
    assert [path for path, _, _ in Hook.got if "elsewhere" in path] == []


@pytest.mark.parametrize(
    ("command", "why"),
    [(python("import sys; sys.exit(3)"), "exit code 3"), ("no-such-secret", "FileNotFoundError"), ("'", "ValueError")],
)
def test_a_failing_command_is_told_without_itself(command, why):
    (line,) = notify(MESSAGE, {COMMAND: command})
    assert line == f"{COMMAND}: {why}"


def test_a_command_that_hangs_is_ended_with_its_children():
    began = time.monotonic()
    assert notify(MESSAGE, {COMMAND: "sh -c 'sleep 60 & sleep 60'"}, seconds=0.5) == [
        f"{COMMAND}: not done after 0.5 s"
    ]
    assert time.monotonic() - began < 20
