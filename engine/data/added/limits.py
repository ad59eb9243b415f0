"""What may be added: the sizes, numbers and lengths that are known before anything is read."""

SMALLEST_SIDE, LARGEST_SIDE = 8, 224
"""Of a stored image, which is square."""
USUAL_SIDE = 64
"""Images of many sizes are resized to their median, up to this, unless a size is asked for."""
FEWEST_CLASSES, MOST_CLASSES = 2, 1000
FEWEST_IN_CLASS = 3
"""Training images of a class: one to learn from, one for the meta set, one for validation."""
MOST_IMAGES = 2_000_000
MOST_BYTES = 64 * 2**30
"""Of all stored pixels together."""
LONGEST_NAME = 100
"""Characters of a class's name."""
LONGEST_PATH = 1000
"""Characters of the name of a file in an archive, a folder or a list."""
MOST_PIXELS = 2**24
"""Of an image before it is resized: 4096 x 4096."""
LARGEST_FILE = 64 * 2**20
"""Bytes of one image file."""
LARGEST_LIST = 256 * 2**20
"""Bytes of a list of images."""
DECODE_SECONDS = 2
"""For one image."""
DECODE_MEMORY = 192 * 2**20
"""Bytes that a child that decodes may take, beyond those of its start."""
MOST_ENTRIES = 400_000
"""Files in an archive or a folder."""
MOST_DIRECTORY = 80 * 2**20
"""Bytes of an archive's directory."""
HONEST_BYTES, MOST_RATIO = 2**28, 200
"""An archive that unpacks to more than the first is refused if it grows by more than the second."""
HELD_OUT_SHARE, MOST_HELD_OUT = 7, 100
"""A seventh of the smallest class is held out for validation unless a scenario says, up to this."""
