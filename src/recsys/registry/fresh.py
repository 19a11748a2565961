"""A script: load a model where nothing but the serving set can be imported, and answer the golden requests.

It runs in a process of its own and imports nothing of this package. In: JSON {model, refused, requests} on standard
input. Out: JSON {answers, seconds} as the last line of standard output.
"""

import importlib.abc
import importlib.machinery
import json
import sys
import time
from collections.abc import Sequence
from types import ModuleType


class Closed(importlib.abc.MetaPathFinder):
    """Refuses what a serving environment does not have."""

    def __init__(self, refused: Sequence[str]) -> None:
        self.refused = frozenset(refused)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname.partition(".")[0] in self.refused:
            raise ModuleNotFoundError(f"No module named {fullname!r} in the serving set", name=fullname)
        return None


def main() -> None:
    asked = json.load(sys.stdin)
    sys.meta_path.insert(0, Closed(asked["refused"]))
    began = time.monotonic()
    import mlflow
    import pandas as pd

    model = mlflow.pyfunc.load_model(asked["model"])
    seconds = time.monotonic() - began
    rows = model.predict(pd.DataFrame(asked["requests"])).to_dict("records")
    answers = [{"item_ids": list(r["item_ids"]), "scores": [float(s) for s in r["scores"]],
                "offers": list(r["offers"]), "error": str(r["error"])} for r in rows]  # fmt: skip
    print(json.dumps({"answers": answers, "seconds": seconds}))


if __name__ == "__main__":
    main()
