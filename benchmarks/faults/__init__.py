"""
What a fault costs: how long messages wait, and whether one is lost, comes twice or out of order.

Each fault has a Parley of its own, with as many replicas as it takes, and clients that come back as those of our SDKs
do. They speak at a fixed rate whatever happens, so a message that had to wait is seen to have waited.
"""
