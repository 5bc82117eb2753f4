"""Labels of images in the files of annotation programs, Label Studio and CVAT."""
