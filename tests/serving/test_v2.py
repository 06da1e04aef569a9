"""Open Inference (V2) by HTTP and by gRPC: the same lists as V1, and every fault the caller's."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kserve import InferInput, InferRequest, InferResponse
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from serving.protocol import Instance
from tests.serving.conftest import NAME, Reply, Server, free_port, serving
from tests.serving.in_process import INFER, JSON, InProcess
from tests.small_run import Place

pytestmark = pytest.mark.filterwarnings("ignore:ORJSONResponse is deprecated")
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)

BATCH: list[dict[str, Any]] = [
    {"user_id": "u000", "n": 3, "surface": "home", "exclude": ["m000"], "explain": True},
    {"n": 5, "surface": "trending", "history": ["m001", "m004"], "explain": False},
    {"user_id": "u002", "n": 1, "surface": "similar", "item_id": "m003", "explain": False},
    {
        "user_id": "u001",
        "n": 2,
        "surface": "home",
        "context": {"timestamp": "2024-05-01T00:00:00Z"},
        "explain": False,
    },
]
DATATYPES = {"n": "INT32", "maturity_limit": "INT32", "explain": "BOOL", "timings": "BOOL"}
OF_JSON = ("context", "history", "exclude", "variants")


def column(name: str, batch: list[dict[str, Any]]) -> dict[str, Any]:
    """A field of all instances as a tensor; what an instance leaves out is empty bytes."""
    values = [each.get(name, "") for each in batch]
    if name in OF_JSON:
        values = [json.dumps(value) if value != "" else "" for value in values]
    return {"name": name, "datatype": DATATYPES.get(name, "BYTES"), "shape": [len(values)], "data": values}


def tensors(*batch: dict[str, Any]) -> dict[str, Any]:
    return {
        "inputs": [column(name, list(batch)) for name in sorted({name for each in batch for name in each})]
    }


def one(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"inputs": [{"name": name, "datatype": datatype, "shape": shape, "data": data}]}


def infer(here: InProcess, body: Any) -> Reply:
    return here.call(INFER, json.dumps(body).encode())


def outputs(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    return {each["name"]: each for each in reply.json["outputs"]}


def without_ids(predictions: list[Any]) -> list[Any]:
    return [each | {"request_id": ""} for each in predictions]


def test_v2_gives_the_lists_of_v1_in_the_order_of_the_batch(here: InProcess) -> None:
    expected = here.predict(*BATCH).json["predictions"]

    found = outputs(infer(here, tensors(*BATCH)))

    assert without_ids(list(map(json.loads, found["prediction"]["data"]))) == without_ids(expected)
    assert found["length"]["data"] == [len(each["items"]) for each in expected] == [3, 5, 1, 2]
    assert found["item_id"]["shape"] == found["score"]["shape"] == [4, 5]
    ids = np.reshape(found["item_id"]["data"], (4, 5)).tolist()
    scores = np.reshape(found["score"]["data"], (4, 5)).tolist()
    for row, each in enumerate(expected):
        padding = 5 - len(each["items"])
        assert ids[row] == [item["item_id"] for item in each["items"]] + [""] * padding
        assert scores[row] == pytest.approx([item["score"] for item in each["items"]] + [0.0] * padding)


def test_column_of_whole_instances_says_the_same(here: InProcess) -> None:
    whole = one("instance", "BYTES", [4], [json.dumps(each) for each in BATCH])

    found, expected = outputs(infer(here, whole)), outputs(infer(here, tensors(*BATCH)))

    assert found["item_id"] == expected["item_id"]
    assert found["score"] == expected["score"]


def test_column_may_have_a_second_dimension_of_one(here: InProcess) -> None:
    flat, nested = one("n", "INT32", [2, 1], [2, 3]), one("n", "INT32", [2, 1], [[2], [3]])

    assert outputs(infer(here, flat))["length"]["data"] == [2, 3]
    assert outputs(infer(here, nested))["length"]["data"] == [2, 3]


def test_binary_tensors_say_the_same_and_are_answered_in_binary_where_asked(here: InProcess) -> None:
    ids, n = InferInput("user_id", [2], "BYTES"), InferInput("n", [2], "INT32")
    ids.set_data_from_numpy(np.array([b"u000", b"u001"], object))
    n.set_data_from_numpy(np.array([2, 3], np.int32))
    request = InferRequest(NAME, [ids, n], parameters={"binary_data_output": True})
    body, length = request.to_rest()
    assert isinstance(body, bytes)

    reply = here.call(INFER, body, {"inference-header-content-length": str(length)})

    expected = here.predict({"user_id": "u000", "n": 2}, {"user_id": "u001", "n": 3}).json["predictions"]
    response = InferResponse.from_bytes(reply.body, int(reply.headers["inference-header-content-length"]))
    found = {each.name: each.data for each in response.outputs}
    assert reply.headers["content-type"] == "application/octet-stream"
    assert found["length"] == [2, 3]
    assert found["item_id"][:2] == [item["item_id"] for item in expected[0]["items"]]
    assert found["item_id"][3:] == [item["item_id"] for item in expected[1]["items"]]


def test_asked_for_outputs_come_in_their_order_and_no_other(here: InProcess) -> None:
    body = one("n", "INT32", [1], [2]) | {"outputs": [{"name": "length"}, {"name": "item_id"}]}

    assert list(outputs(infer(here, body))) == ["length", "item_id"]


def test_request_for_an_unknown_output_makes_no_list(here: InProcess) -> None:
    before = made(here)

    assert infer(here, one("n", "INT32", [1], [2]) | {"outputs": [{"name": "colour"}]}).status == 400
    assert made(here) == before
    assert infer(here, one("n", "INT32", [1], [2])).status == 200
    assert made(here) == before + 1


def made(here: InProcess) -> float:
    """How many lists were made."""
    found = here.model.engine.metrics.registry.get_sample_value(
        "marquee_stage_seconds_count", {"stage": "list"}
    )
    return found or 0.0


def test_empty_list_is_a_tensor_of_padding(here: InProcess) -> None:
    everything = [f"m{item:03}" for item in range(90)]

    found = outputs(infer(here, tensors({"user_id": "u000", "exclude": everything})))

    assert found["length"]["data"] == [0]
    assert (found["item_id"]["shape"], found["item_id"]["data"]) == ([1, 1], [""])


def test_id_of_the_request_comes_back_and_names_the_prediction(here: InProcess) -> None:
    reply = infer(here, one("n", "INT32", [1], [1]) | {"id": "abc"})
    odd = infer(here, one("n", "INT32", [1], [1]) | {"id": "a b"})

    assert reply.json["id"] == reply.headers["x-request-id"] == "abc"
    assert json.loads(outputs(reply)["prediction"]["data"][0])["request_id"] == "abc"
    assert odd.json["id"] == "a b"
    assert len(odd.headers["x-request-id"]) == 32


def test_metadata_names_columns_that_are_understood(here: InProcess) -> None:
    metadata = here.call(f"/v2/models/{NAME}", method="GET").json

    found = outputs(infer(here, tensors(*BATCH)))

    assert metadata["name"] == NAME
    assert {each["name"] for each in metadata["inputs"]} == set(Instance.model_fields)
    assert {each["name"]: each["datatype"] for each in metadata["outputs"]} == {
        name: each["datatype"] for name, each in found.items()
    }
    for each in metadata["inputs"]:
        assert column(each["name"], BATCH)["datatype"] == each["datatype"]
    assert here.call("/v2", method="GET").json["name"] == "kserve"
    assert here.call("/v2/models", method="GET").json == {"models": [NAME]}


# --- faults -----------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[Any, str]] = {
    "no inputs": ({}, "inputs: Field required"),
    "no columns": ({"inputs": []}, "inputs: all need one length, got none"),
    "no data": ({"inputs": [{"name": "n", "datatype": "INT32", "shape": [1]}]}, "inputs[0].data: Field"),
    "unknown column": (one("colour", "BYTES", [1], ["red"]), "[0].colour: Extra inputs"),
    "unknown datatype": (one("n", "INT", [1], [1]), "inputs.n: INT is no datatype"),
    "text as number": (one("n", "INT32", [1], ["5"]), "inputs.n: is no INT32 of shape [1]"),
    "fraction as integer": (one("n", "INT32", [1], [1.9]), "inputs.n: is no INT32"),
    "fraction": (one("n", "FP32", [1], [5.0]), "[0].n: Input should be a valid integer"),
    "truth as integer": (one("n", "INT32", [1], [True]), "inputs.n: is no INT32"),
    "text as truth": (one("explain", "BOOL", [1], ["false"]), "inputs.explain: is no BOOL"),
    "number as text": (one("user_id", "BYTES", [1], [5]), "inputs.user_id: is no BYTES"),
    "n too large": (one("n", "INT32", [2], [1, 101]), "[1].n: Input should be less than"),
    "shape too long": (one("n", "INT32", [2], [1]), "inputs.n: is no INT32 of shape [2]"),
    "shape of nothing": (one("n", "INT32", [0], []), "instances: "),
    "shape of a scalar": (one("n", "INT32", [], [1]), "inputs.n: shape must be [n] or [n, 1], got []"),
    "shape of a matrix": (one("n", "INT32", [1, 2], [1, 1]), "inputs.n: shape must be"),
    "shape below zero": (one("n", "INT32", [-1], [1]), "inputs.n: is no INT32 of shape [-1]"),
    "nested data": (one("n", "INT32", [1], [[[1]]]), "inputs.n: is no INT32"),
    "nothing as data": (one("n", "INT32", [1], [None]), "inputs.n: is no INT32"),
    "other lengths": (
        {"inputs": [column("n", [{"n": 1}]), column("user_id", [{}, {}])]},
        "inputs: all need one length, got n 1, user_id 2",
    ),
    "one name twice": ({"inputs": one("n", "INT32", [1], [1])["inputs"] * 2}, "inputs: two have one name"),
    "65 instances": (one("n", "INT32", [65], [1] * 65), "inputs: at most 64 instances a call, got 65"),
    "history that is no JSON": (one("history", "BYTES", [1], ["m001"]), "inputs.history: is no JSON"),
    "history as number": (one("history", "INT32", [1], [1]), "inputs.history: must be BYTES of JSON"),
    "instance that is no JSON": (one("instance", "BYTES", [1], ["{"]), "inputs.instance: is no JSON"),
    "instance and more": (
        {"inputs": [column("n", [{"n": 1}]), column("instance", [{"instance": "{}"}])]},
        "inputs: instance stands alone",
    ),
    "unknown output": (one("n", "INT32", [1], [1]) | {"outputs": [{"name": "colour"}]}, "output 'colour'"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "said"), FAULTS.values(), ids=FAULTS)
def test_fault_of_a_v2_request_names_its_column(here: InProcess, body: Any, said: str) -> None:
    reply = infer(here, body)

    assert reply.status == 400, reply.body
    assert said in reply.json["error"]


@pytest.mark.parametrize(
    ("tail", "length", "said"),
    [
        (b"", "abc", "inference-header-content-length: "),
        (b"", "-1", "inference-header-content-length: "),
        (b"", "\u00b2", "inference-header-content-length: "),
        (b"", "9" * 30, "inference-header-content-length: "),
        (b"", "0", "Unrecognized request format"),
        (b"", None, "binary tensors"),
        (b"\x01", None, "binary tensors"),
        (struct.pack("<I", 2**31), None, "binary tensors"),
        (struct.pack("<I", 1) + b"\xff", None, ""),
    ],
)
def test_binary_tensor_that_is_none_is_refused(
    here: InProcess, tail: bytes, length: str | None, said: str
) -> None:
    described = {"name": "user_id", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}}
    head = json.dumps({"inputs": [described]}).encode()

    said_length = (length or str(len(head))).encode("latin-1")

    reply = here.call(INFER, head + tail, [(b"inference-header-content-length", said_length)])

    assert reply.status == 400, reply.body
    assert said in reply.json["error"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"id": 5}, "id: "),
        ({"parameters": ["binary_data_output"]}, "parameters: "),
        ({"outputs": [{"name": "score", "parameters": 5}]}, "outputs[0].parameters: "),
        ({"outputs": [{"name": 5}]}, "outputs[0].name: "),
        ({"outputs": {"name": "score"}}, "outputs: "),
        ({"inputs": [{"name": "n", "datatype": "INT32", "shape": 1}]}, "inputs[0].shape: "),
    ],
)
def test_request_with_binary_tensors_is_checked_as_one_without(here: InProcess, more: Any, said: str) -> None:
    described = {"name": "n", "datatype": "INT32", "shape": [1], "parameters": {"binary_data_size": 4}}
    head = json.dumps({"inputs": [described]} | more).encode()

    reply = here.call(INFER, head + bytes([1, 0, 0, 0]), {"inference-header-content-length": str(len(head))})

    assert reply.status == 400, reply.body
    assert said in reply.json["error"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
TYPES = st.sampled_from(["BYTES", "BOOL", "INT32", "INT64", "UINT8", "FP16", "FP32", "FP64", "bytes", ""])
PARAMETERS = st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-5, 40) | ANYTHING})
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from([*Instance.model_fields, "instance"]) | st.text(max_size=4),
        "datatype": TYPES,
        "shape": st.lists(st.integers(-1, 3), max_size=3),
    },
    optional={"data": st.lists(ANYTHING, max_size=3), "parameters": PARAMETERS | ANYTHING},
)
ASKED = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS | ANYTHING, max_size=3)},
    optional={
        "id": ANYTHING,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_output": ANYTHING}) | ANYTHING,
        "outputs": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["item_id", "score", "colour"])},
                optional={"parameters": st.fixed_dictionaries({}, optional={"binary_data": ANYTHING})},
            )
            | ANYTHING,
            max_size=2,
        ),
    },
)


@shared
@given(
    ASKED | ANYTHING,
    st.none() | st.integers(-1, 400) | st.text(st.characters(max_codepoint=255), max_size=3),
    st.binary(max_size=24),
)
def test_no_v2_request_is_a_fault_of_ours(here: InProcess, body: Any, length: Any, tail: bytes) -> None:
    content = json.dumps(body).encode()
    said = len(content) if isinstance(length, int) and length > 200 else length
    headers = JSON if said is None else JSON | {"inference-header-content-length": _printable(str(said))}

    assert here.call(INFER, content + (b"" if said is None else tail), headers).status in (200, 400)


def _printable(text: str) -> str:
    return "".join(each for each in text if 32 <= ord(each) < 127)


@shared
@given(st.lists(st.sampled_from(BATCH), min_size=1, max_size=5), st.booleans())
def test_valid_v2_batches_are_answered_in_order(
    here: InProcess, batch: list[dict[str, Any]], in_binary: bool
) -> None:
    body = tensors(*[{"n": 4, "explain": False} | each for each in batch])
    body["parameters"] = {"binary_data_output": in_binary}

    reply = infer(here, body)

    assert reply.status == 200, reply.body
    if not in_binary:
        assert outputs(reply)["length"]["data"] == [each["n"] for each in batch]


# --- gRPC -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grpc_server(trained: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, folder = free_port(), tmp_path_factory.mktemp("grpc")
    with serving(trained, folder, "--enable_grpc", "true", "--grpc_port", str(port)) as found:
        found.grpc_port = port
        yield found


@pytest.fixture(scope="module")
def stub(grpc_server: Server) -> Iterator[GRPCInferenceServiceStub]:
    with grpc.insecure_channel(f"127.0.0.1:{grpc_server.grpc_port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=20)
        yield GRPCInferenceServiceStub(channel)


def grpc_request(body: dict[str, Any], **more: Any) -> pb.ModelInferRequest:
    inputs = [
        InferInput(each["name"], each["shape"], each["datatype"], each["data"]) for each in body["inputs"]
    ]
    request = InferRequest(NAME, inputs).to_grpc()
    request.MergeFrom(pb.ModelInferRequest(**more))
    return request


def raw_request(name: str, datatype: str, *contents: bytes) -> pb.ModelInferRequest:
    described = {"name": name, "datatype": datatype, "shape": [1]}
    return pb.ModelInferRequest(model_name=NAME, inputs=[described], raw_input_contents=contents)


def test_grpc_gives_the_lists_of_v1_in_the_order_of_the_batch(
    grpc_server: Server, stub: GRPCInferenceServiceStub
) -> None:
    expected = grpc_server.predict(*BATCH).json["predictions"]

    answer = InferResponse.from_grpc(stub.ModelInfer(grpc_request(tensors(*BATCH), id="abc"), timeout=20))

    found = {each.name: each for each in answer.outputs}
    predictions = [json.loads(each) for each in found["prediction"].data]
    assert without_ids(predictions) == without_ids(expected)
    assert [each["request_id"] for each in predictions] == ["abc-0", "abc-1", "abc-2", "abc-3"]
    assert found["length"].data == [3, 5, 1, 2]
    assert found["item_id"].shape == [4, 5]
    assert [each.decode() for each in found["item_id"].data][:3] == [
        item["item_id"] for item in expected[0]["items"]
    ]


def test_grpc_with_raw_tensors_says_the_same(grpc_server: Server, stub: GRPCInferenceServiceStub) -> None:
    ids = InferInput("user_id", [2], "BYTES")
    ids.set_data_from_numpy(np.array([b"u000", b"u001"], object))

    answer = InferResponse.from_grpc(stub.ModelInfer(InferRequest(NAME, [ids]).to_grpc(), timeout=20))

    expected = grpc_server.predict({"user_id": "u000"}, {"user_id": "u001"}).json["predictions"]
    (found,) = (each for each in answer.outputs if each.name == "item_id")
    assert [each.decode() for each in found.as_numpy().ravel().tolist()] == [
        item["item_id"] for each in expected for item in each["items"]
    ]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (grpc_request(one("n", "INT32", [1], [500])), "instances[0].n: "),
        (grpc_request(one("colour", "BYTES", [1], ["red"])), "[0].colour: "),
        (pb.ModelInferRequest(model_name=NAME), "inputs: "),
        (raw_request("n", "X"), "content type"),
        (raw_request("n", "INT32"), "inputs.n: "),
        (pb.ModelInferRequest(model_name=NAME, raw_input_contents=[b"x"]), "number of inputs"),
        (raw_request("n", "INT32", b"x"), "inputs.n: "),
        (raw_request("user_id", "BYTES", struct.pack("<I", 1) + b"\xff"), "inputs.user_id: is no UTF-8"),
    ],
)  # fmt: skip
def test_fault_of_a_grpc_request_names_its_column(
    stub: GRPCInferenceServiceStub, request_: pb.ModelInferRequest, said: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request_, timeout=20)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in caught.value.details()


def test_grpc_knows_no_other_model_and_no_body_over_the_bound(stub: GRPCInferenceServiceStub) -> None:
    other = grpc_request(one("n", "INT32", [1], [1]))
    other.model_name = "other"
    large = grpc_request(one("user_id", "BYTES", [1], ["u" * 2**20]))

    codes = []
    for request in (other, large):
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(request, timeout=20)
        codes.append(caught.value.code())

    assert codes == [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED]


def test_grpc_loads_and_unloads_nothing(grpc_server: Server, stub: GRPCInferenceServiceStub) -> None:
    for call, request in (
        (stub.RepositoryModelUnload, pb.RepositoryModelUnloadRequest(model_name=NAME)),
        (stub.RepositoryModelLoad, pb.RepositoryModelLoadRequest(model_name=NAME)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call(request, timeout=20)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    assert grpc_server.predict({"n": 1}).status == 200


def test_grpc_tells_of_the_model(stub: GRPCInferenceServiceStub) -> None:
    metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name=NAME), timeout=20)

    assert metadata.name == NAME
    assert {each.name for each in metadata.inputs} == set(Instance.model_fields)
    assert [each.name for each in metadata.outputs] == ["item_id", "score", "length", "prediction"]
    assert stub.ModelReady(pb.ModelReadyRequest(name=NAME), timeout=20).ready
    assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live


def test_grpc_faults_of_callers_are_not_logged(grpc_server: Server, stub: GRPCInferenceServiceStub) -> None:
    with pytest.raises(grpc.RpcError):
        stub.ModelInfer(grpc_request(one("n", "INT32", [1], [500])), timeout=20)

    assert "raceback" not in grpc_server.log.read_text(encoding="utf-8")
