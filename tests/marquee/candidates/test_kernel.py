import numpy as np
import pytest

from marquee.candidates.kernel import KernelConfig, KernelRidge
from tests.conformance import RouteConformance
from tests.factories import all_histories, checkerboard, events, histories


class TestKernelRidge(RouteConformance):
    def fit(self, interactions, seed):
        return KernelRidge.fit(interactions, KernelConfig(), seed=seed)


def test_kernel_of_a_single_user_equals_arithmetic_by_hand():
    # One user with both of two items, asked with the same history: k ÷ (k + λ k) = 1 ÷ 1.25.
    learned = events(("u", "a", 0), ("u", "b", 1))
    route = KernelRidge.fit(learned, KernelConfig(regularization=0.25), seed=1)

    scores = route.score(all_histories(learned))

    assert scores[0].tolist() == pytest.approx([0.8, 0.8])


def test_kernel_of_opposite_tastes_equals_arithmetic_by_hand():
    # Rows (1,0) and (0,1): with 2 items, shared = .1, own = 1.1; angle = π - arccos(1/11).
    route = KernelRidge.fit(events(("u", "a", 0), ("v", "b", 1)), KernelConfig(regularization=1.0), seed=1)
    angle = np.pi - np.arccos(1 / 11)
    other = 1.1 * (np.sqrt(1 - 1 / 121) + angle / 11) / np.pi + 0.1 + 0.1 * angle / np.pi
    own = 1.1 + 0.1 + 1.1  # angle π
    # (k) (K + own I)⁻¹ of the asker "u"
    weights = np.array([own, other]) @ np.linalg.inv(np.array([[2 * own, other], [other, 2 * own]]))

    scores = route.score(histories([(0, 0)]))

    assert scores[0].tolist() == pytest.approx(weights.tolist(), rel=1e-5)


def test_kernel_remembers_at_most_the_configured_users():
    route = KernelRidge.fit(checkerboard(8), KernelConfig(max_users=3), seed=1)

    assert route.users.shape[0] == 3
    assert route.inverse.shape == (3, 3)
