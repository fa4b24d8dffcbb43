"""What the calls take, as AWS's service models have it."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,256}\Z")]
ArnText = Annotated[str, Meta(min_length=1, max_length=1024)]
Version = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9]{1,64}\Z")]
Ttl = Annotated[int, Meta(ge=5, le=120)]
TagKey = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00]+\Z")]
TagValue = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00]*\Z")]
Protocol = Literal["WSS", "HTTPS", "WEBRTC"]


class Shape(Struct, frozen=True, rename="pascal"):
    """A body; members unknown to us are ignored."""


class Tag(Shape, frozen=True):
    """A tag; in answers they are a map."""

    key: TagKey
    value: TagValue


class SingleMaster(Shape, frozen=True):
    """What can be set of a channel."""

    message_ttl_seconds: Ttl | None = None


class Create(Shape, frozen=True):
    """CreateSignalingChannel."""

    channel_name: Name
    channel_type: Literal["SINGLE_MASTER", "FULL_MESH"] | None = None
    single_master_configuration: SingleMaster | None = None
    tags: Annotated[list[Tag], Meta(max_length=50)] | None = None


class Describe(Shape, frozen=True):
    """DescribeSignalingChannel and DescribeMediaStorageConfiguration: one of the two."""

    channel_name: Name | None = None
    channel_arn: ArnText | None = field(default=None, name="ChannelARN")


class NameCondition(Shape, frozen=True):
    """Which names are listed."""

    comparison_operator: Literal["BEGINS_WITH"] | None = None
    comparison_value: Name | None = None


class List(Shape, frozen=True):
    """ListSignalingChannels."""

    max_results: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    next_token: Annotated[str, Meta(max_length=1024)] | None = None
    channel_name_condition: NameCondition | None = None


class Update(Shape, frozen=True):
    """UpdateSignalingChannel."""

    current_version: Version
    channel_arn: ArnText = field(name="ChannelARN")
    single_master_configuration: SingleMaster | None = None


class Delete(Shape, frozen=True):
    """DeleteSignalingChannel; without a version whichever it has."""

    channel_arn: ArnText = field(name="ChannelARN")
    current_version: Version | None = None


class EndpointConfiguration(Shape, frozen=True):
    """Which endpoints are wanted, and in which role."""

    protocols: Annotated[list[Protocol], Meta(min_length=1, max_length=5)] | None = None
    role: Literal["MASTER", "VIEWER"] | None = None


class GetEndpoint(Shape, frozen=True):
    """GetSignalingChannelEndpoint."""

    channel_arn: ArnText = field(name="ChannelARN")
    single_master_channel_endpoint_configuration: EndpointConfiguration | None = None


class TagResource(Shape, frozen=True):
    """TagResource."""

    resource_arn: ArnText = field(name="ResourceARN")
    tags: Annotated[list[Tag], Meta(min_length=1, max_length=50)]


class UntagResource(Shape, frozen=True):
    """UntagResource."""

    resource_arn: ArnText = field(name="ResourceARN")
    tag_key_list: Annotated[list[TagKey], Meta(min_length=1, max_length=50)]


class ListTags(Shape, frozen=True):
    """ListTagsForResource. All tags fit one page, so nobody was ever given a token."""

    resource_arn: ArnText = field(name="ResourceARN")
    next_token: str | None = None


class SendAlexaOffer(Shape, frozen=True):
    """SendAlexaOfferToMaster, of the per-channel service."""

    sender_client_id: Name
    message_payload: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9+/=]{1,10000}\Z")]
    channel_arn: ArnText = field(name="ChannelARN")


class GetIceServerConfig(Shape, frozen=True):
    """GetIceServerConfig, of the per-channel service."""

    channel_arn: ArnText = field(name="ChannelARN")
    client_id: Name | None = None
    service: Literal["TURN"] | None = None
    username: Name | None = None
