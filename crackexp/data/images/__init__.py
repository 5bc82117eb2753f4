"""Reading image files: decoding to RGB pixels, headers, and photos that are too large to decode at once."""
