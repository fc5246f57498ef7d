"""Number 7 of what was measured: rings come apart layer by layer, in 20 fresh networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.techniques.train_mlp import TrainMLP

NETWORKS = 20


@pytest.mark.hard
def test_rings_come_apart_in_twenty_fresh_networks(seed: int, say: Callable[[str], None]) -> None:
    """Held-out means L1 65-75, L2 80-92, L3 >= 94; each network gains > 5 points; untrained <= 62.

    The other controls stay below the first layer's probe too.
    """
    result = TrainMLP(instances=NETWORKS, record=2, seed=seed).run(None)
    probes, control, untrained, shuffled = 100 * result.accuracies  # [network, site] each
    means = probes.mean(axis=0)
    gains = probes[:, 3] - probes[:, 1]
    say(
        f"input and layers {np.round(means, 1)}, network {100 * result.accuracy.mean():.1f} %, "
        f"smallest gain {gains.min():.1f}, untrained {np.round(untrained.mean(axis=0), 1)}, "
        f"control task {np.round(control.mean(axis=0), 1)}, "
        f"shuffled {np.round(shuffled.mean(axis=0), 1)}"
    )
    assert np.isfinite(result.accuracies).all()
    assert 65 <= means[1] <= 75
    assert 80 <= means[2] <= 92
    assert means[3] >= 94
    assert (gains > 5).all()
    assert untrained.mean(axis=0).max() <= 62
    assert shuffled.mean(axis=0).max() <= 62
    assert control.mean(axis=0).max() < means[1]
