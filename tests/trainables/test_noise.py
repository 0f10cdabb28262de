"""Noise that is a function of its key."""

import numpy as np
import torch

from trainables.kit.noise import KeyedDropout, keys, mix, uniform


def test_numbers_are_uniform_and_uncorrelated_along_every_axis():
    numbers = uniform(keys(mix(1, 2, 3), torch.arange(300)[:, None], torch.arange(10)), 32).double()
    assert numbers.min() > 0 and numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.003
    assert abs(numbers.var() - 1 / 12) < 0.001
    for a, b in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1]), (numbers[..., 1:], numbers[..., :-1])):
        assert abs(np.corrcoef(a.flatten(), b.flatten())[0, 1]) < 0.015


def test_a_key_gives_the_same_numbers_whatever_stands_beside_it():
    whole = uniform(keys(7, torch.arange(10)), 4)
    assert torch.equal(uniform(keys(7, torch.tensor([3, 9])), 4), whole[[3, 9]])
    assert not torch.equal(uniform(keys(8, torch.arange(10)), 4), whole)


def test_splitmix64_gives_its_published_first_numbers():
    # First outputs of splitmix64 seeded with 1234567 (Vigna's reference implementation).
    from trainables.kit.noise import _GOLDEN, _hash

    state = torch.tensor([1234567 + _GOLDEN * step for step in (1,)], dtype=torch.int64)
    assert int(_hash(state)[0]) % 2**64 == 6457827717110365317


def test_dropout_drops_its_share_keeps_the_mean_and_passes_unchanged_in_eval_mode():
    dropout = KeyedDropout(0.3)
    x, key_N = torch.ones(4000, 5, 4), keys(1, torch.arange(4000))
    y = dropout(x, key_N)
    assert abs((y == 0).float().mean().item() - 0.3) < 0.01
    assert abs(y.mean().item() - 1) < 0.01
    assert torch.equal(dropout(x[10:20], key_N[10:20]), y[10:20])
    assert dropout.eval()(x, key_N) is x
