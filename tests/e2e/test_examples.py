"""The examples of the tutorial do what it says: the page in a real browser, the chat in two terminals."""

import pytest
from e2e.playing import play
from support.instance import Instance


@pytest.mark.timeout(180)
async def test_the_examples_of_the_tutorial_do_what_it_says(parley: Instance) -> None:
    await play("test:examples", {"PARLEY_URL": parley.url})
