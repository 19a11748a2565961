"""Why Spark cannot run, said in a line with the remedy; no Spark is started here."""

import re
from dataclasses import replace
from importlib.util import find_spec

import pytest

from recsys import pipeline
from recsys.errors import InputError
from recsys.spark import session
from recsys.spark.options import SparkOptions


@pytest.fixture
def java(tmp_path, monkeypatch):
    """Makes a JAVA_HOME whose java says something."""

    def make(said):
        program = tmp_path / "bin" / "java"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
        program.chmod(0o755)
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    return make


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_292"', 8),
        ("no such thing", None),
    ],
)
def test_the_version_of_java_is_read(java, said, version):
    java(said)
    assert session.java_version() == version
    assert (session.no_java() == "") == (version in (17, 21))


def test_an_old_java_and_none_are_told_apart(java, monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    assert session.missing() == ("there is no Java; install a JRE 17, e.g. openjdk-17-jre-headless, or set JAVA_HOME")
    java('openjdk version "11.0.2"')
    assert session.missing() == "this is Java 11, Spark needs 17; install it, or set JAVA_HOME"
    with pytest.raises(InputError, match=r"engine = spark: this is Java 11.*or set engine to local"):
        session.session(SparkOptions())


@pytest.mark.skipif(find_spec("pyspark") is not None, reason="pyspark is installed")
def test_without_pyspark_a_training_says_what_to_install(java, small_config, stages, tmp_path):
    java('openjdk version "17.0.15"')
    config = replace(small_config(tmp_path, {"run.store": str(stages)}), engine="spark")
    matrices = next((stages / "matrices").iterdir())
    said = re.escape("engine = spark: pyspark is not installed; pip install 'recsys[spark]'; or set engine to local")
    with pytest.raises(InputError, match=said):
        pipeline.fit_models(config, matrices, pipeline.TEST)
