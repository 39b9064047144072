"""Writes this folder with LeRobot's own code: tiny policies, processors, and what they answer.

Run in an environment of its own: lerobot 0.6.1 with transformers 5.5 and peft 0.21.
LeRobot's code is used as it is; what is replaced are sizes that it hard-codes (vocabulary, image
tower, variants) and the two tokenizers of the Hub, by those in ``../transforms``.

    python make.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
import transformers
from lerobot.configs import FeatureType, NormalizationMode, PolicyFeature, PreTrainedConfig
from lerobot.policies.factory import make_pre_post_processors
from lerobot.policies.pi0 import modeling_pi0
from lerobot.policies.pi0.configuration_pi0 import PI0Config
from lerobot.policies.pi0.processor_pi0 import make_pi0_pre_post_processors
from lerobot.policies.pi0_fast import modeling_pi0_fast
from lerobot.policies.pi0_fast.configuration_pi0_fast import PI0FastConfig
from lerobot.policies.pi0_fast.processor_pi0_fast import make_pi0_fast_pre_post_processors
from lerobot.policies.pi05 import modeling_pi05
from lerobot.policies.pi05.configuration_pi05 import PI05Config
from lerobot.policies.pi05.processor_pi05 import make_pi05_pre_post_processors
from lerobot.processor import tokenizer_processor
from scipy.fft import dct
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
TOKENIZER = HERE.parent / "transforms" / "tokenizer" / "tokenizer.model"
FAST = HERE.parent / "transforms" / "fast"
GEMMA = {
    "width": 32,
    "depth": 2,
    "mlp_dim": 64,
    "num_heads": 8,  # hard-coded in LeRobot's attention
    "num_kv_heads": 1,
    "head_dim": 8,
}
SIGLIP = {
    "width": 32,
    "depth": 2,
    "mlp_dim": 64,
    "num_heads": 2,
    "patch_size": 14,
    "image_size": 224,
}
JOINTS = ["waist", "elbow", "Left_Gripper", "wrist", "gripper"]
TASK = "pick up the red_cube"
ROWS, COLUMNS = 60, 100  # neither square nor 224


class Text:
    """The part of a transformers tokenizer that LeRobot uses, on a SentencePiece model."""

    def __init__(self) -> None:
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(TOKENIZER))
        self.vocab_size = self.pieces.vocab_size()
        self.bos_token_id = self.pieces.bos_id()

    def __call__(self, text: list[str], *, max_length: int, **_: Any) -> dict[str, torch.Tensor]:
        ids = torch.zeros(len(text), max_length, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, words in enumerate(text):
            tokens = self.pieces.encode(words, add_bos=True)[:max_length]
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        return self.pieces.encode(text, add_eos=add_special_tokens)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [self.pieces.id_to_piece(i) for i in ids]

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        if isinstance(tokens, str):
            return self.pieces.piece_to_id(tokens)
        return [self.pieces.piece_to_id(token) for token in tokens]


class Fast:
    """The part of the Hub's FAST processor that LeRobot uses."""

    def __init__(self) -> None:
        config = json.loads((FAST / "processor_config.json").read_text())
        self.scale, self.min_token = config["scale"], config["min_token"]
        self.bpe_tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer.from_file(str(FAST / "tokenizer.json")),
            clean_up_tokenization_spaces=False,
        )

    def __call__(self, chunks: torch.Tensor) -> list[list[int]]:
        coefficients = np.around(dct(np.asarray(chunks), axis=1, norm="ortho") * self.scale)
        texts = [
            "".join(chr(int(c) - self.min_token) for c in row.ravel()) for row in coefficients
        ]
        return self.bpe_tokenizer(texts)["input_ids"]


class Load:
    """In place of transformers' loaders, whose files are on the Hub."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def from_pretrained(self, *_: Any, **__: Any) -> Any:
        return self.kind()


def shrink(module: Any) -> None:
    """Makes a module of LeRobot build tiny models."""
    vocabulary = Text().vocab_size

    def small(build: Any) -> Any:
        def of(config: Any) -> Any:
            for text in (config, getattr(config, "text_config", config)):
                text.vocab_size = text._vocab_size = vocabulary
            if vision := getattr(config, "vision_config", None):
                vision.hidden_size, vision.num_hidden_layers = SIGLIP["width"], SIGLIP["depth"]
                vision.num_attention_heads = SIGLIP["num_heads"]
                vision.intermediate_size = SIGLIP["mlp_dim"]
                vision.projection_dim = config.projection_dim = GEMMA["width"]
                config.hidden_size = GEMMA["width"]
            return build(config=config)

        return of

    module.get_gemma_config = lambda _: module.GemmaConfig(**GEMMA)
    for name in ("PaliGemmaForConditionalGenerationWithPiGemma", "PiGemmaForCausalLM"):
        if hasattr(module, name):
            setattr(module, name, small(getattr(module, name)))


for policy_module in (modeling_pi0, modeling_pi05, modeling_pi0_fast):
    shrink(policy_module)
for using in (tokenizer_processor, modeling_pi0_fast):
    using.AutoTokenizer, using.AutoProcessor = Load(Text), Load(Fast)

KINDS = {
    "pi0": (PI0Config, modeling_pi0.PI0Policy, make_pi0_pre_post_processors),
    "pi05": (PI05Config, modeling_pi05.PI05Policy, make_pi05_pre_post_processors),
    "pi0_fast": (
        PI0FastConfig,
        modeling_pi0_fast.PI0FastPolicy,
        make_pi0_fast_pre_post_processors,
    ),
}


def random_policy(policy_class: Any, config: Any) -> Any:
    """Weights that all matter: norms and biases away from their neutral start."""
    policy = policy_class(config)
    for name, parameter in policy.named_parameters():
        scale = 0.2 if parameter.ndim == 1 else 1.4 * parameter[0].numel() ** -0.5
        scale = 1.0 if "embed_tokens" in name else scale
        torch.nn.init.normal_(parameter, std=scale * (0.3 if "dense" in name else 1.0))
    policy.model.paligemma_with_expert.paligemma.tie_weights()
    return policy.eval()


def statistics(dims: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    low, span = rng.uniform(-1.5, 0.5, dims), rng.uniform(0.5, 2.0, dims)
    values = {
        "mean": low + span / 2,
        "std": span / 4,
        "min": low,
        "max": low + span,
        **{f"q{q:02d}": low + span * q / 100 for q in (1, 10, 50, 90, 99)},
    }
    return {name: torch.tensor(v, dtype=torch.float32) for name, v in values.items()}


def observation(cameras: list[str], state: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """As LeRobot takes it, and as a case stores it."""
    images = {c: rng.integers(256, size=(ROWS, COLUMNS, 3), dtype=np.uint8) for c in cameras}
    return {
        "case": {f"in/image/{c}": image for c, image in images.items()} | {"in/state": state},
        "batch": {
            "observation.state": torch.tensor(state, dtype=torch.float32),
            "task": TASK,
            **{
                f"observation.images.{c}": torch.tensor(image).permute(2, 0, 1) / 255
                for c, image in images.items()
            },
        },
    }


def features(cameras: list[str], state_dims: int, action_dims: int) -> dict[str, Any]:
    image = PolicyFeature(type=FeatureType.VISUAL, shape=(3, ROWS, COLUMNS))
    state = PolicyFeature(type=FeatureType.STATE, shape=(state_dims,))
    action = PolicyFeature(type=FeatureType.ACTION, shape=(action_dims,))
    return {
        "input_features": {"observation.state": state}
        | {f"observation.images.{camera}": image for camera in cameras},
        "output_features": {"action": action},
    }


def state_sizes(directory: Path, kind: str) -> None:
    """This suite's own keys: sizes that LeRobot's variants do not have."""
    path = directory / "config.json"
    config = json.loads(path.read_text())
    config |= {"paligemma": GEMMA, "siglip": SIGLIP, "vocab_size": Text().vocab_size}
    if kind != "pi0_fast":
        config["action_expert"] = GEMMA
    path.write_text(json.dumps(config, indent=4) + "\n")


def flow_case(
    name: str,
    kind: str,
    *,
    seen: list[str],
    rename: dict[str, str],
    dims: tuple[int, int],
    adapter: bool = False,
    **settings: Any,
) -> None:
    torch.manual_seed(len(name))
    rng = np.random.default_rng(len(name))
    config_class, policy_class, make = KINDS[kind]
    config = config_class(
        device="cpu",
        chunk_size=8,
        n_action_steps=8,
        max_state_dim=9,
        max_action_dim=9,
        push_to_hub=False,
        **features([rename.get(camera, camera) for camera in seen], *dims),
        **settings,
    )
    policy = random_policy(policy_class, config)
    stats = {"observation.state": statistics(dims[0], rng), "action": statistics(dims[1], rng)}
    before, after = make(config, stats)
    before.steps[0].rename_map = {
        f"observation.images.{old}": f"observation.images.{new}" for old, new in rename.items()
    }
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    policy.save_pretrained(directory)
    if adapter:
        policy = adapted(policy, directory)
    before.save_pretrained(directory)
    after.save_pretrained(directory)
    state_sizes(directory, kind)
    asked = observation(seen, rng.uniform(-1.5, 1.5, dims[0]), rng)
    noise = torch.randn(1, config.chunk_size, config.max_action_dim)
    batch = before(asked["batch"])
    actions = after(policy.predict_action_chunk(batch, noise=noise))
    write_case(
        directory,
        asked["case"],
        **{
            "in/noise": noise[0].numpy(),
            "out/actions": actions[0].numpy(),
            "out/tokens": batch["observation.language.tokens"][0].numpy(),
            "out/token_mask": batch["observation.language.attention_mask"][0].numpy(),
        },
    )


def adapted(policy: Any, directory: Path) -> Any:
    """The base goes to a folder beside; LeRobot's default targets, with factors that matter."""
    base = directory.with_name(directory.name + "_base")
    shutil.rmtree(base, ignore_errors=True)
    directory.rename(base)
    policy.config.pretrained_path = Path("lab") / base.name
    wrapped = policy.wrap_with_peft(peft_cli_overrides={"r": 3, "method_type": "LORA"})
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    wrapped.eval()
    wrapped.save_pretrained(directory)
    policy.config.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    return policy


def fast_case(name: str) -> None:
    """Trained until it writes codes between its markers, so that its tokens mean something."""
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    config_class, policy_class, make = KINDS["pi0_fast"]
    cameras, horizon = ["front"], 6
    config = config_class(
        device="cpu",
        chunk_size=horizon,
        n_action_steps=horizon,
        max_state_dim=9,
        max_action_dim=9,
        max_decoding_steps=60,
        max_action_tokens=64,
        tokenizer_max_length=64,
        push_to_hub=False,
        normalization_mapping={
            "VISUAL": NormalizationMode.IDENTITY,
            "STATE": NormalizationMode.QUANTILES,
            "ACTION": NormalizationMode.QUANTILE10,
        },
        **features(cameras, 4, 3),
    )
    policy = policy_class(config)
    stats = {"observation.state": statistics(4, rng), "action": statistics(3, rng)}
    before, after = make(config, stats)
    asked = observation(cameras, rng.uniform(-1.5, 1.5, 4), rng)
    time = np.linspace(0, 1, horizon)[:, None]
    chunk = torch.tensor(np.sin(time * [2.0, 3.0, 1.0]) * 0.3, dtype=torch.float32)
    batch = before(asked["batch"] | {"action": chunk})
    batch["action.tokens"] = batch["action.tokens"].reshape(1, -1)
    batch["action.token_mask"] = batch["action.token_mask"].reshape(1, -1)
    policy.model.paligemma_with_expert.paligemma.model.vision_tower.requires_grad_(False)
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    for parameter_name, parameter in policy.named_parameters():
        if parameter.requires_grad and parameter.ndim > 1:
            wide = "embed_tokens" in parameter_name or "lm_head" in parameter_name
            torch.nn.init.normal_(parameter, std=0.5 if wide else parameter[0].numel() ** -0.5)
    policy.model.paligemma_with_expert.paligemma.tie_weights()
    optimizer = torch.optim.Adam(trained, lr=1e-3)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=300)
    for step in range(500):
        loss, _ = policy(batch)
        if step % 20 == 0:
            print(f"{name}: step {step} loss {loss.item():.3f}", flush=True)
        if loss.item() < 1.0:
            break
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 0.5)
        optimizer.step()
        decay.step()
    policy.eval()
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    policy.save_pretrained(directory)
    before.save_pretrained(directory)
    after.save_pretrained(directory)
    state_sizes(directory, "pi0_fast")
    batch = before(asked["batch"])
    actions = after(policy.predict_action_chunk(batch))
    write_case(
        directory,
        asked["case"],
        **{
            "out/actions": actions[0].numpy(),
            "out/tokens": batch["observation.language.tokens"][0].numpy(),
            "out/token_mask": batch["observation.language.attention_mask"][0].numpy(),
        },
    )


def transformers_case(name: str) -> None:
    """A model of transformers itself; its processor is not asked."""
    torch.manual_seed(4)
    rng = np.random.default_rng(4)
    gemma = {
        "model_type": "gemma",
        "hidden_size": GEMMA["width"],
        "num_hidden_layers": GEMMA["depth"],
        "intermediate_size": GEMMA["mlp_dim"],
        "num_attention_heads": GEMMA["num_heads"],
        "num_key_value_heads": GEMMA["num_kv_heads"],
        "head_dim": GEMMA["head_dim"],
        "vocab_size": Text().vocab_size,
    }
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": SIGLIP["width"],
        "num_hidden_layers": SIGLIP["depth"],
        "intermediate_size": SIGLIP["mlp_dim"],
        "num_attention_heads": SIGLIP["num_heads"],
        "patch_size": SIGLIP["patch_size"],
        "image_size": SIGLIP["image_size"],
        "projection_dim": GEMMA["width"],
        "vision_use_head": False,
    }
    image_token = Text().vocab_size
    config = transformers.PI0Config(
        vlm_config={
            "model_type": "paligemma",
            "text_config": gemma,
            "vision_config": vision,
            "projection_dim": GEMMA["width"],
            "image_token_id": image_token,
        },
        dit_config=gemma,
        chunk_size=8,
        max_state_dim=9,
        max_action_dim=9,
    )
    model = transformers.PI0ForConditionalGeneration(config)
    for parameter in model.parameters():
        scale = 0.2 if parameter.ndim == 1 else 1.4 * parameter[0].numel() ** -0.5
        torch.nn.init.normal_(parameter, std=scale)
    model.eval()
    images = rng.integers(256, size=(3, 224, 224, 3), dtype=np.uint8)
    words = Text().pieces.encode(TASK + "\n", add_bos=True)
    state, noise = torch.randn(1, 9), torch.randn(1, 8, 9)
    tokens = [image_token] * (3 * 256) + words
    actions = model.sample_actions(
        state=state,
        input_ids=torch.tensor([tokens]),
        pixel_values=torch.tensor(images).permute(0, 3, 1, 2)[None] / 255 * 2 - 1,
        noise=noise.clone(),
        attention_mask=torch.ones(1, len(tokens), dtype=torch.long),
        pixel_attention_mask=torch.ones(1, 3, dtype=torch.bool),
    )
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    model.save_pretrained(directory)
    write_case(
        directory,
        {"in/images": images, "in/tokens": np.array(words), "in/state": state.numpy()},
        **{"in/noise": noise.numpy(), "out/actions": actions.numpy()},
    )


def check(directory: Path, name: str) -> float:
    """Relative error of LeRobot with a policy that this suite wrote, against a recorded case."""
    kind = "pi05" if name == "pi05" else "pi0_fast" if name == "pi0_fast" else "pi0"
    with np.load(HERE / name / "case.npz") as arrays:
        case = dict(arrays)
    text = json.loads((directory / "config.json").read_text())
    plain = directory.with_name(directory.name + "_config")
    plain.mkdir()
    own = ("paligemma", "action_expert", "siglip", "vocab_size")
    (plain / "config.json").write_text(json.dumps({k: text[k] for k in text if k not in own}))
    config = PreTrainedConfig.from_pretrained(plain)
    policy = KINDS[kind][1].from_pretrained(directory, config=config)
    before, after = make_pre_post_processors(config, pretrained_path=str(directory))
    batch = {
        "observation.state": torch.tensor(case["in/state"], dtype=torch.float32),
        "task": TASK,
    }
    for key, image in case.items():
        if key.startswith("in/image/"):
            camera = key.removeprefix("in/image/")
            batch[f"observation.images.{camera}"] = torch.tensor(image).permute(2, 0, 1) / 255
    noise = {} if kind == "pi0_fast" else {"noise": torch.tensor(case["in/noise"])[None]}
    actions = after(policy.eval().predict_action_chunk(before(batch), **noise))[0].numpy()
    return float(abs(actions - case["out/actions"]).max() / abs(case["out/actions"]).max())


def write_case(directory: Path, given: dict[str, np.ndarray], **arrays: np.ndarray) -> None:
    np.savez_compressed(directory / "case.npz", **given, **arrays)
    (directory / "task.txt").write_text(TASK)


if __name__ == "__main__":
    with torch.random.fork_rng():
        flow_case(
            "pi0",
            "pi0",
            seen=["front", "wrist"],
            rename={"front": "base_0_rgb"},
            dims=(5, 5),
            empty_cameras=1,
            use_relative_actions=True,
            relative_exclude_joints=["gripper"],
            action_feature_names=JOINTS,
        )
        flow_case("pi05", "pi05", seen=["top", "side", "wrist"], rename={}, dims=(6, 4))
        flow_case("pi0_peft", "pi0", seen=["front"], rename={}, dims=(5, 4), adapter=True)
        transformers_case("transformers")
        fast_case("pi0_fast")
