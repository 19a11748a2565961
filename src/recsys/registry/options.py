"""Where models are registered, and what a model must show before it serves."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RegistryOptions:
    """MLflow, and the guardrails of the promotion."""

    tracking_uri: str = "sqlite:///mlflow.db"  # any MLflow tracking URI
    experiment: str = "recsys"  # MLflow experiment
    model_name: str = "recsys"  # registered model
    artifacts: str = "mlartifacts"  # folder of a new experiment's artifacts (local stores only)
    min_primary: float = 0.0  # floor of the primary metric
    min_coverage: float = 0.005  # floor of catalog coverage at 10
