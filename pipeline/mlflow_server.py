"""MLflow's server for `make ui`: `python -m pipeline.mlflow_server URI HOST PORT`.

What `mlflow ui --workers 1` serves, with the same settings, in one process: that command imports
MLflow's server, only to start a second process that imports it again.
"""

import argparse
import gc
import os
import warnings

import uvicorn  # before MLflow, which then knows that it is served and refuses foreign hosts

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_WORKSPACES": "false",
}


def main(uri: str, host: str, port: int) -> None:
    """Serve the store until SIGINT or SIGTERM.

    It listens once the store is open, so that whoever gets an answer need not wait again.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    gc.disable()  # looking for garbage takes an eighth of the imports, and finds none
    # Of what MLflow uses, for MLflow's authors.
    warnings.filterwarnings("ignore", module=r"mlflow\.")
    from mlflow.server import constants, handlers

    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: uri,
        constants.REGISTRY_STORE_URI_ENV_VAR: uri,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: "./mlartifacts",
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    from mlflow.server.fastapi_app import app

    gc.freeze()
    gc.enable()
    handlers.initialize_backend_stores(uri, uri, "mlflow-artifacts:/")
    uvicorn.run(app, host=host, port=port, log_level="warning")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("uri")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    main(arguments.uri, arguments.host, arguments.port)
