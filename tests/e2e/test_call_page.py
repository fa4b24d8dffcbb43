"""The call page, in a real browser against a real Parley: fake cameras, chat, invitations."""

import json

import pytest
from e2e.playing import play
from support.instance import PARLEY, Instance


@pytest.mark.timeout(300)
async def test_people_call_each_other_on_the_call_page(parley: Instance) -> None:
    await play("test", parley.env | {"PARLEY_URL": parley.url, "PARLEY_COMMAND": json.dumps(PARLEY)})


@pytest.mark.e2e
@pytest.mark.timeout(600)
async def test_pictures_sound_and_many_people_on_the_call_page(parley: Instance) -> None:
    await play("test:media", {"PARLEY_URL": parley.url})
