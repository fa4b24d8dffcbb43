"""The calls of the control plane and of the per-channel service, one function each (protocols.md 6.1 and 6.2)."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from parley.kit.access import Caller
from parley.kit.ask import Ask
from parley.kit.cursors import cursor, place
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import WriteLetter
from parley.protocol.dialects import kvs
from parley.protocol.ids import partition_of
from parley.rooms.channels import queries, shapes
from parley.rooms.channels.channel import DEFAULT_TTL, Arn, Channel, new_version
from parley.rooms.channels.faults import Fault, invalid, not_found
from parley.rooms.turn import Relay

MOST_CHANNELS: Final = 10_000
"""Of an app in a region."""

MOST_TAGS: Final = 50
USUAL_PAGE: Final = 500

SHORTEST_TTL: Final = 30
LONGEST_TTL: Final = 86_400
"""Bounds of `Ttl`, in seconds."""

LONGEST_WAIT: Final = 130.0
"""Seconds: a channel keeps messages for two minutes at most, and then the owner says so."""

MOST_URIS: Final = 4
"""AWS's client for small devices reads no more of one server."""


class Desk(Struct, frozen=True):
    """What the calls work with."""

    db: AsyncEngine
    relay: Relay
    ask: Ask
    """With patience for as long as a channel keeps a message."""


class Call(Struct, frozen=True):
    """Who calls, and at which address."""

    desk: Desk
    caller: Caller
    front_door: str
    """The origin that the caller used, such as ``https://parley.example``."""


Answer = dict[str, Any]
S = TypeVar("S", bound=shapes.Shape)


async def create(call: Call, body: shapes.Create) -> Answer:
    """Make a channel."""
    if body.channel_type == "FULL_MESH":
        raise invalid("ChannelType FULL_MESH is not supported; SINGLE_MASTER is.")
    channel = Channel(
        app=call.caller.app,
        region=call.caller.region,
        name=body.channel_name,
        created_at=time.time_ns() // 1_000_000,
        ttl=_ttl(body.single_master_configuration, DEFAULT_TTL),
        version=new_version(),
        tags=_tags({}, body.tags or []),
    )
    async with call.desk.db.begin() as db:
        if await queries.count(db, channel.app, channel.region) >= MOST_CHANNELS:
            raise Fault("AccountChannelLimitExceededException", f"There are {MOST_CHANNELS} channels already.")
        if not await queries.make(db, channel):
            raise Fault("ResourceInUseException", f"There is a channel {channel.name} already.")
    return {"ChannelARN": channel.arn}


async def describe(call: Call, body: shapes.Describe) -> Answer:
    """Show a channel."""
    return {"ChannelInfo": (await _described(call, body)).info()}


async def media_storage(call: Call, body: shapes.Describe) -> Answer:
    """Say that nothing of a channel is stored."""
    await _described(call, body)
    return {"MediaStorageConfiguration": {"Status": "DISABLED"}}


async def list_channels(call: Call, body: shapes.List) -> Answer:
    """List channels by name."""
    limit = body.max_results or USUAL_PAGE
    condition = body.channel_name_condition
    try:
        after = place(body.next_token, str) if body.next_token else None
    except Refusal:
        raise invalid("NextToken is none of this list.") from None
    async with call.desk.db.connect() as db:
        found = await queries.listed(
            db,
            call.caller.app,
            call.caller.region,
            prefix=(condition and condition.comparison_value) or "",
            after=after,
            limit=limit + 1,
        )
    more = {"NextToken": cursor(found[limit - 1].name)} if len(found) > limit else {}
    return {"ChannelInfoList": [channel.info() for channel in found[:limit]], **more}


async def update(call: Call, body: shapes.Update) -> Answer:
    """Change what can be set of a channel."""
    async with call.desk.db.begin() as db:
        channel = await _locked(call, db, body.channel_arn)
        _same_version(channel, body.current_version)
        ttl = _ttl(body.single_master_configuration, channel.ttl)
        await queries.change(db, structs.replace(channel, ttl=ttl, version=new_version()))
    return {}


async def delete(call: Call, body: shapes.Delete) -> Answer:
    """Delete a channel. Who is connected to it stays so, and nobody connects any more."""
    async with call.desk.db.begin() as db:
        channel = await _locked(call, db, body.channel_arn)
        if body.current_version is not None:
            _same_version(channel, body.current_version)
        await queries.delete(db, channel)
    return {}


async def get_endpoint(call: Call, body: shapes.GetEndpoint) -> Answer:
    """Say where a channel is reached: at the front door, as its caller sees it."""
    wanted = body.single_master_channel_endpoint_configuration
    protocols = (wanted and wanted.protocols) or ["WSS", "HTTPS"]
    if "WEBRTC" in protocols:
        raise invalid("The channel has no media storage, and so no WEBRTC endpoint.")
    await _found(call, body.channel_arn)
    https, wss = call.front_door, call.front_door.replace("http", "ws", 1)
    endpoints = [
        {"Protocol": protocol, "ResourceEndpoint": wss if protocol == "WSS" else https}
        for protocol in dict.fromkeys(protocols)
    ]
    return {"ResourceEndpointList": endpoints}


async def tag(call: Call, body: shapes.TagResource) -> Answer:
    """Add tags to a channel, or give them other values."""
    async with call.desk.db.begin() as db:
        channel = await _locked(call, db, body.resource_arn)
        await queries.change(db, structs.replace(channel, tags=_tags(channel.tags, body.tags)))
    return {}


async def untag(call: Call, body: shapes.UntagResource) -> Answer:
    """Take tags off a channel."""
    async with call.desk.db.begin() as db:
        channel = await _locked(call, db, body.resource_arn)
        tags = {key: value for key, value in channel.tags.items() if key not in body.tag_key_list}
        await queries.change(db, structs.replace(channel, tags=tags))
    return {}


async def list_tags(call: Call, body: shapes.ListTags) -> Answer:
    """Show a channel's tags."""
    if body.next_token is not None:
        raise invalid("NextToken is none of this list.")
    return {"Tags": (await _found(call, body.resource_arn)).tags}


async def ice_servers(call: Call, body: shapes.GetIceServerConfig) -> Answer:
    """Return TURN servers with credentials that hold for a while."""
    await _found(call, body.channel_arn)
    relay = call.desk.relay
    if not relay.turn_urls or not relay.secret:
        return {"IceServerList": []}
    ttl = min(max(relay.ttl, SHORTEST_TTL), LONGEST_TTL)
    holding = structs.replace(relay, stun_urls=(), ttl=ttl)
    (server,) = holding.servers(body.username or body.client_id or "master", int(time.time()))
    uris = server["urls"]
    lists = [
        {
            "Uris": uris[first : first + MOST_URIS],
            "Username": server["username"],
            "Password": server["credential"],
            "Ttl": ttl,
        }
        for first in range(0, len(uris), MOST_URIS)
    ]
    return {"IceServerList": lists}


async def send_alexa_offer(call: Call, body: shapes.SendAlexaOffer) -> Answer:
    """Offer something to the master, and wait for its answer."""
    channel = await _found(call, body.channel_arn)
    ask, app = call.desk.ask, call.caller.app
    try:
        answer = await ask(
            partition_of(app, channel.arn, ask.partitions),
            lambda reply: WriteLetter(
                app=app,
                box=channel.arn,
                name=kvs.MASTER,
                sender=body.sender_client_id,
                kind="SDP_OFFER",
                data=kvs.content(body.message_payload),
                answer="SDP_ANSWER",
                keep_ms=channel.ttl * 1000,
                reply=reply,
            ),
        )
    except Refusal as refusal:
        if refusal.code is ErrorCode.GONE:
            raise Fault("ResourceNotFoundException", "No master of the channel has answered in time.") from None
        raise Fault("ServiceUnavailableException", refusal.message) from None
    return {"Answer": answer["data"]["payload"]}


CALLS: Final[dict[str, tuple[type[shapes.Shape], Callable[[Call, Any], Awaitable[Answer]]]]] = {
    "/createSignalingChannel": (shapes.Create, create),
    "/describeSignalingChannel": (shapes.Describe, describe),
    "/listSignalingChannels": (shapes.List, list_channels),
    "/updateSignalingChannel": (shapes.Update, update),
    "/deleteSignalingChannel": (shapes.Delete, delete),
    "/getSignalingChannelEndpoint": (shapes.GetEndpoint, get_endpoint),
    "/TagResource": (shapes.TagResource, tag),
    "/UntagResource": (shapes.UntagResource, untag),
    "/ListTagsForResource": (shapes.ListTags, list_tags),
    "/describeMediaStorageConfiguration": (shapes.Describe, media_storage),
    "/v1/get-ice-server-config": (shapes.GetIceServerConfig, ice_servers),
    "/v1/send-alexa-offer-to-master": (shapes.SendAlexaOffer, send_alexa_offer),
}
"""By path, as it is on the wire: what a call takes, and what it does."""


async def _described(call: Call, body: shapes.Describe) -> Channel:
    if body.channel_arn is not None:
        return await _found(call, body.channel_arn)
    if body.channel_name is None:
        raise invalid("Either ChannelName or ChannelARN must be given.")
    async with call.desk.db.connect() as db:
        channel = await queries.by_name(db, call.caller.app, call.caller.region, body.channel_name)
    if channel is None:
        raise not_found(body.channel_name)
    return channel


async def _found(call: Call, arn: str) -> Channel:
    async with call.desk.db.connect() as db:
        return await _of_arn(call, db, arn, lock=False)


async def _locked(call: Call, db: AsyncConnection, arn: str) -> Channel:
    return await _of_arn(call, db, arn, lock=True)


async def _of_arn(call: Call, db: AsyncConnection, text: str, *, lock: bool) -> Channel:
    arn = Arn.read(text)
    if arn is None:
        raise invalid(f"{text} is no ARN of a signaling channel.")
    channel = await queries.by_arn(db, call.caller.app, arn, lock=lock)
    if channel is None:
        raise not_found(text)
    return channel


def _same_version(channel: Channel, version: str) -> None:
    if channel.version != version:
        raise Fault("VersionMismatchException", f"The channel's version is {channel.version}; describe it again.")


def _ttl(configuration: shapes.SingleMaster | None, otherwise: int) -> int:
    if configuration is None or configuration.message_ttl_seconds is None:
        return otherwise
    return configuration.message_ttl_seconds


def _tags(tags: dict[str, str], more: list[shapes.Tag]) -> dict[str, str]:
    found = tags | {tag.key: tag.value for tag in more}
    if len(found) > MOST_TAGS:
        raise Fault("TagsPerResourceExceededLimitException", f"A channel has at most {MOST_TAGS} tags.")
    return found
