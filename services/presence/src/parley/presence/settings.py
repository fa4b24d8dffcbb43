"""What the presence service reads from its environment."""

from typing import ClassVar

from parley.kit.settings import Stateful


class Settings(Stateful, frozen=True, kw_only=True):
    """Each field is PRESENCE_<FIELD> in the environment; what all services share keeps its own name."""

    prefix: ClassVar[str] = "PRESENCE"
