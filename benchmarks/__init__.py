"""
How fast Parley is, beside Socket.IO, in the same run on the same machine.

One load generator (a process of its own, picows under uvloop, loopback only) speaks text frames over real sockets to
three servers in turn, round by round: Parley's gateway, a relay of npm `socket.io`, and a bare loop that shows what the
generator itself can do. Each message carries its number; one lost, doubled or out of order fails the run.
"""
