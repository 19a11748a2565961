"""Where Spark runs and with what."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SparkOptions:
    """Spark, where engine is spark; see docs/scale.md."""

    master: str = "local[*]"  # e.g. spark://host:7077, yarn, k8s://…; empty: as spark-submit says
    driver_memory: str = "4g"  # of the JVM beside this process: pairs and item factors come through it
    parts: int = 10  # of customers and of items, worked on apart; about the cores of the cluster
    conf: dict[str, Any] = field(default_factory=dict)  # further settings, e.g. spark.executor.memory: 16g
