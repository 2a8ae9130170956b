"""Small pieces of real infrastructure, each with its secrets and the places they end up in."""

from collections.abc import Callable
from typing import Final

from tests.redaction.planting import Scene
from tests.redaction.scenes import (
    aws,
    azure,
    google,
    hashicorp,
    kubernetes,
    schema,
    services,
    shapes,
    texts,
)

SCENES: Final[tuple[Callable[[Scene], None], ...]] = (
    *aws.SCENES,
    *azure.SCENES,
    *google.SCENES,
    *kubernetes.SCENES,
    *hashicorp.SCENES,
    *services.SCENES,
    *shapes.SCENES,
)
"""Those that are played in every stack."""

ATTRIBUTES: Final = schema.SCENES
"""One for each attribute of many; each is played in one stack."""

TEXTS: Final = texts.SCENES
"""One for each text of many; each is played in a stack or two, in different places."""
