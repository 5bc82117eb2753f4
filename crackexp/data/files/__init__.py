"""Files on disk: listing folders of images, downloading files and unpacking archives."""
