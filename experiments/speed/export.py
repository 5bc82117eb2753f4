"""Writes a Keras model as ONNX; run by `forward.py` with the Python of the peer ``tensorflow``.

python export.py MODEL.keras MODEL.onnx
"""

import sys

import keras

model = keras.models.load_model(sys.argv[1])
image = keras.InputSpec(shape=model.input_shape, dtype="uint8", name="image")
model.export(sys.argv[2], format="onnx", input_signature=[image], verbose=False)
