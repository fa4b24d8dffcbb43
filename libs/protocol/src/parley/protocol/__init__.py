"""What is said: the envelope, the subjects, the commands, the events, the dialects, the codes.

Nothing in this package opens a socket, reads a clock or rolls a die.
"""
