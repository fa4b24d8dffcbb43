"""What the rooms service reads from the environment."""

from typing import ClassVar

from parley.kit.settings import Stateful


class Settings(Stateful, frozen=True, kw_only=True):
    """Each field is ROOMS_<FIELD> in the environment."""

    prefix: ClassVar[str] = "ROOMS"
