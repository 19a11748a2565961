"""What was logged with a version, read back: figures, golden requests, recipe; and the guardrails on them."""

from typing import Any

import mlflow

from recsys.errors import InputError
from recsys.registry.golden import Golden
from recsys.registry.guardrails import Figures, Guardrail, of_figures
from recsys.registry.log_training import FIGURES, GOLDEN
from recsys.registry.options import RegistryOptions
from recsys.registry.reload import reload


def logged(version: Any, file: str) -> dict[str, Any]:
    """A JSON file of the run behind a version; InputError names a file that is not there."""
    try:
        content: dict[str, Any] = mlflow.artifacts.load_dict(f"runs:/{version.run_id}/{file}")
    except (mlflow.exceptions.MlflowException, OSError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"version {version.version} has no {file} ({said}); was it registered by hand?") from None
    return content


def figures_of(version: Any) -> Figures:
    """The evaluation of a version's judged fit."""
    return Figures(**logged(version, FIGURES))


def model_uri(name: str, version: Any) -> str:
    return f"models:/{name}/{version}"


def all_guardrails(version: Any, options: RegistryOptions) -> list[Guardrail]:
    """Those of the figures, by today's thresholds, and those of the logged model, measured now."""
    return [*of_figures(figures_of(version), options.gate), *model_guardrails(version, options)]


def model_guardrails(version: Any, options: RegistryOptions) -> list[Guardrail]:
    """Size, speed, golden requests and reload of a version's model."""
    golden = Golden(**logged(version, GOLDEN))
    return reload(model_uri(options.model_name, version.version), golden, options.gate).guardrails(options.gate)
