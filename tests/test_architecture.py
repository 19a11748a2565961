"""Who may import whom, read from the source: rooms in order, vendors in their rooms, little to serve with."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import recsys

SOURCE = Path(recsys.__file__).parent
FLOWS = SOURCE.parents[1] / "flows"
# A module imports from its own room and from those above it. What is not named here is the front door, below all.
ROOMS = (
    ("__init__", "errors", "schemas", "hashing", "processes"),
    ("data",),
    ("pair_counts", "affinity", "pairs"),
    ("models",),
    ("spark",),
    ("ranking",),
    ("training_set",),
    ("offers",),
    ("serving",),
    ("evaluation",),
    ("moments",),
    ("monitoring",),
    ("registry",),
)
FLOOR = {room: at for at, rooms in enumerate(ROOMS) for room in rooms}
FRONT = len(ROOMS)
BESIDE = {("registry", "serving"), ("serving", "registry")}
VENDORS = {  # vendor → where it may be imported, as the beginning of a path
    "prefect": ("flows/",),
    "mlflow": ("registry/", "serving/", "spark/answers.py"),
    "pyspark": ("spark/",),
    "implicit": ("models/als.py",),
    "sklearn": ("models/content.py", "ranking/chances.py"),
    "sparse_dot_topn": ("models/content.py",),
    "numba": ("models/joint_counts.py",),
    "lightgbm": ("ranking/", "moments/reorder_model.py"),
    "optuna": ("tuning.py",),
}
SERVED_ROOMS = (
    "models/",
    "ranking/",
    "offers/",
    "serving/",
    "errors.py",
    "affinity.py",
    "pair_counts.py",
    "data/histories.py",
    "data/manifest.py",
    "data/store.py",
    "data/pack_sizes.py",
    "data/rewind.py",
)
SERVED_VENDORS = {"numpy", "scipy", "lightgbm"}
MLFLOW_FACE = "serving/model.py"
NOT_SERVED = (
    "polars",
    "implicit",
    "optuna",
    "prefect",
    "sklearn",
    "mlflow",
    "dataframely",
    "pandas",
    "sparse_dot_topn",
    "numba",
    "pydantic",
)


def modules() -> dict[str, Path]:
    """Path within the package (or below flows/) → file."""
    own = {file.relative_to(SOURCE).as_posix(): file for file in sorted(SOURCE.rglob("*.py"))}
    return own | {f"flows/{file.relative_to(FLOWS).as_posix()}": file for file in sorted(FLOWS.rglob("*.py"))}


def at_module_level(node: ast.AST) -> Iterator[ast.AST]:
    """What runs at import: all that stands in no function, and not for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not for_types and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_module_level(child)


@cache
def imports(place: str, module_level: bool = False) -> tuple[tuple[str, int], ...]:
    """(dotted name, level) of what a file imports; level > 0 where it is relative."""
    tree = ast.parse(modules()[place].read_text(encoding="utf-8"))
    nodes = at_module_level(tree) if module_level else ast.walk(tree)
    out: list[tuple[str, int]] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            out += [(name.name, 0) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            out += [(f"{node.module}.{name.name}" if node.module else name.name, node.level) for name in node.names]
    return tuple(dict.fromkeys(out))


def own_imports(place: str, module_level: bool = False) -> set[str]:
    """Paths of the package's own files that a file imports."""
    known, found = modules(), set()
    for name, level in imports(place, module_level):
        if level:
            parts = [*Path(place).parts[:-1][: len(Path(place).parts) - level], *name.split(".")]
        elif name.split(".")[0] == "recsys":
            parts = name.split(".")[1:]
        else:
            continue
        ends = [Path(*parts[:n]).as_posix() for n in range(len(parts), 0, -1)]
        found.add(next((file for end in ends for file in (f"{end}.py", f"{end}/__init__.py") if file in known), None))
    assert None not in found, f"{place} imports something of recsys that is not there"
    return found - {place}


def room(place: str) -> str:
    return Path(place).parts[0].removesuffix(".py")


def floor(place: str) -> int:
    return FLOOR.get(room(place), FRONT)


@pytest.fixture(params=modules())
def place(request) -> str:
    return request.param


def test_the_imports_are_read():
    """The reader of this file finds what is known to be there."""
    assert ("implicit.cpu.als.AlternatingLeastSquares", 0) in imports("models/als.py")
    assert not [name for name, _ in imports("models/als.py", True) if "implicit" in name]
    assert {"models/base.py", "data/histories.py"} <= own_imports("models/als.py", True)
    assert {"data/splits.py", "ranking/topk.py", "evaluation/metrics.py"} <= own_imports("evaluation/protocols.py")
    tree = ast.parse("try:\n import a\nexcept E:\n import b\nclass C:\n import c\n def f(self):\n  import d\nimport e")
    assert sorted(n.names[0].name for n in at_module_level(tree) if isinstance(n, ast.Import)) == list("abce")
    assert not [n for n in at_module_level(ast.parse("if TYPE_CHECKING:\n import f")) if isinstance(n, ast.Import)]


def test_imports_come_from_rooms_above(place):
    for other in own_imports(place):
        assert floor(other) <= floor(place), f"{place} may not import {other}: it stands below"
        assert room(other) == room(place) or floor(other) < floor(place) or floor(place) in (0, 2, FRONT), (
            place,
            other,
        )
        assert (room(place), room(other)) not in BESIDE, f"{place} may not import {other}: they stand side by side"


def test_no_import_goes_in_a_circle():
    done: set[str] = set()

    def visit(one: str, way: tuple[str, ...]) -> None:
        assert one not in way, " → ".join((*way[way.index(one) :], one))
        if one not in done:
            for other in sorted(own_imports(one, True)):
                visit(other, (*way, one))
            done.add(one)

    for one in modules():
        visit(one, ())


def test_vendors_stay_in_their_rooms(place):
    for name, level in imports(place):
        allowed = VENDORS.get(name.split(".")[0]) if not level else None
        assert allowed is None or place.startswith(allowed), f"{name} belongs in {allowed}, not in {place}"


def test_spark_is_imported_in_use_only(place):
    """Whoever computes here needs neither pyspark nor Java."""
    assert not [name for name, _ in imports(place, True) if name.startswith("pyspark")]


def served() -> set[str]:
    """What is logged with the model: the served rooms and whatever they import of our own."""
    reached, waiting = set(), {p for p in modules() if p.startswith(SERVED_ROOMS)}
    while waiting:
        one = waiting.pop()
        reached.add(one)
        waiting |= own_imports(one) - reached
    return reached


def test_the_served_set_is_closed():
    beyond = {p for p in served() if not p.startswith(SERVED_ROOMS)}
    assert {p for p in beyond if not p.endswith("__init__.py")} == set()


@pytest.mark.parametrize("place", sorted(served()))
def test_served_files_need_little(place):
    extra = {"pandas", "mlflow"} if place == MLFLOW_FACE else set()
    for name, level in imports(place, True):
        vendor = name.split(".")[0]
        assert level or vendor in sys.stdlib_module_names | SERVED_VENDORS | extra, f"{place} imports {name}"
    for name, level in imports(place):
        assert level or not name.startswith("recsys"), (
            f"{place}: import {name} relatively, it is served under another name"
        )


def python(code: str, *args: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_recommender_loads_no_training_library():
    """LightGBM itself loads pandas and scikit-learn where they are installed; all others would be our doing."""
    loaded = python("import sys, recsys.serving.recommender; print(*sys.modules)").split()
    ours = {"polars", "dataframely", "implicit", "prefect", "mlflow", "sparse_dot_topn", "pydantic", "matplotlib"}
    assert not ours & set(loaded)
    assert "recsys.ranking.hybrid" in loaded
    assert not [
        name for name in loaded if name.startswith(("recsys.data.ingest", "recsys.evaluation", "recsys.schemas"))
    ]


def test_a_saved_recommender_answers_without_any_of_them(fitted, small_shop, tmp_path):
    """Every library of the training side is made to fail at import."""
    fitted.recommender.save(tmp_path / "recommender")
    code = """
import sys
from pathlib import Path
sys.modules.update(dict.fromkeys(sys.argv[2].split(",")))
from recsys.serving.recommender import Recommender
answers = Recommender.load(Path(sys.argv[1])).recommend([sys.argv[3], None], [None, []], [None, '{"k": 3}'])
print(*(item for answer in answers for item in answer.item_ids))
"""
    customer = small_shop.data.customers.ids[0]
    said = python(code, str(tmp_path / "recommender"), ",".join(NOT_SERVED), customer).split()
    here = fitted.recommender.recommend([customer, None], [None, []], [None, '{"k": 3}'])
    assert said == [item for answer in here for item in answer.item_ids]
    assert len(said) == 13
