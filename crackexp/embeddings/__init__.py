"""Embeddings of images by a frozen backbone: computed once, stored on disk, and fed to the training of a head."""
