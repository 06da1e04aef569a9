"""Trees as machine code: each split a comparison with a constant, each tree a function.

LightGBM walks its trees as tables, which is a third of what a list costs. The same trees compiled take a
third to a quarter of that, and give the same bits: scores are added up in the same order and precision
(benchmarks/compiled_trees.py). Source of the idea: Asadi, Lin, de Vries (2014), "Runtime Optimizations for
Tree-Based Machine Learning Models", section 3, which calls it code generation.
"""

import ctypes
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from marquee.ranking.lightgbm_trees import Tree, Trees, UnsupportedTreesError, read_trees

_PROBES: Final = 256
"""Rows on which the code is held against LightGBM before it is used."""
_ENTRY: Final = "score"


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
        rows = np.ascontiguousarray(features, np.float32)
        scores = np.zeros(len(rows), np.float64)
        self._call(rows.ctypes.data, len(rows), scores.ctypes.data)
        return scores


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
    # Comparisons and jumps leave an optimiser nothing to do, and it would take a second and more.
    machine = llvm.Target.from_default_triple().create_target_machine(
        opt=0, cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten()
    )
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


def _module(model: Trees) -> str:
    """All trees, and what asks them in turn for all rows: a tree's code stays in the cache meanwhile."""
    trees = model.trees
    functions = [_function(at, tree) for at, tree in enumerate(trees)]
    loops = [_loop(at, model.n_features, is_last=at == len(trees) - 1) for at in range(len(trees))]
    first = "tree0" if trees else "done"
    entry = f"define void @{_ENTRY}(ptr noalias %rows, i64 %n, ptr noalias %scores) {{"
    start = f"start:\n%any = icmp sgt i64 %n, 0\nbr i1 %any, label %{first}, label %done"
    return "\n".join([*functions, entry, start, *loops, "done:\nret void", "}"])


def _function(at: int, tree: Tree) -> str:
    lines = [f"define internal fastcc double @tree{at}(ptr readonly %row) {{"]
    if not tree.feature:
        return "\n".join([*lines, f"ret double {_constant(tree.leaf[0])}", "}"])
    lines.append("br label %split0")
    for split, feature in enumerate(tree.feature):
        # `ole` is false of a NaN, `ule` is true.
        comparison = "ule" if tree.nan_goes_left[split] else "ole"
        lines += [
            f"split{split}:",
            f"%at{split} = getelementptr float, ptr %row, i64 {feature}",
            f"%value{split} = load float, ptr %at{split}",
            f"%left{split} = fcmp {comparison} float %value{split}, {_constant(tree.threshold[split])}",
            f"br i1 %left{split}, label %{_child(tree.left[split])}, label %{_child(tree.right[split])}",
        ]
    for leaf, value in enumerate(tree.leaf):
        lines += [f"leaf{leaf}:", f"ret double {_constant(value)}"]
    return "\n".join([*lines, "}"])


def _child(child: int) -> str:
    return f"split{child}" if child >= 0 else f"leaf{~child}"


def _loop(at: int, n_features: int, *, is_last: bool) -> str:
    after = "done" if is_last else f"tree{at + 1}"
    return f"""tree{at}:
br label %each{at}
each{at}:
%i{at} = phi i64 [0, %tree{at}], [%next{at}, %each{at}]
%offset{at} = mul i64 %i{at}, {n_features}
%row{at} = getelementptr float, ptr %rows, i64 %offset{at}
%adds{at} = call fastcc double @tree{at}(ptr %row{at})
%score{at} = getelementptr double, ptr %scores, i64 %i{at}
%before{at} = load double, ptr %score{at}
%sum{at} = fadd double %before{at}, %adds{at}
store double %sum{at}, ptr %score{at}
%next{at} = add i64 %i{at}, 1
%more{at} = icmp slt i64 %next{at}, %n
br i1 %more{at}, label %each{at}, label %{after}"""


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
