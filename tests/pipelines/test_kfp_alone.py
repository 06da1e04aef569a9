"""A run on this machine needs kfp's graphs and its runner, and no client of a cluster."""

from tests.test_import_time import modules_after

ALONE = "import os; from pipelines.kfp_alone import import_kfp_alone; import_kfp_alone()"
PARTS = "from kfp import compiler, components, dsl, local; assert dsl.pipeline and dsl.ExitHandler"


def test_kfp_alone_has_graphs_and_runner_and_no_client():
    assert {"kfp.client", "kubernetes"} <= modules_after(PARTS)

    loaded = modules_after(f"{ALONE}; {PARTS}; assert '_KFP_RUNTIME' not in os.environ")

    assert "kfp.local" in loaded
    assert loaded.isdisjoint({"kfp.client", "kubernetes"})


def test_kfp_alone_leaves_the_client_to_be_imported_by_name():
    assert "kubernetes" in modules_after(f"{ALONE}; from kfp.client import Client; import pipelines.api")


def test_kfp_alone_in_an_executor_leaves_its_environment_as_it_is():
    program = f"import os; os.environ['_KFP_RUNTIME'] = 'false'; {ALONE}"

    assert "kfp" in modules_after(f"{program}; assert os.environ['_KFP_RUNTIME'] == 'false'")
