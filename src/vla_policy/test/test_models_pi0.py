"""Properties of the models that hold for any weights."""

from __future__ import annotations

from dataclasses import replace

import golden_model_case as golden
import numpy as np
import pytest
import torch

from vla_core.errors import CheckpointError, PolicyError
from vla_policy.checkpoints.openpi_pytorch import file_shapes
from vla_policy.models.config import (
    GEMMA_VARIANTS,
    GemmaConfig,
    ModelConfig,
    Pi0Config,
    Pi0FastConfig,
    SiglipConfig,
)
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.pi0 import Pi0

both_families = pytest.mark.parametrize("family", golden.FAMILIES)
V = "paligemma_with_expert.paligemma.model.vision_tower.vision_model."
G = "paligemma_with_expert.paligemma.model.language_model."
E = "paligemma_with_expert.gemma_expert.model."


def sample(model: Pi0, inputs: ModelInputs, noise: torch.Tensor) -> torch.Tensor:
    return model.sample_actions(inputs, noise, 3)


@pytest.mark.parametrize(("pi05", "count"), [(False, 777), (True, 812)])
def test_full_size_has_exactly_the_tensors_of_openpis_files(pi05: bool, count: int) -> None:
    shapes = file_shapes(Pi0Config.full(pi05=pi05))
    assert len(shapes) == count
    expected = {
        V + "embeddings.patch_embedding.weight": (1152, 3, 14, 14),
        V + "embeddings.position_embedding.weight": (256, 1152),
        V + "encoder.layers.26.mlp.fc1.weight": (4304, 1152),
        V + "encoder.layers.26.self_attn.out_proj.bias": (1152,),
        V + "post_layernorm.bias": (1152,),
        "paligemma_with_expert.paligemma.model.multi_modal_projector.linear.weight": (2048, 1152),
        "paligemma_with_expert.paligemma.lm_head.weight": (257152, 2048),
        "paligemma_with_expert.gemma_expert.lm_head.weight": (257152, 1024),
        G + "layers.17.self_attn.q_proj.weight": (2048, 2048),
        G + "layers.17.self_attn.k_proj.weight": (256, 2048),
        G + "layers.17.mlp.down_proj.weight": (2048, 16384),
        G + "norm.weight": (2048,),
        E + "layers.17.self_attn.o_proj.weight": (1024, 2048),
        E + "layers.17.mlp.gate_proj.weight": (4096, 1024),
        "action_in_proj.weight": (1024, 32),
        "action_out_proj.bias": (32,),
    }
    only_pi0 = {
        E + "layers.17.input_layernorm.weight": (1024,),
        E + "norm.weight": (1024,),
        "state_proj.weight": (1024, 32),
        "action_time_mlp_in.weight": (1024, 2048),
    }
    only_pi05 = {
        E + "layers.17.post_attention_layernorm.dense.weight": (3072, 1024),
        E + "norm.dense.bias": (3072,),
        "time_mlp_in.weight": (1024, 1024),
    }
    own, other = (only_pi05, only_pi0) if pi05 else (only_pi0, only_pi05)
    for name, shape in (expected | own).items():
        assert shapes[name] == shape, name
    assert not shapes.keys() & other.keys()
    assert G + "embed_tokens.weight" not in shapes


@pytest.mark.parametrize(("pi05", "count"), [(False, 3_238_048_528), (True, 3_353_433_872)])
def test_full_size_has_the_published_number_of_parameters(pi05: bool, count: int) -> None:
    with torch.device("meta"):
        model = Pi0(Pi0Config.full(pi05=pi05))
    assert sum(p.numel() for p in model.parameters()) == count


@both_families
def test_denoising_leaves_the_prefix_cache_as_it_is(family: str) -> None:
    model, inputs = golden.model(family), golden.inputs(family)
    with torch.no_grad():
        cache = model.encode_prefix(inputs)
        before = [t.clone() for t in (*cache.keys, *cache.values, cache.valid_BP)]
        first, second = (
            model.velocity(
                cache, inputs.state, golden.noisy_actions(family), golden.given(family, "time")
            )
            for _ in range(2)
        )
    after = (*cache.keys, *cache.values, cache.valid_BP)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(first, second)


@both_families
def test_dropping_a_camera_that_is_masked_in_all_rows_changes_only_rounding(family: str) -> None:
    model, inputs = golden.model(family), golden.inputs(family)
    absent = torch.zeros(2, dtype=torch.bool)
    inputs = replace(inputs, image_masks={**inputs.image_masks, "left_wrist_0_rgb": absent})
    fewer = inputs.without_masked_cameras()
    assert "base_0_rgb" in fewer.images
    assert "left_wrist_0_rgb" not in fewer.images
    noise = golden.given(family, "noise")
    with_all = sample(model, inputs, noise)
    assert golden.rel(sample(model, fewer, noise), with_all.numpy()) < 3e-6


@both_families
def test_the_picture_of_a_masked_camera_does_not_matter(family: str) -> None:
    model, inputs = golden.model(family), golden.inputs(family)
    absent = torch.tensor([True, False])
    inputs = replace(inputs, image_masks={**inputs.image_masks, "base_0_rgb": absent})
    changed = inputs.images["base_0_rgb"].clone()
    changed[1] = -changed[1]
    noise = golden.given(family, "noise")
    other = replace(inputs, images={**inputs.images, "base_0_rgb": changed})
    found, reference = sample(model, other, noise), sample(model, inputs, noise)
    np.testing.assert_allclose(found, reference, rtol=0, atol=1e-5)


@both_families
def test_rows_of_a_batch_do_not_see_each_other(family: str) -> None:
    model, inputs = golden.model(family), golden.inputs(family)
    noise = golden.given(family, "noise")
    alone = ModelInputs(
        images={name: image[1:] for name, image in inputs.images.items()},
        image_masks={name: mask[1:] for name, mask in inputs.image_masks.items()},
        tokens=inputs.tokens[1:],
        token_mask=inputs.token_mask[1:],
        state=inputs.state[1:],
    )
    together = sample(model, inputs, noise)[1:]
    np.testing.assert_allclose(sample(model, alone, noise[1:]), together, rtol=0, atol=1e-5)


@both_families
def test_a_prefix_without_any_valid_token_gives_finite_actions(family: str) -> None:
    model, inputs = golden.model(family), golden.inputs(family)
    empty = replace(
        inputs,
        image_masks={name: torch.zeros(2, dtype=torch.bool) for name in inputs.images},
        token_mask=torch.zeros_like(inputs.token_mask),
    )
    noise = golden.given(family, "noise")
    assert sample(model, empty, noise).isfinite().all()
    assert sample(model, empty.without_masked_cameras(), noise).isfinite().all()
    time = golden.given(family, "time")
    assert model.joint_velocity(empty, golden.noisy_actions(family), time).isfinite().all()


@both_families
def test_bfloat16_keeps_the_float32_parts_of_the_reference(family: str) -> None:
    types = {n: p.dtype for n, p in golden.model(family, torch.bfloat16).named_parameters()}
    kept_wide = [
        V + "embeddings.patch_embedding.weight",
        V + "embeddings.position_embedding.weight",
        G + "layers.0.input_layernorm.weight",
        G + "norm.weight",
        E + ("norm.weight" if family == "pi0" else "layers.0.input_layernorm.dense.weight"),
        "action_in_proj.weight",
        "state_proj.weight" if family == "pi0" else "time_mlp_in.bias",
    ]
    narrow = [
        V + "post_layernorm.weight",
        V + "encoder.layers.0.layer_norm1.weight",
        G + "embed_tokens.weight",
        G + "layers.0.self_attn.q_proj.weight",
        E + "layers.0.mlp.up_proj.weight",
    ]
    assert {types[name] for name in kept_wide} == {torch.float32}
    assert {types[name] for name in narrow} == {torch.bfloat16}


def test_casting_a_model_equals_loading_it_in_that_type() -> None:
    cast = golden.model("pi05").set_precision(torch.bfloat16).state_dict()
    loaded = golden.model("pi05", torch.bfloat16).state_dict()
    assert all(torch.equal(cast[name], loaded[name]) for name in loaded)
    assert all(cast[name].dtype == loaded[name].dtype for name in loaded)


def test_from_numpy_scales_pixels_and_leaves_its_arguments_alone() -> None:
    pixels = np.array([0, 255, 51], np.uint8) * np.ones((1, 4, 4, 1), np.uint8)
    inputs = ModelInputs.from_numpy(
        images={"base_0_rgb": pixels},
        image_masks={"base_0_rgb": np.array([True])},
        tokens=np.array([[2, 5]], np.int32),
        token_mask=np.array([[True, True]]),
        state=np.zeros((1, 32)),
    )
    image = inputs.images["base_0_rgb"]
    assert image.shape == (1, 3, 4, 4)
    np.testing.assert_allclose(image[0, :, 0, 0], [-1.0, 1.0, -0.6], atol=1e-6)
    inputs.images["base_0_rgb"].zero_()
    inputs.tokens.zero_()
    assert pixels[0, 0, 0, 1] == 255
    assert inputs.state.dtype == torch.float32


def test_float_images_are_taken_as_they_are() -> None:
    image = np.random.default_rng(0).standard_normal((1, 4, 4, 3)).astype(np.float32)
    inputs = ModelInputs.from_numpy(
        images={"base_0_rgb": image},
        image_masks={"base_0_rgb": np.array([True])},
        tokens=np.array([[2]]),
        token_mask=np.array([[True]]),
        state=np.zeros((1, 32)),
    )
    found = inputs.images["base_0_rgb"]
    np.testing.assert_array_equal(found.permute(0, 2, 3, 1), image)
    before = image.copy()
    found.zero_()
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.float16, np.bool_])
def test_images_of_another_type_are_refused(dtype: type) -> None:
    with pytest.raises(PolicyError, match="uint8"):
        ModelInputs.from_numpy(
            images={"base_0_rgb": np.zeros((1, 4, 4, 3), dtype)},
            image_masks={"base_0_rgb": np.array([True])},
            tokens=np.array([[2]]),
            token_mask=np.array([[True]]),
            state=np.zeros((1, 32)),
        )


def test_cameras_of_any_name_stand_in_the_order_of_the_configuration() -> None:
    model, inputs = golden.model("pi0"), golden.inputs("pi0")
    expected = sample(model, inputs, golden.given("pi0", "noise"))
    new = {"base_0_rgb": "top", "left_wrist_0_rgb": "left", "right_wrist_0_rgb": "a_third"}
    renamed = replace(
        inputs,
        images={new[name]: inputs.images[name] for name in reversed(new)},
        image_masks={new[name]: mask for name, mask in inputs.image_masks.items()},
    )
    model.config = replace(model.config, image_keys=tuple(new.values()))
    assert torch.equal(sample(model, renamed, golden.given("pi0", "noise")), expected)
    model.config = replace(model.config, image_keys=(*reversed(new.values()), "unseen"))
    assert not torch.equal(sample(model, renamed, golden.given("pi0", "noise")), expected)


@pytest.mark.parametrize(
    ("config", "model_type", "reads_state"),
    [
        (Pi0Config(), "pi0", False),
        (Pi0Config(pi05=True), "pi05", True),
        (Pi0Config(pi05=True, discrete_state_input=False), "pi05", False),
        (Pi0FastConfig(), "pi0_fast", True),
    ],
)
def test_a_configuration_tells_its_kind_and_who_reads_the_state(
    config: ModelConfig, model_type: str, reads_state: bool
) -> None:
    assert config.model_type == model_type
    assert config.reads_state_as_text == reads_state


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"state": torch.zeros(2, 14)}, "state"),
        ({"token_mask": torch.zeros(2, 3, dtype=torch.bool)}, "token_mask"),
        ({"images": {"cam_high": torch.zeros(2, 3, 224, 224)}}, "cam_high"),
        ({"images": {"base_0_rgb": torch.zeros(2, 224, 224, 3)}}, "base_0_rgb"),
        ({"image_masks": {}}, "base_0_rgb"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(change: dict[str, object], where: str) -> None:
    inputs = replace(golden.inputs("pi0"), **change)
    with pytest.raises(PolicyError) as caught:
        golden.model("pi0").embed_prefix(inputs)
    assert where in caught.value.where
    assert caught.value.allowed


GEMMA = GEMMA_VARIANTS["dummy"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(GEMMA, width=0),
        lambda: replace(GEMMA, depth=-1),
        lambda: replace(GEMMA, mlp_dim=1 << 40),
        lambda: replace(GEMMA, head_dim=15),
        lambda: replace(GEMMA, num_heads=3, num_kv_heads=2),
        lambda: SiglipConfig(width=65, depth=1, mlp_dim=8, num_heads=2),
        lambda: Pi0Config(paligemma=GEMMA, action_expert=replace(GEMMA, depth=5)),
        lambda: Pi0Config(action_dim=0),
        lambda: Pi0Config(image_keys=()),
        lambda: Pi0Config(image_keys=("top", "top")),
        lambda: Pi0Config(image_keys=tuple(map(str, range(17)))),
    ],
)
def test_sizes_that_make_no_model_are_refused(make: object) -> None:
    with pytest.raises(CheckpointError) as caught:
        make()  # type: ignore[operator]
    assert caught.value.where
    assert caught.value.allowed


def test_any_size_runs() -> None:
    gemma = GemmaConfig(width=24, depth=1, mlp_dim=10, num_heads=4, num_kv_heads=2, head_dim=6)
    config = Pi0Config.tiny(
        pi05=False,
        vocab_size=11,
        action_dim=5,
        action_horizon=3,
        paligemma=gemma,
        action_expert=replace(gemma, width=14, mlp_dim=9),
        siglip=SiglipConfig(width=6, depth=1, mlp_dim=7, num_heads=2, patch_size=8, image_size=30),
    )
    inputs = ModelInputs(
        images={"base_0_rgb": torch.zeros(1, 3, 30, 30)},
        image_masks={"base_0_rgb": torch.ones(1, dtype=torch.bool)},
        tokens=torch.ones(1, 4, dtype=torch.int64),
        token_mask=torch.ones(1, 4, dtype=torch.bool),
        state=torch.zeros(1, 5),
    )
    actions = Pi0(config).sample_actions(inputs, torch.randn(1, 3, 5))
    assert actions.shape == (1, 3, 5)
    assert actions.isfinite().all()
