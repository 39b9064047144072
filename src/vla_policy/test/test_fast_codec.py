"""The FAST codec gives the reference's ids and actions, and refuses what means no chunk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tokenizers import ByteLevelBPETokenizer
from tokenizers.trainers import BpeTrainer

from vla_core.errors import CheckpointError, PolicyError
from vla_policy.tokenizers.fast_codec import FastCodec

GOLDEN = Path(__file__).resolve().parents[3] / "test/golden/transforms/fast"
ALL = json.loads((GOLDEN / "codec.json").read_text())["cases"]
CASES = {case["name"]: case for case in ALL}
ENCODED = [case["name"] for case in ALL if case["kind"] == "encode_decode"]
CODEC = FastCodec.load(GOLDEN)
chunks = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.integers(1, 5)),
    elements=st.floats(-1.25, 1.25, width=32),
)


def recorded(name: str) -> Any:
    with np.load(GOLDEN / "codec.npz", allow_pickle=False) as file:
        return file[name]


def smooth(seed: int, count: int = 60) -> list[Any]:
    generator = np.random.default_rng(seed)
    time = np.linspace(0, 1, 16)[:, None]
    return [np.sin(6 * time * generator.random(4) + 6 * generator.random(4)) for _ in range(count)]


@pytest.mark.parametrize("name", ENCODED)
def test_ids_equal_the_reference(name: str) -> None:
    actions = recorded(f"{name}/actions")
    before = actions.copy()
    ids = CODEC.encode(actions)
    np.testing.assert_array_equal(actions, before)
    if name != "near_half":  # rounding may go either way by one quantum
        assert ids == CASES[name]["tokens"]


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case["decodable"]])
def test_actions_equal_the_reference(name: str) -> None:
    case = CASES[name]
    found = CODEC.decode(case["tokens"], horizon=case["horizon"], action_dim=case["dim"])
    np.testing.assert_allclose(found, recorded(f"{name}/decoded"), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if not case["decodable"]])
def test_what_the_reference_turns_to_zeros_is_no_chunk(name: str) -> None:
    case = CASES[name]
    assert not recorded(f"{name}/decoded").any()
    with pytest.raises(PolicyError, match="no action chunk"):
        CODEC.decode(case["tokens"], horizon=case["horizon"], action_dim=case["dim"])


@given(chunks)
@settings(deadline=None, max_examples=30)
def test_a_round_trip_loses_no_more_than_rounding(chunk: Any) -> None:
    codec = FastCodec.fit([chunk, -chunk])
    horizon, dim = chunk.shape
    found = codec.decode(codec.encode(chunk), horizon=horizon, action_dim=dim)
    # Half a quantum of each coefficient, and the transform keeps lengths.
    assert np.linalg.norm(found - chunk) <= 0.05 * np.sqrt(chunk.size) + 1e-9


@given(st.lists(st.integers(-5, CODEC.vocab_size + 5), max_size=60), st.booleans())
@settings(deadline=None)
def test_any_ids_give_a_finite_chunk_or_no_chunk(ids: list[int], relaxed: bool) -> None:
    try:
        found = CODEC.decode(ids, horizon=5, action_dim=3, relaxed=relaxed)
    except PolicyError:
        return
    assert found.shape == (5, 3)
    assert np.isfinite(found).all()


def test_bytes_that_are_no_character_are_no_chunk() -> None:
    wide = FastCodec.fit([8 * chunk for chunk in smooth(0)], vocab_size=2048)
    # Characters beyond ASCII are several bytes, and some ids are one of them alone.
    broken = [i for i in range(wide.vocab_size) if "\ufffd" in wide._bpe.decode([i])]
    with pytest.raises(PolicyError, match="no character"):
        wide.decode(broken[:1], horizon=1, action_dim=1)


def test_relaxed_decoding_cuts_and_fills_as_lerobot_does() -> None:
    case = CASES["chunk0"]
    fitting = {"horizon": case["horizon"], "action_dim": case["dim"]}
    whole = CODEC.decode(case["tokens"], **fitting)
    longer = CODEC.decode([*case["tokens"], 48, 48], **fitting, relaxed=True)
    np.testing.assert_array_equal(longer, whole)
    shorter = CODEC.decode(case["tokens"][:-5], **fitting, relaxed=True)
    assert shorter.shape == whole.shape
    text = CODEC._bpe.decode(case["tokens"][:-5])
    kept = np.array([ord(c) - 45 for c in text]) / 10
    assert np.linalg.norm(shorter) == pytest.approx(np.linalg.norm(kept))  # an isometry
    with pytest.raises(PolicyError):
        CODEC.decode([], **fitting, relaxed=True)


def test_relaxed_decoding_invents_no_dimension() -> None:
    few = 3 * CODEC.encode(np.zeros((1, 1)))
    dims = len(CODEC._decode_text(few))
    assert CODEC.decode(few, horizon=5, action_dim=dims, relaxed=True).shape == (5, dims)
    with pytest.raises(PolicyError, match="no action chunk"):
        CODEC.decode(few, horizon=5, action_dim=dims + 1, relaxed=True)


def test_a_fitted_codec_equals_one_trained_as_the_reference_trains_it(tmp_path: Path) -> None:
    data = smooth(0)
    FastCodec.fit(data, vocab_size=400).save(tmp_path)
    found = json.loads((tmp_path / "tokenizer.json").read_text())
    frequency, time = np.arange(16)[:, None], np.arange(16)[None]
    cosines = np.cos(np.pi * frequency * (2 * time + 1) / 32) * np.sqrt(2 / 16)
    cosines[0] /= np.sqrt(2)
    counts = [np.round(10 * cosines @ chunk).astype(int).ravel() for chunk in data]
    lowest, highest = min(map(min, counts)), max(map(max, counts))
    texts = ["".join(chr(c - lowest) for c in count) for count in counts]
    trainer = BpeTrainer(
        vocab_size=400,
        min_frequency=2,
        show_progress=False,
        special_tokens=[],
        initial_alphabet=[chr(i) for i in range(highest - lowest + 1)],
        max_token_length=10_000,
    )
    reference = ByteLevelBPETokenizer()
    reference._tokenizer.train_from_iterator(texts, trainer=trainer)
    loaded = FastCodec.load(tmp_path)
    for chunk, text in zip(data, texts, strict=True):
        assert loaded.encode(chunk) == reference.encode(text).ids
    expected = json.loads((GOLDEN / "tokenizer.json").read_text())
    for key in ("pre_tokenizer", "decoder", "normalizer", "added_tokens", "truncation", "padding"):
        assert found[key] == expected[key], key
    config = json.loads((tmp_path / "processor_config.json").read_text())
    assert config["min_token"] == lowest
    assert config["vocab_size"] == len(found["model"]["vocab"]) <= 400


def test_fitting_shortens_smooth_chunks_and_serves_unseen_ones() -> None:
    codec = FastCodec.fit(smooth(0), vocab_size=512)
    seen, unseen = smooth(0)[0], smooth(1)[0]
    assert len(codec.encode(seen)) < seen.size / 2
    found = codec.decode(codec.encode(unseen), horizon=16, action_dim=4)
    np.testing.assert_allclose(found, unseen, atol=0.2)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: FastCodec.fit([]),
        lambda: FastCodec.fit([np.full((4, 2), 300.0), -np.full((4, 2), 300.0)]),
        lambda: FastCodec.fit(smooth(0), vocab_size=1 << 20),
    ],
)
def test_data_that_makes_no_codec_is_refused(fit: Callable[[], FastCodec]) -> None:
    with pytest.raises(CheckpointError):
        fit()


@pytest.mark.parametrize(
    "actions",
    [
        np.zeros(3),
        np.zeros((0, 3)),
        np.full((2, 2), np.nan),
        np.full((2, 2), 1e30),
        np.eye(2) * 9000,
    ],
)
def test_actions_that_are_no_chunk_are_refused(actions: Any) -> None:
    with pytest.raises(PolicyError):
        CODEC.encode(actions)


def edited(name: str, **changes: Any) -> Callable[[Path], None]:
    def write(directory: Path) -> None:
        root = json.loads((directory / name).read_text())
        (directory / name).write_text(json.dumps(root | changes))

    return write


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: (d / "tokenizer.json").unlink(),
        lambda d: (d / "processor_config.json").write_text("[]"),
        lambda d: (d / "tokenizer.json").write_text("{"),
        lambda d: (d / "tokenizer.json").write_bytes(b" " * ((16 << 20) + 1)),
        lambda d: (d / "tokenizer.json").write_text('{"model": ' * 100_000),
        edited("processor_config.json", scale=0),
        edited("processor_config.json", scale=float("nan")),
        edited("processor_config.json", min_token=1.5),
        edited("processor_config.json", min_token=-(1 << 40)),
        edited("tokenizer.json", model={"type": "WordLevel"}),
        edited("tokenizer.json", model={"type": "BPE", "vocab": {"a": -1}, "merges": []}),
        edited("tokenizer.json", normalizer={"type": "Replace"}),
        edited("tokenizer.json", pre_tokenizer=None),
    ],
)
def test_files_that_are_no_fast_tokenizer_are_refused(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    for name in ("tokenizer.json", "processor_config.json"):
        shutil.copyfile(GOLDEN / name, tmp_path / name)
    FastCodec.load(tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match="FAST tokenizer cannot be read"):
        FastCodec.load(tmp_path)
