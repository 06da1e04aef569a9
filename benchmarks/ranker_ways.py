"""The ways to have the scores of trees: what the boosters' own libraries offer, and other libraries.

The product's environment has the boosters alone. The others are measured where they are installed, each
at the version that is there; the libraries of a way are its first words in `OTHERS`.
"""

import ctypes
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import xgboost as xgb
from lightgbm.basic import _LIB as LIGHTGBM
from lightgbm.basic import _safe_call as checked
from numpy.typing import NDArray

from marquee.ranking.lightgbm import LightGbmRanker
from marquee.ranking.xgboost import XgBoostRanker

Rows = NDArray[np.float32]
Score = Callable[[Rows], Any]
ROW_MAJOR: Final = 1
ONE_THREAD: Final = b"num_threads=1"
ONNX_OPSET: Final = 15
DISTRIBUTIONS: Final = {"daal4py": "scikit-learn-intelex"}
"""By module, where the name to install is another."""


@dataclass(frozen=True)
class Way:
    """One way to score rows."""

    name: str
    booster: str
    score: Score
    is_ours: bool = False
    """What `marquee.ranking` does."""


@dataclass(frozen=True, eq=False)
class Trees:
    """Both boosters, fitted, and a folder for what is made of them."""

    lightgbm: LightGbmRanker
    xgboost: XgBoostRanker
    folder: Path

    @property
    def n_features(self) -> int:
        """Columns of the rows."""
        return int(self.lightgbm.booster.num_feature())


def own_ways(trees: Trees) -> Iterator[Way]:
    """Those of the two boosters' libraries, ours first."""
    light, extreme = trees.lightgbm.booster, trees.xgboost.booster
    names = extreme.feature_names

    def by_matrix(rows: Rows) -> Any:  # noqa: ANN401 - as the library has it
        data = xgb.DMatrix(rows, feature_names=names, nthread=1)
        return extreme.predict(data, output_margin=True)

    def unchecked(rows: Rows) -> Any:  # noqa: ANN401 - as the library has it
        return extreme.inplace_predict(rows, predict_type="margin", validate_features=False)

    yield Way("LightGBM: predict, one thread", "lightgbm", trees.lightgbm.score, is_ours=True)
    yield Way("LightGBM: compiled, as a server does", "lightgbm", trees.lightgbm.compiled().score)
    yield Way("LightGBM: predict, all threads", "lightgbm", lambda rows: light.predict(rows, raw_score=True))
    yield Way("LightGBM: C API, whole matrix", "lightgbm", _whole_matrix(light))
    yield Way("LightGBM: C API, row by row, fast", "lightgbm", _row_by_row(light, trees.n_features))
    yield Way("XGBoost: in place, one thread", "xgboost", trees.xgboost.score, is_ours=True)
    yield Way("XGBoost: in place, rows unchecked", "xgboost", unchecked)
    yield Way("XGBoost: DMatrix", "xgboost", by_matrix)


def _whole_matrix(booster: lgb.Booster) -> Score:
    """`LGBM_BoosterPredictForMat` without the Python class around it."""

    def score(rows: Rows) -> NDArray[np.float64]:
        scores, n_scores = np.empty(len(rows)), ctypes.c_int64()
        checked(
            LIGHTGBM.LGBM_BoosterPredictForMat(
                booster._handle,
                ctypes.c_void_p(rows.ctypes.data),
                lgb.basic._C_API_DTYPE_FLOAT32,
                ctypes.c_int32(rows.shape[0]),
                ctypes.c_int32(rows.shape[1]),
                ROW_MAJOR,
                lgb.basic._C_API_PREDICT_RAW_SCORE,
                *(0, -1),  # all trees
                ONE_THREAD,
                ctypes.byref(n_scores),
                ctypes.c_void_p(scores.ctypes.data),
            )
        )
        return scores

    return score


def _row_by_row(booster: lgb.Booster, n_features: int) -> Score:
    """`LGBM_BoosterPredictForMatSingleRowFast`, its setting up done once."""
    prepared = ctypes.c_void_p()
    checked(
        LIGHTGBM.LGBM_BoosterPredictForMatSingleRowFastInit(
            booster._handle,
            lgb.basic._C_API_PREDICT_RAW_SCORE,
            *(0, -1),  # all trees
            lgb.basic._C_API_DTYPE_FLOAT32,
            ctypes.c_int32(n_features),
            ONE_THREAD,
            ctypes.byref(prepared),
        )
    )
    one_row = LIGHTGBM.LGBM_BoosterPredictForMatSingleRowFast

    def score(rows: Rows) -> NDArray[np.float64]:
        scores, n_scores = np.empty(len(rows)), ctypes.byref(ctypes.c_int64())
        at, to = rows.ctypes.data, scores.ctypes.data
        for number in range(len(rows)):
            row, place = at + number * rows.strides[0], to + number * scores.itemsize
            checked(one_row(prepared, ctypes.c_void_p(row), n_scores, ctypes.c_void_p(place)))
        return scores

    return score


def _gtil(trees: Trees) -> Iterator[Way]:
    """Treelite's own walk of the trees, in C++."""
    treelite = import_module("treelite")
    for booster, model in _in_treelite(trees).items():

        def score(rows: Rows, model: Any = model) -> Any:  # noqa: ANN401 - as the library has it
            return treelite.gtil.predict(model, rows, nthread=1, pred_margin=True).ravel()

        yield Way(f"treelite: GTIL, of {booster}", booster, score)


def _in_treelite(trees: Trees) -> dict[str, Any]:
    reader = import_module("treelite").frontend
    return {
        "lightgbm": reader.from_lightgbm(trees.lightgbm.booster),
        "xgboost": reader.from_xgboost(trees.xgboost.booster),
    }


def _compiled_c(trees: Trees) -> Iterator[Way]:
    """Trees as C, compiled into a shared library; where it serves no compiler is needed, only the library."""
    tl2cgen = import_module("tl2cgen")
    dtypes = {"lightgbm": "float64", "xgboost": "float32"}  # those of the thresholds
    if shutil.which("gcc") is None:
        print("skipped: tl2cgen compiled (there is no gcc)")
        return
    for booster, model in _in_treelite(trees).items():
        begun, library = perf_counter(), str(trees.folder / f"{booster}.so")
        tl2cgen.export_lib(model, toolchain="gcc", libpath=library, params={"parallel_comp": 2})
        print(f"tl2cgen and gcc took {perf_counter() - begun:.1f} s for {booster}")
        predictor = tl2cgen.Predictor(library, nthread=1)

        def score(rows: Rows, predictor: Any = predictor, dtype: str = dtypes[booster]) -> Any:  # noqa: ANN401
            data = tl2cgen.DMatrix(rows.astype(dtype, copy=False), dtype=dtype)
            return predictor.predict(data, pred_margin=True).ravel()

        yield Way(f"tl2cgen: compiled C, of {booster}", booster, score)


def _lleaves(trees: Trees) -> Iterator[Way]:
    """LightGBM's trees compiled by LLVM, at run time."""
    path = trees.folder / "lightgbm.txt"
    path.write_text(trees.lightgbm.to_text(), encoding="utf-8")
    model = import_module("lleaves").Model(model_file=str(path))
    begun = perf_counter()
    try:
        model.compile(raw_score=True)
    except AttributeError as error:  # of a newer llvmlite than the release of lleaves knows
        print(f"skipped: lleaves with llvmlite {version('llvmlite')} ({error})")
        return
    print(f"lleaves took {perf_counter() - begun:.1f} s to compile")
    yield Way("lleaves: LLVM, of lightgbm", "lightgbm", lambda rows: model.predict(rows, n_jobs=1))


def _onnx(trees: Trees) -> Iterator[Way]:
    """ONNX Runtime on converted trees, whose numbers are float32 throughout."""
    converters, runtime = import_module("onnxmltools"), import_module("onnxruntime")
    number = import_module("onnxmltools.convert.common.data_types").FloatTensorType
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    given: dict[str, Any] = {
        "initial_types": [("rows", number([None, trees.n_features]))], "target_opset": ONNX_OPSET,
    }  # fmt: skip
    models = {
        "lightgbm": converters.convert_lightgbm(trees.lightgbm.booster, **given),
        "xgboost": converters.convert_xgboost(as_regression(trees.xgboost), **given),
    }
    for booster, model in models.items():
        session = runtime.InferenceSession(model.SerializeToString(), options)

        def score(rows: Rows, session: Any = session) -> Any:  # noqa: ANN401 - as the library has it
            return session.run(None, {"rows": rows})[0].ravel()

        yield Way(f"ONNX Runtime, of {booster}", booster, score)


def _one_dal(trees: Trees) -> Iterator[Way]:
    """Intel's oneDAL, whose thresholds are float32; it knows no ranking objective."""
    convert = import_module("daal4py").mb.convert_model
    text = trees.lightgbm.to_text().replace("lambdarank", "regression")
    boosters = {"lightgbm": lgb.Booster(model_str=text), "xgboost": as_regression(trees.xgboost)}
    for booster, regression in boosters.items():
        model = convert(regression)

        def score(rows: Rows, model: Any = model) -> Any:  # noqa: ANN401 - as the library has it
            return model.predict(rows).ravel()

        yield Way(f"oneDAL, of {booster}", booster, score)


def as_regression(ranker: XgBoostRanker) -> xgb.Booster:
    """The same trees under an objective and column names that converters know."""
    content = json.loads(ranker.to_text())
    content["learner"]["objective"] = {
        "name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"},
    }  # fmt: skip
    booster = xgb.Booster(model_file=bytearray(json.dumps(content), "utf-8"))
    booster.feature_names = None
    return booster


OTHERS: Final[Mapping[tuple[str, ...], Callable[[Trees], Iterator[Way]]]] = {
    ("treelite",): _gtil,
    ("tl2cgen", "treelite"): _compiled_c,
    ("lleaves", "llvmlite"): _lleaves,
    ("onnxruntime", "onnxmltools"): _onnx,
    ("daal4py",): _one_dal,
}
"""By the libraries that each needs."""


def other_ways(trees: Trees) -> Iterator[Way]:
    """Those of libraries that are installed; of each other a line says that it is left out."""
    for libraries, ways in OTHERS.items():
        if missing := [name for name in libraries if find_spec(name) is None]:
            print(f"skipped: {libraries[0]} ({', '.join(missing)} not installed)")
        else:
            yield from ways(trees)


def left_out() -> list[str]:
    """Those of which a library is not installed."""
    return [names[0] for names in OTHERS if any(find_spec(name) is None for name in names)]


def versions() -> dict[str, str]:
    """Of the libraries that were measured."""
    needed = {name for libraries in OTHERS for name in libraries}
    found = {name: version(DISTRIBUTIONS.get(name, name)) for name in sorted(needed) if find_spec(name)}
    return {"lightgbm": lgb.__version__, "xgboost": xgb.__version__, **found}
