"""musicnn without its dead filters gives what musicnn gives."""

import numpy as np
import pytest
import torch

from genrekit.features.spec import FeatureSpec
from genrekit.networks.musicnn import Musicnn
from genrekit.networks.musicnn_compact import CompactMusicnn

SPEC = FeatureSpec(sample_rate=16000, n_fft=512, hop_length=256, n_mels=96, mean=-30.0, std=20.0)
TAPS = ("embedding", "tags")


def network(share_alive: float) -> Musicnn:
    """A musicnn with random weights and norms, most of whose front filters are dead."""
    torch.manual_seed(0)
    made = Musicnn(SPEC, TAPS).eval()
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.weight.uniform_(-1, 1)
                module.bias.uniform_(-1, 1)
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(0.5, 2)
        for convolution in made.front:
            dead = torch.rand(len(convolution.weight)) > share_alive
            convolution.weight[dead] = 0
    return made


@pytest.mark.parametrize("n_frames", [188, 150])
def test_equals_musicnn_with_dead_filters_and_negative_norms(n_frames: int) -> None:
    full = network(0.1)
    compact = CompactMusicnn(full, TAPS).eval()
    features = torch.from_numpy(
        np.random.default_rng(1).normal(size=(3, 96, n_frames)).astype(np.float32)
    )
    with torch.no_grad():
        expected, given = full(features), compact(features)
    assert given.shape == (3, 250)
    assert torch.allclose(given, expected, rtol=1e-4, atol=1e-4)


def test_the_pooled_tap_holds_live_maps_only() -> None:
    full = network(0.1)
    compact = CompactMusicnn(full, ("pooled",))
    n_live = sum(int((c.weight.flatten(1).norm(dim=1) > 0).sum()) for c in full.front)
    assert compact.n_features == 2 * (n_live + 3 * 64)
    assert compact(torch.zeros(2, 96, 188)).shape == (2, compact.n_features)


@pytest.mark.shared
def test_equals_the_published_network(shared_data) -> None:
    full = Musicnn(SPEC, TAPS).eval()
    full.load_npz(shared_data / "weights" / "MSD_musicnn.npz")
    compact = CompactMusicnn(full, TAPS).eval()
    features = torch.rand(2, 96, 188, generator=torch.Generator().manual_seed(0)) * 4 - 2
    with torch.no_grad():
        assert torch.allclose(compact(features), full(features), atol=1e-4)
    n_values = sum(p.numel() for p in [*compact.parameters(), *compact.buffers()])
    assert n_values < 400_000 < sum(p.numel() for p in full.parameters())
