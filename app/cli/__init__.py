"""The ``caat`` command: a file for each of its commands that has much to say."""
