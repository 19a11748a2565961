"""One Spark session per process: made at first use, asked by every stage, ended with the process or by `stop`."""

import os
import re
import shutil
import subprocess
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import InputError
from recsys.spark.options import SparkOptions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVA = 17  # the least that Spark 4 runs on
NAME = "recsys"
# of the processes in which the served model answers: no unpickling, and no threads in each other's way
IN_WORKERS = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.maxResultSize": "0",  # pairs are bounded by models.item_knn.min_joint, and must come whole
    "spark.ui.showConsoleProgress": "false",
    **{f"spark.executorEnv.{name}": value for name, value in IN_WORKERS.items()},
}
LOCAL = {  # nothing listens beyond this machine
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
}


def missing() -> str:
    """Why Spark cannot run here, with the remedy; "" where it can."""
    if why := no_java():
        return why
    return "" if find_spec("pyspark") else "pyspark is not installed; pip install 'recsys[spark]'"


def no_java() -> str:
    """Why the Java here is none for Spark; "" where it is one."""
    found = java_version()
    if found is None:
        return f"there is no Java; install a JRE {JAVA}, e.g. openjdk-{JAVA}-jre-headless, or set JAVA_HOME"
    return "" if found >= JAVA else f"this is Java {found}, Spark needs {JAVA}; install it, or set JAVA_HOME"


def java_version() -> int | None:
    """Major version of the Java that Spark would start; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home, "bin", "java")) if home else shutil.which("java")
    try:
        said = subprocess.run([program or "", "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None


def pyspark_version() -> str:
    """Of the installed pyspark; InputError where there is none."""
    try:
        return version("pyspark")
    except PackageNotFoundError:
        raise InputError(f"engine = spark: {missing()}; or set engine to local") from None


def session(options: SparkOptions) -> "SparkSession":
    """The running session, or a new one; InputError where Spark cannot run or does not start."""
    if why := missing():
        raise InputError(f"engine = spark: {why}; or set engine to local")
    # pyspark 4.2 says this of pandas 3 at every use; what is used here is held by tests/spark
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    if active := SparkSession.getActiveSession():
        return active
    local = options.master.startswith("local")
    settings = SETTINGS | (LOCAL if local else {}) | {"spark.driver.memory": options.driver_memory}
    builder = SparkSession.builder.appName(NAME)
    if options.master:
        builder = builder.master(options.master)
    for name, value in (settings | options.conf).items():
        builder = builder.config(name, str(value))
    if local:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else the first python3 of the path
    try:
        made = builder.getOrCreate()
    except (PySparkException, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
        raise InputError(f"Spark does not start with spark.master = {options.master!r}: {said}") from None
    made.sparkContext.setLogLevel("ERROR")
    return made


def stop() -> None:
    """End the session of this process, if there is one."""
    if "pyspark" in sys.modules:
        from pyspark.sql import SparkSession

        if active := SparkSession.getActiveSession():
            active.stop()


if __name__ == "__main__":  # asked by make test-spark
    sys.exit(1 if no_java() else 0)
