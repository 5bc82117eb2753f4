"""Networks run over batches of images, at the speed of the machine: what predicting and training share."""
