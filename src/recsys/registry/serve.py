"""`mlflow models serve` of the champion: which model, on which port, in which environment."""

import os
import socket
import sys
from pathlib import Path

from recsys.errors import InputError
from recsys.processes import usable_cores
from recsys.registry.options import RegistryOptions

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # the model holds none
    "OPENBLAS_NUM_THREADS": "1",  # threads of BLAS would wait for each other under load
    "OMP_WAIT_POLICY": "passive",  # LightGBM's sleep between requests; they would spin
    "PANDAS_FUTURE_INFER_STRING": "0",  # pandas 3 turns a request's texts into Arrow's and back, .8 ms
}


def champion_uri(options: RegistryOptions) -> str:
    """URI of the registered model's champion; raises InputError where there is none. Makes no store."""
    from recsys.registry import champions, promotion  # MLflow takes seconds; a model that is named needs none here

    champions.require(options)
    return f"models:/{options.model_name}@{promotion.CHAMPION}"


def check_port(host: str, port: int) -> None:
    """Raise InputError where another process listens there, or the address is none of this machine's."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(
                f"cannot serve on {host}:{port}: {error.strerror}; choose another port, e.g. make serve PORT=5002"
            ) from None


def serve_command(uri: str, host: str, port: int) -> list[str]:
    """One worker: with more, requests over kept connections waited 44 ms longer each where it was measured."""
    words = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", uri, "--env-manager", "local"]
    return [*words, "--host", host, "--port", str(port), "--workers", "1"]


def serve_environment(options: RegistryOptions) -> dict[str, str]:
    """This process's, with the store and the settings of serving; MLflow starts `uvicorn` by its name.

    Two threads judge the candidates of a request where there are two cores, unless RECSYS_THREADS says otherwise.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"RECSYS_THREADS": str(min(2, usable_cores()))}
    return {**own, **os.environ, **ENVIRONMENT, "PATH": path, "MLFLOW_TRACKING_URI": options.tracking_uri}
