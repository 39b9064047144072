"""Sampling that continues a chunk: the recorded toy, and properties on tiny models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import golden_model_case as golden
import numpy as np
import pytest
import torch
from torch import Tensor

from vla_core.rtc import Schedule, prefix_weights
from vla_policy.models.config import Pi0Config
from vla_policy.models.pi0 import Velocity, integrate
from vla_policy.models.random_init import random_pi0
from vla_policy.models.rtc import Guidance, guide, sample_committed, sample_guided

both_families = pytest.mark.parametrize("family", golden.FAMILIES)
FOLDER = golden.GOLDEN / "rtc"
CASES = json.loads((FOLDER / "cases.json").read_text())["guided"]
with np.load(FOLDER / "guided.npz", allow_pickle=False) as arrays:
    ARRAYS = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
NOISE, PREVIOUS = ARRAYS["noise"], ARRAYS["previous"]
HORIZON, DIMS = NOISE.shape[1:]
CLOSE = {"rtol": 0, "atol": 1e-6}


def toy(x_BHA: Tensor, time: float) -> Tensor:
    """The denoiser of the recordings; its formula is in cases.json."""
    t = {name.removeprefix("toy/"): array for name, array in ARRAYS.items() if "toy/" in name}
    mixed = torch.einsum("ij,bjd->bid", t["M"], x_BHA)
    return -(torch.tanh(mixed @ t["W1"] + t["b1"] + (1.0 - time) * t["c"]) @ t["W2"])


def guidance(case: dict[str, Any], *, end: int, vjp: bool, target: Tensor) -> Guidance:
    weights = prefix_weights(
        Schedule(case["schedule"]), delay=case["inference_delay"], end=end, total=HORIZON
    )
    weights = torch.from_numpy(weights).to(torch.float32)[:, None].expand(HORIZON, DIMS)
    return Guidance(
        target=target, weights=weights, max_weight=case["max_guidance_weight"], vjp=vjp
    )


@pytest.mark.parametrize("case", CASES["kinetix"], ids=lambda case: case["schedule"])
def test_guided_sampling_with_the_jacobian_is_the_recorded_one(case: dict[str, Any]) -> None:
    pulled = guidance(case, end=case["prefix_attention_horizon"], vjp=True, target=PREVIOUS)
    found = integrate(guide(toy, pulled), NOISE, case["num_steps"])
    recorded = ARRAYS[f"guided/{case['case']}/actions"]
    np.testing.assert_allclose(found, recorded, **CLOSE)
    without = guidance(case, end=case["prefix_attention_horizon"], vjp=False, target=PREVIOUS)
    assert (integrate(guide(toy, without), NOISE, case["num_steps"]) - recorded).abs().max() > 1e-3


def test_sampling_of_the_toy_without_guidance_is_the_recorded_one() -> None:
    found = integrate(toy, NOISE, CASES["unguided_num_steps"])
    np.testing.assert_allclose(found, ARRAYS["guided/unguided"], **CLOSE)


@pytest.mark.parametrize("case", CASES["lerobot"], ids=lambda case: case["schedule"])
def test_one_guided_velocity_without_the_jacobian_is_the_recorded_one(
    case: dict[str, Any],
) -> None:
    length, dims = case["leftover_len"], case["leftover_dims"]
    target = torch.zeros_like(PREVIOUS)
    target[:, :length, :dims] = PREVIOUS[:, :length, :dims]
    pulled = guidance(case, end=min(case["execution_horizon"], length), vjp=False, target=target)
    found = guide(toy, pulled)(NOISE, case["t"])
    np.testing.assert_allclose(found, ARRAYS[f"lerobot/{case['case']}/velocity"], **CLOSE)
    free = ARRAYS[f"lerobot/{case['case']}/unguided"]
    np.testing.assert_allclose(toy(NOISE, case["t"]), free, **CLOSE)


def test_sampling_without_the_jacobian_is_the_recorded_one() -> None:
    case = CASES["lerobot_euler"]
    pulled = guidance(case, end=case["execution_horizon"], vjp=False, target=PREVIOUS)
    found = integrate(guide(toy, pulled), NOISE, case["num_steps"])
    np.testing.assert_allclose(found, ARRAYS["lerobot/euler/actions"], **CLOSE)


@contextmanager
def counted_gradients(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    calls, real = [], torch.autograd.grad

    def grad(*args: Any, **options: Any) -> Any:
        calls.append(1)
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torch.autograd, "grad", grad)
        yield calls


def some_target(family: str, weights: Tensor, *, vjp: bool = False) -> Guidance:
    target = golden.given(family, "actions")[0]
    return Guidance(target=target, weights=weights, max_weight=10.0, vjp=vjp)


def first_pulled(family: str, steps: int) -> Tensor:
    weights = torch.zeros_like(golden.given(family, "actions")[0])
    weights[:steps] = 1.0
    return weights


@both_families
def test_guidance_without_the_jacobian_builds_no_graph(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, noise = (
        golden.model(family),
        golden.inputs(family),
        golden.given(family, "noise"),
    )
    graphs: list[bool] = []

    def watched(velocity: Velocity) -> Velocity:
        def watch(x: Tensor, time: float) -> Tensor:
            out = velocity(x, time)
            graphs.append(out.requires_grad)
            return out

        return watch

    flow = model.flow
    monkeypatch.setattr(model, "flow", lambda inputs: watched(flow(inputs)))
    for vjp, steps in ((False, 0), (True, 3)):
        with counted_gradients(monkeypatch) as calls:
            pulled = some_target(family, first_pulled(family, 2), vjp=vjp)
            found = sample_guided(model, inputs, noise, 3, pulled)
        assert len(calls) == steps
        assert not found.requires_grad
        assert graphs == [vjp] * 3
        graphs.clear()
    assert all(parameter.grad is None for parameter in model.parameters())


@both_families
@pytest.mark.parametrize("vjp", [False, True])
def test_guided_sampling_without_weights_is_plain_sampling_bit_for_bit(
    family: str, vjp: bool
) -> None:
    model, inputs, noise = (
        golden.model(family),
        golden.inputs(family),
        golden.given(family, "noise"),
    )
    pulled = some_target(family, first_pulled(family, 0), vjp=vjp)
    found = sample_guided(model, inputs, noise, 3, pulled)
    assert torch.equal(found, model.sample_actions(inputs, noise, 3))


@both_families
@pytest.mark.parametrize("vjp", [False, True])
def test_guided_sampling_leaves_its_arguments_as_they_are(family: str, vjp: bool) -> None:
    model, inputs = golden.model(family), golden.inputs(family)
    noise = golden.given(family, "noise").clone()
    pulled = some_target(family, first_pulled(family, 2), vjp=vjp)
    given = [noise, pulled.target, pulled.weights, inputs.state, *inputs.images.values()]
    before = [tensor.clone() for tensor in given]
    sample_guided(model, inputs, noise, 2, pulled)
    sample_committed(model, inputs, noise, 2, pulled.target[:2])
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
    assert not any(tensor.requires_grad for tensor in given)


@pytest.mark.parametrize("pi05", [False, True])
def test_guidance_pulls_the_first_actions_of_a_random_model(pi05: bool) -> None:
    config = Pi0Config.tiny(pi05=pi05, vocab_size=2000)
    model = random_pi0(config, seed=1)
    inputs = golden.inputs("pi05" if pi05 else "pi0")
    shape = (len(inputs.state), config.action_horizon, config.action_dim)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weights = torch.zeros(shape[1:])
    weights[:4, :7] = 1.0
    target = model.sample_actions(inputs, noise, 10) + 0.5
    pulled = Guidance(target=target, weights=weights, max_weight=10.0, vjp=False)
    offset = (sample_guided(model, inputs, noise, 10, pulled) - target)[:, :4, :7].abs()
    assert offset.max() < 0.25
    assert offset.mean() < 0.1


def test_without_the_jacobian_what_has_no_weight_is_not_pulled() -> None:
    weights = torch.zeros(HORIZON, DIMS)
    weights[:3, :2] = 1.0
    pulled = Guidance(target=PREVIOUS, weights=weights, max_weight=10.0, vjp=False)
    changed = guide(toy, pulled)(NOISE, 0.5) != toy(NOISE, 0.5)
    assert torch.equal(changed, (weights > 0).expand_as(changed))


def smooth_flow(horizon: int) -> Velocity:
    """The exact flow to chunks drawn from a Gaussian process that is smooth in time."""
    steps = torch.arange(horizon, dtype=torch.float64)
    covariance = torch.exp(-(((steps[:, None] - steps) / 6.0) ** 2))

    def velocity(x_BHA: Tensor, time: float) -> Tensor:
        share = 1.0 - time
        noisy = share**2 * covariance + time**2 * torch.eye(horizon, dtype=torch.float64)
        clean_BHA = share * covariance @ torch.linalg.solve(noisy, x_BHA)
        return (x_BHA - clean_BHA) / time

    return velocity


@pytest.mark.parametrize("schedule", list(Schedule))
@pytest.mark.parametrize("vjp", [False, True])
def test_a_guided_chunk_continues_the_previous_one_and_stays_smooth(
    schedule: Schedule, vjp: bool
) -> None:
    horizon, delay = 24, 4
    flow, generator = smooth_flow(horizon), torch.Generator().manual_seed(2)
    drawn = torch.randn(2, 8, horizon, 3, generator=generator, dtype=torch.float64)
    previous, free = integrate(flow, drawn[0], 10), integrate(flow, drawn[1], 10)
    weights = torch.from_numpy(prefix_weights(schedule, delay=delay, end=12, total=horizon))
    pulled = Guidance(target=previous, weights=weights[:, None], max_weight=10.0, vjp=vjp)
    found = integrate(guide(flow, pulled), drawn[1], 10)
    scale = (free - previous)[:, :delay].abs().mean()
    assert (found - previous)[:, :delay].abs().mean() < 0.1 * scale
    joined = torch.cat((previous[:, :delay], found[:, delay:]), dim=1)
    jump = joined.diff(dim=1)[:, delay - 1].abs().mean()
    cut = torch.cat((previous[:, :delay], free[:, delay:]), dim=1)
    assert jump < 0.3 * cut.diff(dim=1)[:, delay - 1].abs().mean()


@both_families
def test_committed_actions_come_out_bit_for_bit(family: str) -> None:
    model, inputs, noise = (
        golden.model(family),
        golden.inputs(family),
        golden.given(family, "noise"),
    )
    committed = golden.given(family, "actions")[0, :3]
    found = sample_committed(model, inputs, noise, 3, committed)
    assert torch.equal(found[:, :3], committed.expand(2, -1, -1))
    free = model.sample_actions(inputs, noise, 3)
    assert not torch.equal(found[:, 3:], free[:, 3:])  # the rest has seen them
    assert torch.equal(sample_committed(model, inputs, noise, 3, committed[:0]), free)


@both_families
def test_one_time_for_all_actions_is_the_same_as_that_time_for_each(family: str) -> None:
    model, inputs = golden.model(family), golden.inputs(family)
    noisy, time = golden.noisy_actions(family), golden.given(family, "time")
    with torch.no_grad():
        cache = model.encode_prefix(inputs)
        shared = model.velocity(cache, inputs.state, noisy, time)
        each_time = time[:, None].expand(noisy.shape[:2]).clone()
        each = model.velocity(cache, inputs.state, noisy, each_time)
        np.testing.assert_allclose(each, shared, rtol=0, atol=1e-5)
        each_time[:, 0] = 0.0
        assert not torch.allclose(model.velocity(cache, inputs.state, noisy, each_time), shared)
