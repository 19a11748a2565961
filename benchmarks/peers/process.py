"""A peer as a process of its own interpreter, asked over its input and output."""

import json
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent  # of the peers' scripts
Answer = dict[str, Any]  # {"seconds", "values"}, or {"error"}


class Peer:
    """`version` is empty where the peer cannot run; `reason` then says why."""

    def __init__(self, name: str, python: str, files: dict[str, Path], log: Path, folder: Path = HERE) -> None:
        self.name, self.version, self.reason = name, "", ""
        self._files, self._log = files, log
        script = folder / f"{name}_peer.py"
        with log.open("w") as said:
            try:
                self._process = subprocess.Popen(
                    [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
                )
            except OSError as error:
                self._process, self.reason = None, f"{python}: {error.strerror}"
                return
        try:
            self.version = self._read()["version"]
        except RuntimeError as error:
            self.reason = str(error)

    def ask(self, name: str) -> Answer:
        """Every metric on one data set; the peer's refusal is an answer too."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"file": str(self._files[name])}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Answer:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            last = self._log.read_text().strip().splitlines()[-1:]
            raise RuntimeError(f"{self.name} ended: {''.join(last) or 'without a word'}")
        answer: Answer = json.loads(line)
        return answer

    def close(self) -> None:
        if self._process:
            self._process.communicate()  # closes its input, which ends it
