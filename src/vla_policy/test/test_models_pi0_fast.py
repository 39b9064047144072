"""pi0-FAST writes the tokens that the public references write."""

from __future__ import annotations

import math
from dataclasses import replace

import golden_model_case as golden
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from vla_core.errors import CheckpointError, PolicyError
from vla_policy.models import pi0_fast
from vla_policy.models.build import build_model
from vla_policy.models.config import FastLayout, Pi0Config, Pi0FastConfig
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.pi0_fast import BOS, Pi0Fast
from vla_policy.models.random_init import random_pi0_fast

LOGITS, LOSS, OWN = 1e-4, 1e-4, 1e-5  # OWN: cached and uncached passes of the same arithmetic
G = "paligemma_with_expert.paligemma.model.language_model."
both_layouts = pytest.mark.parametrize("layout", FastLayout)


def model(layout: FastLayout = FastLayout.OPENPI) -> Pi0Fast:
    found = golden.fast_model()
    found.config = replace(found.config, layout=layout)
    return found


def test_greedy_tokens_and_their_logits_are_the_recorded_ones() -> None:
    case = golden.recorded(golden.FAST)
    found = model().generate(golden.fast_inputs(), keep_logits=True)
    np.testing.assert_array_equal(found.tokens.numpy(), case["out/tokens"])
    assert found.logits is not None
    assert golden.rel(found.logits, case["out/logits"]) < LOGITS
    assert found.steps == case["out/logits"].shape[1]


def test_generation_ends_with_the_recorded_end_of_sequence() -> None:
    case = golden.recorded(golden.FAST)
    found = model().generate(golden.fast_inputs("stop/"), keep_logits=True)
    np.testing.assert_array_equal(found.tokens.numpy(), case["out/stop/tokens"])
    assert found.logits is not None
    assert golden.rel(found.logits, case["out/stop/logits"]) < LOGITS
    assert found.steps < found.tokens.shape[1]


def test_loss_is_the_recorded_one() -> None:
    case = golden.recorded(golden.FAST)
    found = model().loss(
        golden.fast_inputs("train/"),
        golden.given(golden.FAST, "train/token_ar_mask"),
        golden.given(golden.FAST, "train/token_loss_mask"),
    )
    assert golden.rel(found, case["out/loss"]) < LOSS


def test_bfloat16_is_as_near_to_float32_as_the_reference_is() -> None:
    case, narrow = golden.recorded(golden.FAST), golden.fast_model(torch.bfloat16)
    logits = narrow.generate(golden.fast_inputs(), keep_logits=True, max_steps=1).logits
    with torch.no_grad():
        loss = narrow.loss(
            golden.fast_inputs("train/"),
            golden.given(golden.FAST, "train/token_ar_mask"),
            golden.given(golden.FAST, "train/token_loss_mask"),
        )
    assert logits is not None
    pairs = (
        (logits, case["out/logits"][:, :1], case["out_bf16/logits"][:, :1]),
        (loss, case["out/loss"], case["out_bf16/loss"]),
    )
    for found, reference, own in pairs:
        assert found.dtype == torch.float32
        tolerance = max(3 * golden.rel(torch.from_numpy(own), reference), 1e-2)
        assert golden.rel(found, reference) < tolerance


def written_out(network: Pi0Fast, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
    """Logits of all tokens in one pass, from the formulas alone, in float64."""
    weights = {name: w.double() for name, w in network.state_dict().items()}
    sizes = network.config.paligemma

    def norm(x: Tensor, name: str) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * (1 + weights[name])

    turns = 1e4 ** (-torch.arange(0, sizes.head_dim, 2, dtype=torch.float64) / sizes.head_dim)
    turn = torch.exp(1j * positions[..., None, None].double() * turns)  # (B, S, 1, K/2)

    def rotated(x: Tensor) -> Tensor:
        pairs = torch.complex(*x.unflatten(-1, (-1, sizes.head_dim)).chunk(2, dim=-1)) * turn
        return torch.cat((pairs.real, pairs.imag), dim=-1)

    x = x.double()
    for index in range(sizes.depth):
        layer = f"{G}layers.{index}."
        h = norm(x, layer + "input_layernorm.weight")
        q, k, v = (linear(h, weights[f"{layer}self_attn.{n}_proj.weight"]) for n in "qkv")
        scores = torch.einsum("bqnk,bsk->bnqs", rotated(q), rotated(k)[:, :, 0])
        scores = (scores / math.sqrt(sizes.head_dim)).masked_fill(~mask[:, None], -1e30)
        mixed = torch.einsum("bnqs,bsk->bqnk", scores.softmax(-1), v).flatten(2)
        x = x + linear(mixed, weights[layer + "self_attn.o_proj.weight"])
        h = norm(x, layer + "post_attention_layernorm.weight")
        gate, up = (linear(h, weights[f"{layer}mlp.{n}_proj.weight"]) for n in ("gate", "up"))
        gate = torch.nn.functional.gelu(gate, approximate="tanh")
        x = x + linear(gate * up, weights[layer + "mlp.down_proj.weight"])
    return linear(norm(x, G + "norm.weight"), weights[G + "embed_tokens.weight"]).float()


def with_start(inputs: ModelInputs) -> ModelInputs:
    """LeRobot's second begin-of-sequence token, behind the padding."""
    return replace(
        inputs,
        tokens=pad(inputs.tokens, (0, 1), value=BOS),
        token_mask=pad(inputs.token_mask, (0, 1), value=True),
    )


def one_camera(inputs: ModelInputs) -> ModelInputs:
    """To be quick."""
    return replace(inputs, images={"wrist_0_rgb": inputs.images["wrist_0_rgb"]})


def embedded(network: Pi0Fast, inputs: ModelInputs, answer: Tensor) -> tuple[Tensor, Tensor]:
    rows = replace(
        inputs,
        tokens=torch.cat((inputs.tokens, answer), dim=1),
        token_mask=torch.cat((inputs.token_mask, torch.ones_like(answer, dtype=torch.bool)), 1),
    )
    with torch.no_grad():
        return network._paligemma.embed(rows, network.config.image_keys)


@both_layouts
def test_each_step_equals_one_pass_over_all_that_was_written(layout: FastLayout) -> None:
    network, inputs = model(layout), one_camera(golden.fast_inputs())
    found = network.generate(inputs, keep_logits=True, max_steps=9, stop_token=-1)
    prompt = with_start(inputs) if layout is FastLayout.LEROBOT else inputs
    x, valid = embedded(network, prompt, found.tokens)
    prefix = x.shape[1] - 9
    positions = valid.cumsum(1) - 1
    if layout is FastLayout.OPENPI:
        positions[:, prefix:] += 1
    size = torch.arange(x.shape[1])
    mask = valid[:, None] & ((size < prefix) | (size <= size[:, None]))
    logits = written_out(network, x, positions, mask)
    last = positions[:, :prefix].argmax(1)
    expected = torch.cat((logits[torch.arange(2), last][:, None], logits[:, prefix:-1]), dim=1)
    assert found.logits is not None
    assert golden.rel(found.logits, expected.numpy()) < OWN
    np.testing.assert_array_equal(found.tokens, expected.argmax(-1))


def test_the_layouts_write_differently() -> None:
    first, second = (model(x).generate(golden.fast_inputs(), max_steps=5) for x in FastLayout)
    assert not torch.equal(first.tokens, second.tokens)


def test_lerobots_loss_counts_positions_without_the_padding() -> None:
    network, inputs = model(FastLayout.LEROBOT), one_camera(golden.fast_inputs())
    answer = golden.given(golden.FAST, "train/tokens")[:, 5:17].long()
    answer[:, 0] = BOS
    x, valid = embedded(network, inputs, answer)
    prefix = x.shape[1] - 12
    size = torch.arange(x.shape[1])
    mask = valid[:, None] & ((size < prefix) | (size <= size[:, None]))
    logits = written_out(network, x, valid.cumsum(1) - 1, mask)[:, prefix:-1]
    chosen = logits.log_softmax(-1).take_along_dim(answer[:, 1:, None], dim=2)[..., 0]
    rows = replace(
        inputs,
        tokens=torch.cat((inputs.tokens, answer), dim=1),
        token_mask=pad(inputs.token_mask, (0, 12), value=True),
    )
    answers = torch.arange(rows.tokens.shape[1]) >= inputs.tokens.shape[1]
    found = network.loss(rows, answers.expand(2, -1).int(), answers.expand(2, -1).roll(1, 1))
    assert golden.rel(found, -chosen.mean(1).numpy()) < OWN


def scripted(monkeypatch: pytest.MonkeyPatch, rows: list[list[int]]) -> None:
    script = iter(torch.tensor(rows).T[..., None])
    monkeypatch.setattr(pi0_fast, "_choose", lambda logits, *_: next(script))


def test_openpis_rows_end_together_and_lerobots_each_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [[7, 1, 9, 9, 1, 9], [1, 8, 8, 8, 1, 9]]
    for layout, steps in ((FastLayout.OPENPI, 5), (FastLayout.LEROBOT, 2)):
        scripted(monkeypatch, rows)
        found = model(layout).generate(golden.fast_inputs(), max_steps=6)
        assert found.steps == steps
        expected = torch.tensor(rows)
        expected[:, steps:] = 0
        np.testing.assert_array_equal(found.tokens, expected)


def test_padding_and_absent_cameras_change_only_rounding() -> None:
    network, inputs = model(), golden.fast_inputs()
    absent = torch.tensor([False, False])
    inputs = replace(inputs, image_masks={**inputs.image_masks, "base_1_rgb": absent})
    inputs.token_mask[1, 3:] = False
    other_pixels = {**inputs.images, "base_1_rgb": -inputs.images["base_1_rgb"]}
    length = int(inputs.token_mask.sum(1).max())
    variants = [
        replace(inputs, images=other_pixels),
        inputs.without_masked_cameras(),
        replace(inputs, tokens=inputs.tokens.masked_fill(~inputs.token_mask, 77)),
        replace(
            inputs,
            tokens=inputs.tokens[:, :length],
            token_mask=inputs.token_mask[:, :length],
        ),
        replace(
            inputs,
            tokens=pad(inputs.tokens, (0, 9)),
            token_mask=pad(inputs.token_mask, (0, 9)),
        ),
    ]
    expected = network.generate(inputs, keep_logits=True, max_steps=6)
    assert expected.logits is not None
    for variant in variants:
        found = network.generate(variant, keep_logits=True, max_steps=6)
        assert found.logits is not None
        assert golden.rel(found.logits, expected.logits.numpy()) < OWN
        assert torch.equal(found.tokens, expected.tokens)


def test_rows_of_a_batch_do_not_see_each_other() -> None:
    inputs = golden.fast_inputs()
    alone = ModelInputs(
        images={name: image[1:] for name, image in inputs.images.items()},
        image_masks={name: mask[1:] for name, mask in inputs.image_masks.items()},
        tokens=inputs.tokens[1:],
        token_mask=inputs.token_mask[1:],
        state=inputs.state[1:],
    )
    together, single = (
        model().generate(x, keep_logits=True, max_steps=4) for x in (inputs, alone)
    )
    assert together.logits is not None
    assert single.logits is not None
    assert golden.rel(single.logits, together.logits[1:].numpy()) < OWN


def test_generation_leaves_its_inputs_alone() -> None:
    inputs = golden.fast_inputs()
    tensors = [*inputs.images.values(), *inputs.image_masks.values()]
    tensors += [inputs.tokens, inputs.token_mask, inputs.state]
    before = [tensor.clone() for tensor in tensors]
    model().generate(inputs, max_steps=3)
    model(FastLayout.LEROBOT).generate(inputs, max_steps=3)
    assert all(torch.equal(a, b) for a, b in zip(before, tensors, strict=True))


def test_temperature_draws_repeatably_and_low_ones_draw_the_likeliest() -> None:
    def drawn(temperature: float, seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        written = model().generate(
            golden.fast_inputs("stop/"),
            max_steps=8,
            temperature=temperature,
            generator=generator,
            stop_token=-1,
        )
        return written.tokens[0].tolist()

    greedy = model().generate(golden.fast_inputs("stop/"), max_steps=8, stop_token=-1)
    assert drawn(2.0, 0) == drawn(2.0, 0)
    assert drawn(2.0, 0) != drawn(2.0, 1)
    assert drawn(1e-4, 0) == greedy.tokens[0].tolist()


def test_a_prompt_without_any_valid_token_gives_finite_logits() -> None:
    inputs = golden.fast_inputs()
    empty = replace(
        inputs,
        image_masks={name: torch.zeros(2, dtype=torch.bool) for name in inputs.images},
        token_mask=torch.zeros_like(inputs.token_mask),
    )
    logits = model().generate(empty, keep_logits=True, max_steps=3).logits
    assert logits is not None
    assert logits.isfinite().all()


def test_a_row_with_nothing_to_predict_has_no_loss() -> None:
    inputs = golden.fast_inputs("train/")
    predicted = golden.given(golden.FAST, "train/token_loss_mask").clone()
    predicted[0] = False
    found = model().loss(inputs, golden.given(golden.FAST, "train/token_ar_mask"), predicted)
    assert found[0] == 0
    assert found[1].item() == pytest.approx(golden.recorded(golden.FAST)["out/loss"][1], rel=LOSS)


def test_full_size_has_the_published_number_of_parameters_under_openpis_names() -> None:
    with torch.device("meta"):
        whole = build_model(Pi0FastConfig())
        flow = build_model(Pi0Config.full(pi05=False))
    assert sum(p.numel() for p in whole.parameters()) == 2_923_335_408
    shapes = {name: p.shape for name, p in flow.named_parameters()}
    assert all(shapes[name] == p.shape for name, p in whole.named_parameters())


def test_casting_a_model_equals_loading_it_in_that_type() -> None:
    cast = golden.fast_model().set_precision(torch.bfloat16)
    loaded = golden.fast_model(torch.bfloat16).state_dict()
    assert cast.dtype == torch.bfloat16
    assert all(torch.equal(value, loaded[name]) for name, value in cast.state_dict().items())


def test_the_state_may_be_wider_than_the_actions() -> None:
    inputs = replace(golden.fast_inputs(), state=torch.zeros(2, 8))
    assert model().generate(inputs, max_steps=1).steps == 1


def test_a_camera_of_another_model_is_refused() -> None:
    inputs = golden.fast_inputs()
    named = {"left_wrist_0_rgb": inputs.images["wrist_0_rgb"]}
    with pytest.raises(PolicyError, match="base_1_rgb"):
        model().generate(replace(inputs, images=named, image_masks=inputs.image_masks))


@pytest.mark.parametrize("seed", range(3))
def test_random_weights_write_the_answer_that_they_were_given(seed: int) -> None:
    config = Pi0FastConfig.tiny(vocab_size=1672, max_token_len=20)
    network = random_pi0_fast(config, seed, chain=[7, 292, 480, 468, 1500, 505, 1])
    generator = torch.Generator().manual_seed(seed)
    for images in (0, 1, 3):
        names = config.image_keys[:images]
        tokens = torch.randint(3, 1672, (1, 20), generator=generator)
        tokens[0, 11] = 7
        inputs = ModelInputs(
            images={n: torch.rand((1, 3, 224, 224), generator=generator) for n in names},
            image_masks={n: torch.ones(1, dtype=torch.bool) for n in names},
            tokens=tokens,
            token_mask=torch.arange(20)[None] < 12,
            state=torch.zeros(1, 3),
        )
        found = network.generate(inputs)
        assert found.tokens[0, : found.steps].tolist() == [292, 480, 468, 1500, 505, 1]


def test_equal_seeds_give_equal_random_weights_and_others_do_not() -> None:
    config = Pi0FastConfig.tiny(vocab_size=99)
    first, same, other = (random_pi0_fast(config, s, chain=[7, 1]).state_dict() for s in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    with pytest.raises(CheckpointError, match="by heart"):
        random_pi0_fast(config, 0, chain=[7, 8, 7])


@pytest.mark.parametrize(
    "changes",
    [
        {"max_decoding_steps": 0},
        {"max_decoding_steps": 1 << 20},
        {"vocab_size": 0},
        {"image_keys": ()},
        {"image_keys": ("a", "a")},
        {"image_keys": ("",)},
    ],
)
def test_sizes_that_make_no_model_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(CheckpointError):
        replace(Pi0FastConfig(), **changes)
