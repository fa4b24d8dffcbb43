"""yown.it: protocols.md section 3. Who connects says where it belongs, and is found by that (`POST /discovery`)."""

from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import Hello
from parley.protocol.dialects.apigw import Workshop


class Yown(Workshop):
    """The dialect: a device has one connection, and `NEGOTIATE` goes from one connection to another."""

    device_alone = True

    def check(self, hello: Hello) -> None:
        """Fail as its `$connect` does, whose handler reads the device before anything else (3.1)."""
        if not hello.query.get("deviceId"):
            raise Refusal(ErrorCode.INTERNAL, "Say which device this is: connect with ?deviceId=.")
