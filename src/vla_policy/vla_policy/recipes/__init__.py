"""Named policies: what a name alone fixes of a model and everything around it.

openpi's registry, two forks of it for Trossen AI, and FluxVLA's platforms. Only what a running
policy needs, and where training starts from.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from vla_core.errors import CheckpointError
from vla_policy.recipes import fluxvla, openpi, trossen
from vla_policy.recipes.openpi import NOT_HERE as NOT_HERE
from vla_policy.recipes.recipe import Recipe as Recipe

#: By name, in alphabetical order. Names that cannot run here stand in `NOT_HERE`, with the reason.
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in sorted(
        (
            *openpi.ALOHA,
            *openpi.DROID,
            *openpi.LIBERO,
            *openpi.ROBOARENA,
            *openpi.POLARIS,
            *openpi.UR5,
            *trossen.PLAIN,
            *trossen.FLIPPED,
            *fluxvla.ALL,
        ),
        key=lambda recipe: recipe.name,
    )
}


def get(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        CheckpointError: There is none, or it cannot run here.
    """
    if name in NOT_HERE:
        raise CheckpointError(
            "this named policy does not run here", found=name, fix=NOT_HERE[name]
        )
    if name not in RECIPES:
        names = dict.fromkeys([*nearest(name), *RECIPES])
        raise CheckpointError("unknown named policy", found=name, allowed=", ".join(names))
    return RECIPES[name]


def nearest(name: str) -> list[str]:
    """What a misspelt name may mean, best first."""
    return get_close_matches(name, RECIPES)


def named(checkpoint: str, recipe: str) -> Recipe | None:
    """The recipe that a user means: the one given, else the one that `checkpoint` is a name of.

    A directory of that name goes first.

    Raises:
        CheckpointError: The one given does not exist.
    """
    if recipe:
        return get(recipe)
    meant = checkpoint in RECIPES or checkpoint in NOT_HERE
    return get(checkpoint) if meant and not Path(checkpoint).exists() else None
