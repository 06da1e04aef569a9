import json
import subprocess
import sys

PLATFORM = [
    "kfp",
    "kserve",
    "feast",
    "evidently",
    "mlflow",
    "kubernetes",
    "boto3",
    "kafka",
    "optuna",
    "lightgbm",
    "xgboost",
    "implicit",
    "faiss",
    "duckdb",
    "polars",
    "numpy",
    "pandas",
    "typer",
    "rich",
]


def modules_after(statement: str) -> set[str]:
    program = f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", program]
    return set(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def test_import_marquee_in_a_fresh_interpreter_loads_no_platform_library():
    loaded = modules_after("import marquee")

    assert "marquee" in loaded
    assert loaded.isdisjoint(PLATFORM)


def test_modules_after_a_heavy_import_names_it():
    assert "numpy" in modules_after("import numpy")
