"""Where models are registered, and what a model must show before it serves."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class GateOptions:
    """When a new version becomes the champion: the comparison with the standing one, and the guardrails."""

    margin: float = 0.02  # not worse = lower end of (new / champion's recipe) above 1 - margin
    stale_days: float = 28  # a champion trained longer ago is replaced by what is not worse
    min_primary: float = 0.0  # floor of the primary metric
    min_coverage: float = 0.005  # floor of catalog coverage at 10
    min_of_popularity: float = 1.0  # primary metric / that of popularity, in each task
    min_of_single: float = 0.95  # primary metric of the hybrid / that of the best single model, in each task
    min_of_group: float = 0.8  # newcomers, new and rarely sold items: upper end of the ratio to single and champion
    max_p50_ms: float = 100  # median time of one request to the reloaded model, in process
    max_p99_ms: float = 1000  # 99th percentile of the same
    requests: int = 100  # how many are timed
    max_size_mb: float = 2000  # of the logged model's files
    fresh_process: bool = True  # load the model in a process that can import the serving set alone
    fresh_seconds: float = 300  # how long that may take


@dataclass(frozen=True, kw_only=True)
class RegistryOptions:
    """MLflow, and the gate of the promotion."""

    tracking_uri: str = "sqlite:///mlflow.db"  # any MLflow tracking URI
    experiment: str = "recsys"  # MLflow experiment
    model_name: str = "recsys"  # registered model
    artifacts: str = "mlartifacts"  # folder of a new experiment's artifacts (local stores only)
    gate: GateOptions = field(default_factory=GateOptions)
