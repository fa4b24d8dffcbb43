"""Signaling channels of Kinesis Video Streams: what its control plane makes, shows and deletes (protocols.md 6)."""
