"""
``parley function``: a handler written for AWS Lambda, behind a route.

NATS hands a route's events to one of the processes that serve it. Here they wait in a line (``line``), until a copy of
the handler, which is a process of its own (``copies``, and ``sandbox`` inside of it), or a server that speaks HTTP
(``address``) is free to take one. Its answer, in Lambda's words (``answer``), goes back over NATS.
"""
