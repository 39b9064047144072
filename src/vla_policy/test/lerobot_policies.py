"""Tiny policies with random weights and statistics, made and saved by LeRobot itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vla_core.contract import Contract, parse_contract
from vla_core.types import Observation

SIDE = 64
NAMES = ("observation.state", "observation.images.top", "observation.images.wrist")
TEXT = """\
schema: 1
robot: tester
description: two arm joints and a gripper, two cameras
policy_rate_hz: 10
control_rate_hz: 100
joints:
  a: {unit: rad, range: [-2, 2], velocity: 2, acceleration: 10}
  b: {unit: rad, range: [-1, 1], velocity: 1, acceleration: 5}
  g: {kind: gripper, unit: m, range: [0, 0.08], velocity: 0.5, acceleration: 5}
streams:
  arm: {topic: /joints, type: sensor_msgs/msg/JointState, joints: [a, b, g], rate_hz: 100}
state: [a, b, g]
cameras:
  top: {topic: /top, type: sensor_msgs/msg/Image, encoding: rgb8, width: 64, height: 64, rate_hz: 30}
  wrist: {topic: /wrist, type: sensor_msgs/msg/Image, encoding: rgb8, width: 64, height: 64, rate_hz: 30}
action:
  arm: {topic: /arm, type: std_msgs/msg/Float64MultiArray, joints: [a, b, g]}
safety:
  start_offset: {rad: 0.3}
  gross_offset: {rad: 1.0}
"""  # noqa: E501
SMALL: dict[str, dict[str, Any]] = {
    "act": {
        "chunk_size": 7,
        "n_action_steps": 5,
        "dim_model": 32,
        "n_heads": 2,
        "dim_feedforward": 32,
        "n_encoder_layers": 1,
        "n_vae_encoder_layers": 1,
    },
    "diffusion": {
        "down_dims": (16, 32),
        "horizon": 8,
        "n_action_steps": 4,
        "crop_shape": None,
        "diffusion_step_embed_dim": 16,
        "spatial_softmax_num_keypoints": 4,
        "num_train_timesteps": 10,
        "num_inference_steps": 2,
        "n_groups": 4,
    },
    "vqbet": {
        "crop_shape": (60, 60),
        "gpt_n_layer": 1,
        "gpt_n_head": 2,
        "gpt_input_dim": 32,
        "gpt_hidden_dim": 32,
        "gpt_output_dim": 32,
        "n_obs_steps": 3,
        "n_action_pred_token": 4,
        "vqvae_enc_hidden_dim": 32,
        "vqvae_n_embed": 4,
        "vqvae_embedding_dim": 16,
        "n_vqvae_training_steps": 1,
    },
    "tdmpc": {
        "latent_dim": 8,
        "q_ensemble_size": 2,
        "mlp_dim": 16,
        "image_encoder_hidden_dim": 4,
        "horizon": 2,
        "cem_iterations": 2,
        "n_gaussian_samples": 8,
        "n_pi_samples": 4,
        "n_elites": 4,
        "state_encoder_hidden_dim": 16,
    },
    "smolvla": {
        "chunk_size": 6,
        "n_action_steps": 4,
        "num_vlm_layers": 2,
        "resize_imgs_with_padding": (SIDE, SIDE),
        "max_state_dim": 4,
        "max_action_dim": 4,
        "num_steps": 2,
        "tokenizer_max_length": 8,
    },
}


def contract() -> Contract:
    return parse_contract(TEXT, "robot.yaml")


def observation(seed: int = 0, after_s: float = 0.0) -> Observation:
    random = np.random.default_rng(seed)
    return Observation(
        stamp_ns=1_700_000_000_000_000_000 + round(after_s * 1e9),
        state=random.uniform(-1, 1, 3),
        images={
            name: random.integers(256, size=(SIDE, SIDE, 3), dtype=np.uint8)
            for name in ("top", "wrist")
        },
        prompt="pick up the cube",
    )


class Lerobots:
    """One policy in LeRobot's hands: what ours is compared with.

    Args:
        kind: Type in LeRobot's factory.
        settings: Of its configuration, over the small ones.
    """

    def __init__(self, kind: str, **settings: Any) -> None:
        from lerobot.configs.types import FeatureType, PolicyFeature
        from lerobot.policies import factory

        torch.manual_seed(0)
        image = PolicyFeature(FeatureType.VISUAL, (3, SIDE, SIDE))
        cameras = {"tdmpc": ("observation.image",), "vqbet": NAMES[1:2]}.get(kind, NAMES[1:])
        backbone = (
            {"pretrained_backbone_weights": None} if kind not in ("tdmpc", "smolvla") else {}
        )
        self.config = factory.make_policy_config(
            kind,
            device="cpu",
            push_to_hub=False,
            input_features={
                NAMES[0]: PolicyFeature(FeatureType.STATE, (3,)),
                **dict.fromkeys(cameras, image),
            },
            output_features={"action": PolicyFeature(FeatureType.ACTION, (3,))},
            **(backbone | SMALL.get(kind, {}) | settings),
        )
        self.policy = factory.get_policy_class(kind)(self.config).eval()
        for parameter in self.policy.parameters():
            if parameter.ndim > 1:  # large, so that what is seen matters; some start at zero
                torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        self.before, self.after = factory.make_pre_post_processors(
            self.config,
            dataset_stats={name: _statistics(name) for name in ("action", NAMES[0], *cameras)},
        )
        if kind == "tdmpc":  # it knows its one camera by this name only
            self.before.steps[0].rename_map = {NAMES[1]: cameras[0]}

    def save(self, path: Path) -> Path:
        self.policy.save_pretrained(path)
        self.before.save_pretrained(path)
        self.after.save_pretrained(path)
        return path

    def actions(self, *seen: Observation, steps: int) -> np.ndarray[Any, Any]:
        """What LeRobot's own loop would send, one action at a time, after the last observation."""
        self.policy.reset()
        for earlier in seen[:-1]:
            self.policy.select_action(self._batch(earlier))
            self.policy._queues["action"].clear()
        torch.manual_seed(1)
        batch = self._batch(seen[-1])
        sent = [self.after(self.policy.select_action(dict(batch))) for _ in range(steps)]
        return torch.cat(sent).numpy()

    def _batch(self, seen: Observation) -> dict[str, Any]:
        from lerobot.policies.utils import prepare_observation_for_inference

        arrays = {f"observation.images.{name}": image for name, image in seen.images.items()}
        arrays["observation.state"] = seen.state.astype(np.float32)
        return self.before(
            prepare_observation_for_inference(arrays, torch.device("cpu"), seen.prompt, "tester")
        )


def tiny_vlm(folder: Path) -> str:
    """What SmolVLA takes from the Hub: configuration and processor of its language model."""
    import transformers as tf
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<unk>", "<pad>", "<image>", "<fake>", "<global>", "pick", "up", "the", "cube"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        extra_special_tokens={
            "image_token": "<image>",
            "fake_image_token": "<fake>",
            "global_image_token": "<global>",
        },
    )
    images, videos = tf.SmolVLMImageProcessor(), tf.SmolVLMVideoProcessor()
    tf.SmolVLMProcessor(images, fast, videos, chat_template="{{ messages }}").save_pretrained(
        folder
    )
    size = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    text = {"num_hidden_layers": 2, "num_key_value_heads": 1, "head_dim": 16, "pad_token_id": 1}
    tf.SmolVLMConfig(
        scale_factor=4,
        pad_token_id=1,
        image_token_id=2,
        text_config={"model_type": "llama", "vocab_size": len(words), **text, **size},
        vision_config={"num_hidden_layers": 1, "image_size": SIDE, "patch_size": 16, **size},
    ).save_pretrained(folder)
    return str(folder)


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _statistics(name: str) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(len(name))
    shape = (3, 1, 1) if "image" in name else (3,)
    mean, std = torch.rand(shape, generator=random), 0.1 + torch.rand(shape, generator=random)
    return {"mean": mean, "std": std, "min": mean - 2 * std, "max": mean + 2 * std}
