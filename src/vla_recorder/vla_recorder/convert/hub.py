"""Publishing of a dataset on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from vla_recorder.convert.errors import ConvertError


def push(dataset: Path, repository: str, version: str, *, private: bool) -> str:
    """Upload a dataset; LeRobot finds it by the tag of its version.

    Args:
        dataset: Its folder.
        repository: ``owner/name``.
        version: ``v2.1`` or ``v3.0``.
        private: Whether a new repository is.

    Returns:
        The address of the commit.

    Raises:
        ConvertError: The hub refuses, or cannot be reached.

    Source: https://github.com/huggingface/lerobot (LeRobotDataset.push_to_hub).
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # Its bases are the errors of the HTTP library in use, which come bare without a network.
    unreachable = cast("tuple[type[Exception], ...]", HfHubHTTPError.__bases__)
    refusals: tuple[type[Exception], ...] = (*unreachable, HFValidationError, OSError)
    api = HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository, repo_type="dataset", folder_path=str(dataset)
        )
        tags = api.list_repo_refs(repository, repo_type="dataset").tags
        if version in {ref.name for ref in tags}:
            api.delete_tag(repository, tag=version, repo_type="dataset")
        api.create_tag(repository, tag=version, repo_type="dataset")
    except refusals as error:
        raise ConvertError(
            "the dataset could not be published",
            where=repository,
            found=error,
            fix="log in with `hf auth login`, or try again with a network;"
            " the dataset itself is whole and stays",
        ) from error
    return str(commit.commit_url)
