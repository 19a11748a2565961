"""How many cores a process has."""

import os

import pytest

from recsys import processes


@pytest.mark.parametrize(
    ("text", "of_eight"),
    [
        ("max 100000\n", 8),
        ("150000 100000\n", 1),
        ("400000 100000\n", 4),
        ("50000 100000\n", 1),
        ("", 8),
        ("1e9 5\n", 8),
    ],
)
def test_a_container_may_have_fewer_cores_than_its_machine(text, of_eight, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(processes, "CPU_LIMIT", str(tmp_path / "cpu.max"))
    (tmp_path / "cpu.max").write_text(text)
    assert processes.usable_cores() == of_eight


def test_without_a_container_it_is_the_machine(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "CPU_LIMIT", str(tmp_path / "none"))
    assert processes.usable_cores() >= 1
