"""Documents name only what exists: targets, commands, options, paths, links, names; notebooks carry no outputs."""

import ast
import json
import pkgutil
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import get_origin, get_type_hints

import click
import pytest
import yaml

from recsys.cli import main
from recsys.config import Config, read_config
from recsys.data.rejected import RULES
from recsys.data.sufficiency import SufficiencyOptions

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
SHELL = {"sh", "bash"}
OWN = ("src/", "flows/", "tests/", "configs/", "docs/", "notebooks/", "benchmarks/")  # paths that must exist


def prose(text: str) -> str:
    return FENCE.sub("", text)


def fences(text: str, *languages: str) -> list[str]:
    """Fenced blocks of these languages, their indentation taken off."""
    found = FENCE.findall(text)
    return ["\n".join(_dedent(body.splitlines())) for language, body in found if language in languages]


def _dedent(lines: list[str]) -> list[str]:
    pad = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[pad:] for line in lines]


def spans(text: str) -> list[str]:
    return SPAN.findall(prose(text))


def commands(text: str) -> Iterator[list[str]]:
    """Shell commands as words: lines of shell blocks, continued ones joined, and inline code."""
    for block in fences(text, *SHELL):
        for line in block.replace("\\\n", " ").splitlines():
            yield _words(line)
    for span in spans(text):
        yield _words(span)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a quote that goes on in the next line
        return line.split()


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def option_at(name: str) -> bool:
    """Whether `section.key` is an option or a section; the keys of a mapping (`columns`, `exclude`) are the user's."""
    kind: object = Config
    for part in name.split("."):
        if get_origin(kind) is dict:
            return True
        if not is_dataclass(kind):
            return False
        hints = get_type_hints(kind)
        if part not in hints:
            return False
        kind = hints[part]
    return True


def settings(words: list[str]) -> list[str]:
    """What a command changes: after --set, and inside SET=."""
    found = [after for before, after in pairwise(words) if before == "--set"]
    found += [part for word in words if word.startswith("SET=") for part in word[4:].split()]
    return [setting.partition("=")[0] for setting in found if "=" in setting]


@pytest.fixture(params=DOCUMENTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def document(request) -> Path:
    return request.param


def test_the_reader_of_documents_reads():
    text = (
        "Run `make nothing`.\n\n   ```sh\n   recsys ingest --set a.b=1 \\\n     --config c\n   ```\n`data.orders.path`"
    )
    assert list(commands(text))[:2] == [
        ["recsys", "ingest", "--set", "a.b=1", "--config", "c"],
        ["make", "nothing"],
    ]
    assert settings(["make", "train", "SET=ranker.trees=5 run.store=x"]) == ["ranker.trees", "run.store"]
    assert option_at("data.orders.columns.anything")
    assert not option_at("data.orders.colums")
    assert not option_at("ranker.trees.more")
    assert not option_at("nothing.at.all")
    assert {"train", "test", "notebooks"} <= targets()
    assert {file.name for file in DOCUMENTS} >= {"README.md", "CONTRIBUTING.md", "data.md", "serving.md", "metrics.md"}


def test_make_targets_exist(document):
    for words in commands(document.read_text()):
        named = [w for w in words[1:] if re.fullmatch(r"[a-z][a-z-]*", w)] if words[:1] == ["make"] else []
        assert set(named) <= targets(), f"make {' '.join(named)}"


def test_recsys_commands_and_their_options_exist(document):
    for words in commands(document.read_text()):
        if words[:1] != ["recsys"] or len(words) < 2:
            continue
        assert words[1] in main.commands, f"recsys {words[1]}"
        known = {
            option
            for parameter in main.commands[words[1]].params
            if isinstance(parameter, click.Option)
            for option in parameter.opts
        }
        assert {w for w in words[2:] if w.startswith("--")} <= known, words


def test_options_named_in_text_exist(document):
    sections = {field.name for field in fields(Config) if is_dataclass(get_type_hints(Config)[field.name])}
    text = document.read_text()
    named = [name for words in commands(text) for name in settings(words)]
    named += [m[1] for span in spans(text) if (m := re.fullmatch(r"([a-z]+(?:\.[a-z_]+)+)(?:=.*)?", span))]
    for name in named:
        assert name.partition(".")[0] not in sections or option_at(name), name


def test_settings_belong_to_a_section(document):
    for words in commands(document.read_text()):
        for name in settings(words):
            assert name == "section.key" or option_at(name), name


def test_yaml_blocks_are_configs(document):
    for block in fences(document.read_text(), "yaml"):
        read_config(yaml.safe_load(block), document.name)


def test_python_blocks_compile_and_json_blocks_parse(document):
    for block in fences(document.read_text(), "python"):
        ast.parse(block)
    for block in fences(document.read_text(), "json"):
        json.loads(block)


def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document.read_text())):
        if not target.startswith(("http://", "https://", "#")):
            assert (document.parent / target.partition("#")[0]).exists(), target


def test_paths_exist(document):
    for span in spans(document.read_text()):
        if span.startswith(OWN) and not re.search(r"[*<{ ]", span):
            assert (ROOT / span).exists(), span


def test_names_of_the_package_exist(document):
    for span in spans(document.read_text()):
        if re.fullmatch(r"recsys(\.\w+)+", span):
            pkgutil.resolve_name(span)


def test_the_table_of_rules_is_the_codes_own():
    text = (ROOT / "docs" / "data.md").read_text()
    table = text[text.index("## Rules") : text.index("## Catalog")]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(RULES)


def test_the_table_of_sufficiency_is_the_codes_own():
    text = (ROOT / "docs" / "data.md").read_text()
    rows = re.findall(r"^\|.*\| (?:at most )?([\d.]+) \| `data\.sufficiency\.(\w+)` \|$", text, re.MULTILINE)
    assert {name: float(value) for value, name in rows} == {
        field.name: field.default for field in fields(SufficiencyOptions)
    }


def test_the_readme_has_its_closing_table():
    text = (ROOT / "README.md").read_text()
    block = text[text.index("<!-- closing-table -->") : text.index("<!-- /closing-table -->")]
    assert "hybrid" in block
    assert "Report: reports/latest/report.html" in block


def test_decisions_are_numbered_without_gaps():
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        lines = file.read_text().splitlines()
        assert lines[0].startswith(f"# {file.name[:4]} "), file.name
        assert len(lines) <= 40, file.name
        assert {"**Context.**", "**Decision.**", "**Consequences.**"} <= set(
            re.findall(r"\*\*\w+\.\*\*", "\n".join(lines))
        )


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_notebooks_carry_no_outputs_define_nothing_and_assert(file):
    cells = [cell for cell in json.loads(file.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    nodes = [node for cell in cells for node in ast.walk(ast.parse("".join(cell["source"])))]
    assert not [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
    assert sum(isinstance(node, ast.Assert) for node in nodes) >= 5


def test_notebooks_are_numbered():
    assert [int(file.name[:2]) for file in NOTEBOOKS] == list(range(1, len(NOTEBOOKS) + 1))
    assert len(NOTEBOOKS) >= 5
