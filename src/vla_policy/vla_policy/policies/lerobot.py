"""Policies that run in LeRobot's own classes: ACT, Diffusion, SmolVLA, GR00T and what else it has.

LeRobot is optional: scripts/lerobot.lock. A policy sees and gives the contract's values as they
are, so it must have been trained on data in the contract's order and units.

Shape letters: H horizon, A action dimension, S state dimension, B batch of one.

Source: https://github.com/huggingface/lerobot, 0.4.4 and 0.6.1: src/lerobot/policies/factory.py,
src/lerobot/utils/control_utils.py (predict_action).
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vla_core.contract import Contract
from vla_core.errors import CheckpointError, PolicyError
from vla_core.rtc import Committed
from vla_core.types import FloatArray, Observation
from vla_policy.checkpoints.lerobot_config import ACTION, EMPTY_CAMERA, IMAGES, STATE
from vla_policy.policies.lerobot_folder import PROCESSORS, LerobotFolder, read_folder

ONLY_IMAGE = "observation.image"
# Settings of policies that bring camera images to their own size; the others take only one size.
RESIZING = ("resize_imgs_with_padding", "resize_shape", "image_resolution", "image_size")
# Repositories whose code LeRobot may run, so nothing but its own choice is taken for them.
CODE_KEYS = (
    *("action_tokenizer_name", "action_tokenizer_path", "base_model_path", "text_tokenizer_name"),
    *("tokenizer_assets_repo", "trust_remote_code", "vision_encoder_name"),
)
Batch = dict[str, Any]
LOG = logging.getLogger(__name__)
DECLARED: list[torch.library.Library] = []  # what they declare ends with them


class LerobotPolicy:
    """Observation -> LeRobot's preprocessor, policy and postprocessor -> action chunk.

    A policy that looks back (Diffusion, VQ-BeT) wants observations one policy period apart. Those
    of earlier calls serve where they lie within half a period of the time wanted; where none does,
    the next younger one is repeated, as in LeRobot when an episode begins. So motion never looks
    faster than it is, but it is seen only when inference runs at the policy rate.

    ACT's temporal ensemble is left to the executor, which has its own.

    Args:
        policy: LeRobot's, with its weights, in evaluation mode.
        preprocessor, postprocessor: LeRobot's pipelines.
        cameras: What the preprocessor calls an image -> camera of the contract.
        state: What it calls the state; None: the policy does not see it.
        contract: The robot.
    """

    needs_prompt = True

    def __init__(
        self,
        policy: Any,
        *,
        preprocessor: Any,
        postprocessor: Any,
        cameras: Mapping[str, str],
        state: str | None,
        contract: Contract,
    ) -> None:
        self.action_names = contract.action_names
        self._policy, self._before, self._after = policy, preprocessor, postprocessor
        self._cameras, self._state, self._robot = cameras, state, contract.robot
        self._device = torch.device(policy.config.device)
        self._period_ns = round(1e9 / contract.policy_rate_hz)
        self._told = False
        self.reset()
        self.horizon = len(self.infer(_example(contract)))
        self.reset()

    @classmethod
    def open(cls, path: Path, contract: Contract, *, device: str = "cpu") -> LerobotPolicy:
        """From a folder that LeRobot saved, warmed up by one inference.

        Args:
            path: With config.json, model.safetensors and both processors.
            contract: The robot.
            device: Of torch.

        Raises:
            CheckpointError: LeRobot is not installed, or the folder cannot be loaded.
            PolicyError: It does not fit the contract, or gives no finite chunk.
        """
        folder = read_folder(path)
        factory = import_lerobot()
        config = _config(folder, device)
        cameras, state = _inputs(folder, config, contract)
        try:
            policy = factory.get_policy_class(folder.kind).from_pretrained(
                str(path), config=config, strict=True
            )
            _check_finite(policy, path)
            before, after = factory.make_pre_post_processors(
                config, str(path), preprocessor_overrides=_moved(folder, device)
            )
        except CheckpointError:
            raise
        except Exception as error:  # another project's code may raise anything
            raise _not_loaded(path, error) from error
        return cls(
            policy,
            preprocessor=before,
            postprocessor=after,
            cameras=cameras,
            state=state,
            contract=contract,
        )

    def reset(self) -> None:
        """Forget earlier observations."""
        self._seen: list[tuple[int, Batch]] = []
        for part in (self._policy, self._before, self._after):
            part.reset()

    def infer(
        self,
        observation: Observation,
        *,
        noise: npt.NDArray[np.floating] | None = None,
        previous: Committed | None = None,
    ) -> FloatArray:
        """One chunk, (H, A) float64; see `Policy.infer`."""
        if noise is not None:
            raise PolicyError("LeRobot's policies draw their own noise", found=noise.shape)
        amp = torch.autocast(self._device.type) if self._policy.config.use_amp else None
        with torch.inference_mode(), amp or contextlib.nullcontext():
            chunk = self._chunk(observation.stamp_ns, self._before(self._batch(observation)))
            chunk = self._after(chunk)  # each action by itself: time is the batch here
        actions = chunk.float().cpu().numpy().astype(np.float64)
        if actions.ndim != 2 or actions.shape[1] != len(self.action_names):
            raise PolicyError(
                "the policy's actions have another shape",
                where="infer",
                found=actions.shape,
                allowed=f"(H, {len(self.action_names)})",
            )
        if not np.isfinite(actions).all():
            raise PolicyError("the policy's actions are not finite", where="infer")
        return np.repeat(actions, 2, axis=0) if len(actions) == 1 else actions  # a chunk has two

    def _batch(self, observation: Observation) -> Batch:
        prepare = importlib.import_module(
            "lerobot.policies.utils"
        ).prepare_observation_for_inference
        arrays = {key: np.array(observation.images[name]) for key, name in self._cameras.items()}
        if self._state is not None:
            arrays[self._state] = observation.state.astype(np.float32)
        batch: Batch = prepare(arrays, self._device, observation.prompt, self._robot)
        return batch

    def _chunk(self, stamp_ns: int, batch: Batch) -> torch.Tensor:
        """(H, A), normalised."""
        if set(getattr(self._policy, "_queues", ())) - {ACTION}:
            return self._chunk_from_history(self._history(stamp_ns, batch))
        try:
            chunk: torch.Tensor = self._policy.predict_action_chunk(batch)[0]
        except NotImplementedError:  # SAC: one action at a time
            chunk = self._policy.select_action(batch)
        return chunk

    def _chunk_from_history(self, batches: list[Batch]) -> torch.Tensor:
        """Let the policy fill its own queue of observations, and compute once."""
        self._policy.reset()
        for batch in batches[:-1]:
            self._policy._queues[ACTION].append(None)  # an action is there: only remember this
            self._policy.select_action(dict(batch))
        first = self._policy.select_action(dict(batches[-1]))
        return torch.cat([first, *self._policy._queues[ACTION]])

    def _history(self, stamp_ns: int, batch: Batch) -> list[Batch]:
        """The observations that the policy looks back on, oldest first; see the class."""
        steps = self._policy.config.n_obs_steps
        oldest_ns, first = stamp_ns - steps * self._period_ns, not self._seen
        self._seen = [item for item in self._seen if oldest_ns <= item[0] < stamp_ns]
        self._seen.append((stamp_ns, batch))
        chosen = [batch]
        for back in range(1, steps):
            wanted_ns = stamp_ns - back * self._period_ns
            nearest_ns, nearest = min(self._seen, key=lambda item: abs(item[0] - wanted_ns))
            fits = abs(nearest_ns - wanted_ns) <= self._period_ns / 2
            chosen.append(nearest if fits else chosen[-1])
            if not (fits or first or self._told):
                self._told = True
                LOG.warning(
                    "the policy looks back %.3f s, and was given no observation of that time:"
                    " it sees no motion; run inference at the policy rate",
                    back * self._period_ns / 1e9,
                )
        return chosen[::-1]


def import_lerobot() -> Any:
    """LeRobot's factory module.

    Raises:
        CheckpointError: It is not installed, or not completely.
    """
    try:
        try:
            importlib.import_module("torchvision")
        except RuntimeError:  # built for CUDA, beside a torch for CPUs: two operators are missing
            _declare_operators()
        return importlib.import_module("lerobot.policies.factory")
    except Exception as error:  # an unfit version of one of its packages may raise anything
        raise CheckpointError(
            "this policy runs in LeRobot, which cannot be imported",
            where="lerobot",
            found=error,
            allowed="LeRobot 0.4.4, or 0.6.1 on Python 3.12",
            fix="install it beside this environment: pip install --no-deps --target .cache/lerobot"
            " -r scripts/lerobot.lock && export PYTHONPATH=$PWD/.cache/lerobot:$PYTHONPATH",
        ) from error


def _declare_operators() -> None:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    DECLARED.append(library)


def _config(folder: LerobotFolder, device: str) -> Any:
    """LeRobot's configuration object, for this machine, that downloads no weights."""
    configs = importlib.import_module("lerobot.configs.policies").PreTrainedConfig
    registry = importlib.import_module("lerobot.processor.pipeline").ProcessorStepRegistry
    known = configs.get_known_choices()
    if folder.kind not in known:
        raise CheckpointError(
            "LeRobot has no policy of this type",
            where=str(folder.path / "config.json"),
            found=folder.kind,
            allowed=", ".join(sorted(known)),
        )
    processor = f"lerobot.policies.{folder.kind}.processor_{folder.kind}"
    with contextlib.suppress(ImportError):  # registers the type's own steps, where it has some
        importlib.import_module(processor)
    _check_code(folder.path / "config.json", folder.config, known[folder.kind])
    for file, steps in zip(PROCESSORS, folder.steps, strict=True):
        for step in steps:
            name, registered = step.name, registry.list()
            if name not in registered:
                raise CheckpointError(
                    "LeRobot has no processor step of this name",
                    where=str(folder.path / file),
                    found=name,
                    allowed=", ".join(sorted(registered)),
                    fix="use the version of LeRobot that saved it",
                )
            _check_code(folder.path / file, step.config, registry.get(name))
    try:
        config = configs.from_pretrained(str(folder.path))
    except Exception as error:  # another project's code may raise anything
        raise _not_loaded(folder.path, error) from error
    config.device = device
    for setting, value in (("pretrained_backbone_weights", None), ("load_vlm_weights", False)):
        if hasattr(config, setting):
            setattr(config, setting, value)
    return config


def _check_code(where: Path, values: Mapping[str, Any], owner: Any) -> None:
    for key in CODE_KEYS:
        own = False if key == "trust_remote_code" else getattr(owner, key, None)
        if values.get(key, own) != own:
            raise CheckpointError(
                "a file names code to run",
                where=f"{where}, {key}",
                found=values[key],
                allowed=own,
                fix="LeRobot runs code from there; only its own choice is taken",
            )


def _inputs(
    folder: LerobotFolder, config: Any, contract: Contract
) -> tuple[dict[str, str], str | None]:
    """Cameras and state by the names that the preprocessor expects; shapes compared."""
    cameras = {IMAGES + camera.name: camera for camera in contract.cameras}
    if len(contract.cameras) == 1:
        cameras[ONLY_IMAGE] = contract.cameras[0]
    any_size = any(getattr(config, setting, None) for setting in RESIZING)
    found: dict[str, str] = {}
    state: str | None = None
    for name, feature in config.input_features.items():
        source, shape = folder.renamed.get(name, name), tuple(feature.shape)
        camera = cameras.get(source)
        if name.startswith(IMAGES + EMPTY_CAMERA):  # the policy fills it in by itself
            continue
        if feature.type.value == "VISUAL" and camera is not None:
            if not any_size and shape != (3, camera.height, camera.width):
                raise _misfit(name, (3, camera.height, camera.width), shape)
            found[source] = camera.name
        elif name == STATE:
            if shape != (len(contract.state),):
                raise _misfit(name, (len(contract.state),), shape)
            state = source
        else:
            offered = [*cameras, f"{STATE} {(len(contract.state),)}"]
            raise _misfit(source, ", ".join(offered), f"{source} {shape}")
    action = config.output_features.get(ACTION) if config.output_features else None
    if action is None or tuple(action.shape) != (len(contract.action_names),):
        raise _misfit(ACTION, (len(contract.action_names),), action and tuple(action.shape))
    return found, state


def _moved(folder: LerobotFolder, device: str) -> dict[str, dict[str, str]]:
    """The saved pipeline names the device of the training machine."""
    names = {step.name for step in folder.steps[0]}
    return {"device_processor": {"device": device}} if "device_processor" in names else {}


def _check_finite(policy: Any, path: Path) -> None:
    for name, weight in policy.named_parameters():
        if not torch.isfinite(weight).all():
            raise CheckpointError(
                "a weight is not finite",
                where=f"{path}, {name}",
                fix="take an earlier checkpoint; training may have diverged",
            )


def _example(contract: Contract) -> Observation:
    joints = [contract.joints[name] for name in contract.state]
    return Observation(
        stamp_ns=0,
        state=np.array([(joint.lower + joint.upper) / 2 for joint in joints]),
        images={c.name: np.zeros((c.height, c.width, 3), np.uint8) for c in contract.cameras},
        prompt="warm up",
    )


def _misfit(what: str, offered: object, wanted: object) -> PolicyError:
    return PolicyError(
        "the policy does not fit the contract",
        where=what,
        found=offered,
        allowed=wanted,
        fix="use a policy trained with this robot's names and sizes, or write a contract for it",
    )


def _not_loaded(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        "LeRobot cannot load this policy",
        where=str(path),
        found=f"{type(error).__name__}: {error}",
        fix="use the version of LeRobot that saved it, and the whole folder",
    )
