"""The sockets: frames in, deliveries out, no rules of rooms."""
