"""Trees as machine code: eight rows at a time, each split a comparison, and no jumps.

LightGBM walks its trees row by row, which was a third of what a list costs, most of it lost where the
processor guessed a jump wrongly. Here every split of a tree is decided for eight rows at once, and its
children are selected from the leaves upwards: more arithmetic than a walk, in a tenth of the time
(benchmarks/ranker_speed.py). The bits are the same: the same leaves are added up in the same order and
precision. Sources of the ideas: Asadi, Lin, de Vries (2014), "Runtime Optimizations for Tree-Based Machine
Learning Models", section 3 (code generation) and 4 (predication).
"""

import ctypes
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from marquee.ranking.lightgbm_trees import Tree, Trees, UnsupportedTreesError, read_trees

_PROBES: Final = 256
"""Rows on which the code is held against LightGBM before it is used."""
_ENTRY: Final = "score"
_LANES: Final = 8
"""Rows decided at once; where a processor's registers are narrower, LLVM takes several."""
_FLOATS: Final = f"<{_LANES} x float>"
_DOUBLES: Final = f"<{_LANES} x double>"


def can_compile() -> bool:
    """Whether the compiler is installed: servers have it, see `serving` in pyproject.toml."""
    return find_spec("llvmlite") is not None


@dataclass(frozen=True, eq=False)
class CompiledTrees:
    """Code that scores rows on the caller's thread, without holding the interpreter's lock."""

    n_features: int
    _call: Callable[[int, int, int], None] = field(repr=False)
    _engine: Any = field(repr=False)  # owns the code's memory

    @classmethod
    def of(cls, trees: Trees) -> Self:
        """Compile trees, in a few tenths of a second."""
        engine = _compiled(_module(trees))
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
        return cls(trees.n_features, signature(engine.get_function_address(_ENTRY)), engine)

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Raw scores of `(n_rows, n_features)` rows, `(n_rows,) float64`, to the bit as LightGBM's.

        Raises:
            ValueError: rows of another width, which the code would read beyond their end.
        """
        if features.ndim != 2 or features.shape[1] != self.n_features:
            raise ValueError(f"the trees read {self.n_features} features, not rows of {features.shape}")
        n = len(features)
        n_padded = -(-n // _LANES) * _LANES
        columns = np.empty((self.n_features, n_padded), np.float32)
        columns[:, :n], columns[:, n:] = features.T, 0
        scores = np.zeros(n_padded, np.float64)
        self._call(_address(columns), n_padded, _address(scores))
        return scores[:n]


def _address(array: NDArray[Any]) -> int:
    """Where its numbers begin: `array.ctypes` says the same through objects of its own."""
    place: int = array.__array_interface__["data"][0]
    return place


def probes(trees: Trees, *, seed: int = 0) -> NDArray[np.float32]:
    """Rows that lie on the thresholds and a hair above, far off, at zero and nowhere."""
    rng = np.random.default_rng(seed)
    rows = np.empty((_PROBES, trees.n_features), np.float32)
    for column, thresholds in enumerate(trees.thresholds()):
        known = np.array([*thresholds, 0], np.float32)
        above = np.nextafter(known, np.float32(np.inf))
        choice = np.concatenate([known, above, -known, np.array([np.nan, np.inf, -np.inf], np.float32)])
        rows[:, column] = rng.choice(choice, _PROBES)
    return rows


def _compiled(code: str) -> Any:  # noqa: ANN401 - llvmlite has no types
    import llvmlite.binding as llvm  # noqa: PLC0415 - a hundred megabytes that only a server needs

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # In LLVM's own context, which is never freed: the collector may free one of ours before the engine in it.
    module = llvm.parse_assembly(code)
    module.verify()
    # An optimiser finds a sixth to save, for half a second at every load of a bundle.
    machine = llvm.Target.from_default_triple().create_target_machine(
        opt=0, cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten()
    )
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


def _module(model: Trees) -> str:
    """A function a tree, which adds its leaves to all rows' scores, and one that calls them in order."""
    functions = [_function(at, tree) for at, tree in enumerate(model.trees)]
    calls = [f"call void @tree{at}(ptr %columns, i64 %n, ptr %scores)" for at in range(len(functions))]
    entry = f"define void @{_ENTRY}(ptr %columns, i64 %n, ptr %scores) {{"
    start = "%any = icmp sgt i64 %n, 0\nbr i1 %any, label %some, label %done\nsome:"
    return "\n".join([*functions, entry, start, *calls, "br label %done\ndone:\nret void", "}"])


def _function(at: int, tree: Tree) -> str:
    """A loop over the rows, `n` of them, padded to whole `_LANES`; features lie column by column."""
    root = "%chosen0" if tree.feature else _leaf(tree.leaf[0])
    steps = "\n".join([*map(_load, sorted(set(tree.feature))), *_selections(tree)])
    return f"""define internal void @tree{at}(ptr noalias readonly %columns, i64 %n, ptr noalias %scores) {{
start:
br label %each
each:
%i = phi i64 [0, %start], [%next, %each]
{steps}
%score = getelementptr double, ptr %scores, i64 %i
%before = load {_DOUBLES}, ptr %score, align 8
%sum = fadd {_DOUBLES} %before, {root}
store {_DOUBLES} %sum, ptr %score, align 8
%next = add i64 %i, {_LANES}
%more = icmp slt i64 %next, %n
br i1 %more, label %each, label %done
done:
ret void
}}"""


def _load(feature: int) -> str:
    return f"""%column{feature} = mul i64 %n, {feature}
%place{feature} = add i64 %column{feature}, %i
%at{feature} = getelementptr float, ptr %columns, i64 %place{feature}
%value{feature} = load {_FLOATS}, ptr %at{feature}, align 4"""


def _selections(tree: Tree) -> Iterator[str]:
    """What each split comes to, children before their parents: a parent is always of a lower number."""
    for split in reversed(range(len(tree.feature))):
        # `ole` is false of a NaN, `ule` is true.
        comparison = "ule" if tree.nan_goes_left[split] else "ole"
        threshold = f"splat (float {_constant(tree.threshold[split])})"
        left, right = (
            f"%chosen{child}" if child >= 0 else _leaf(tree.leaf[~child])
            for child in (tree.left[split], tree.right[split])
        )
        yield f"%left{split} = fcmp {comparison} {_FLOATS} %value{tree.feature[split]}, {threshold}"
        yield f"%chosen{split} = select <{_LANES} x i1> %left{split}, {_DOUBLES} {left}, {_DOUBLES} {right}"


def _leaf(value: float) -> str:
    return f"splat (double {_constant(value)})"


def _constant(value: float | np.float32) -> str:
    """A number to the bit; LLVM writes those of 32 bits like those of 64, too."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"


def compiled_like(
    text: str, reference: Callable[[NDArray[np.float32]], NDArray[np.float64]]
) -> CompiledTrees | None:
    """The model compiled; None where that can't be, or where it does not score `probes` to the bit alike.

    Args:
        text: in LightGBM's own format.
        reference: scores rows by LightGBM.
    """
    if not can_compile():
        return None
    try:
        trees = read_trees(text)
    except UnsupportedTreesError:
        return None
    compiled, rows = CompiledTrees.of(trees), probes(trees)
    return compiled if np.array_equal(compiled.score(rows), reference(rows)) else None
