"""The rules of recovery, each of which can be left out to see what it is for."""

from enum import StrEnum


class Rule(StrEnum):
    """What is left out is named by what holds otherwise."""

    BATCH_NUMBERS = "an owner ignores a batch that it has read"
    FORWARDS_IN_ORDER = "of two owners of one partition the slower has not the last word in another"
    FENCE = "who has lost a partition cannot write its rows"
    SAID_FIRST = "what is checkpointed has been said"
    ONE_BATCH = "one batch is in flight for each partition"
    ONE_ROUND = "a round is said before the next one"
    ACKNOWLEDGED = "what is not acknowledged is published again"
    FACTS_IN_A_ROW = "facts of one room follow one another"
    EVENTS_ONCE = "a fact that is published again is not stored again"
    MOVES_END_A_ROUND = "what was said before a connection moves is stored before what is said after it"
    PLACES = "a gateway drops what is not above the last place that it has written"
    PLACES_PER_PARTITION = "places are compared per partition"
    N_PER_FRAME = "each frame of a message has an n of its own"
    HOME_FIRST = "a connection moves everywhere once its home has said so"
    EVERY_GATEWAY = "what was missed is read of every gateway where the connection has lived"
    MARKS_REBUILT = "a replay begins so far back that it knows repetitions"
    LEVEL_BEFORE_LIVE = "nobody is live before every partition has said that it speaks to the new gateway"
    HELD_UNTIL_LIVE = "what a client says waits until it is live"
    ANSWERED_DROPPED = "a repeated request whose answer was replayed is dropped"
    SESSIONS = "what an older session says is void"
    ATTEMPTS = "an attempt to resume that was given up takes the connection from no later one"
    CLOSED_TO_ALL = "after a resume the end of a session is told to all partitions"
    ENDED_BY_ITS_GATEWAY = "a gateway ends every session that it held"
    LOST_GATEWAYS = "owners end what a lost gateway held"
    TOLD_TO_THE_GATEWAY = "a gateway is told to close the socket of a connection that owners have ended"
