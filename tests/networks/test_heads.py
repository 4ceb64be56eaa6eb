"""Heads as dense layers alone, which is how they go behind a frozen network."""

from __future__ import annotations

import pytest
import torch

from genrekit.networks.heads import Head


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("hidden", [0, 7])
def test_the_dense_layers_give_what_the_head_gives(hidden: int, batch_norm: bool) -> None:
    torch.manual_seed(0)
    head = Head(5, 3, hidden, dropout=0.5, batch_norm=batch_norm)
    embeddings = 3 + 2 * torch.randn(64, 5)
    head.standardise.fit(embeddings.mean(0), embeddings.std(0))
    head.train()(embeddings)  # moves the running statistics of batch norm
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    with torch.no_grad():
        expected = head.eval()(embeddings)
    found = embeddings
    layers = head.dense_layers()
    for index, (weight, bias) in enumerate(layers):
        found = found @ weight + bias
        found = found.relu() if index + 1 < len(layers) else found
    assert torch.allclose(found, expected, atol=1e-4)
