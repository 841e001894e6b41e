"""The mixture of Eq. 2 and 3 beside scikit-learn's GaussianMixture of one fixed spherical variance."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pcan_model.model.prototypes import assign, fit_prototypes, unit_keys

SIGMA2 = 0.1


@pytest.fixture(scope="module")
def mixture() -> Any:
    """Return scikit-learn's module, which is slow to import: only the process that runs these tests does."""
    return pytest.importorskip("sklearn.mixture", reason="scikit-learn is for checks only")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return unit_keys(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


def one_em_step(mixture: Any, keys: Tensor, mu: Tensor) -> Any:
    """Return scikit-learn's mixture after one E and one M step from these means."""
    count = len(mu)
    fitted = mixture.GaussianMixture(
        count,
        covariance_type="spherical",
        weights_init=np.full(count, 1 / count),
        means_init=mu.double().numpy(),
        precisions_init=np.full(count, 1 / SIGMA2),
        max_iter=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one step is no convergence
        return fitted.fit(keys.double().numpy())


def test_em_goes_step_for_step_as_scikit_learn_does(mixture: Any) -> None:
    """Its variances and weights, fitted too, are put back to the fixed ones before each step."""
    keys, start = drawn(200, 6), drawn(5, 6, seed=1)
    theirs = start
    for steps in range(1, 7):
        theirs = torch.from_numpy(one_em_step(mixture, keys, theirs).means_)
        ours = fit_prototypes(keys[None], None, start[None], sigma2=SIGMA2, steps=steps)[0]
        torch.testing.assert_close(ours, theirs.float(), atol=1e-4, rtol=1e-4)
    assert (ours - start).abs().max() > 0.1, "the steps must have moved something"


def test_assignment_is_scikit_learns_posterior(mixture: Any) -> None:
    keys, mu = drawn(50, 6), drawn(5, 6, seed=1)
    theirs = mixture.GaussianMixture(5, covariance_type="spherical")
    theirs.weights_, theirs.means_ = np.full(5, 0.2), mu.double().numpy()
    theirs.precisions_cholesky_ = np.full(5, SIGMA2**-0.5)
    expected = torch.from_numpy(theirs.predict_proba(keys.double().numpy())).float()
    torch.testing.assert_close(assign(keys[None], mu[None], SIGMA2)[0], expected, atol=1e-6, rtol=1e-4)
