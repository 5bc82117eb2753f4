"""The author's notebook as one script: TensorFlow's transfer-learning tutorial on a folder of patches.

Run by `whole.py` with the Python of the peer ``tensorflow``:

python notebook_peer.py PATCHES WEIGHTS OUTPUT

PATCHES holds a folder for each class, WEIGHTS is a Keras ``.h5`` of MobileNetV2 without its top, OUTPUT is made.
The last line printed is JSON: seconds by step, test accuracy.
"""

import json
import sys
from pathlib import Path

from common import Steps

BATCH_SIZE = 32
IMAGE_SIZE = (160, 160)
EPOCHS = 5


def main(patches: str, weights: str, output: Path) -> None:
    steps = Steps()
    output.mkdir(parents=True)

    with steps.step("imports"):
        from datetime import datetime

        import keras
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
        import numpy as np
        import splitfolders
        import tensorflow as tf
        from keras import layers
        from sklearn.metrics import ConfusionMatrixDisplay, classification_report, confusion_matrix

    with steps.step("split"):
        splitfolders.ratio(patches, output / "split", seed=1337, ratio=(0.7, 0.2, 0.1))

    with steps.step("datasets"):

        def dataset(name: str, shuffle: bool) -> tf.data.Dataset:
            return keras.utils.image_dataset_from_directory(
                output / "split" / name, shuffle=shuffle, seed=1337, batch_size=BATCH_SIZE, image_size=IMAGE_SIZE
            )

        train, val, test = dataset("train", True), dataset("val", True), dataset("test", False)
        classes = train.class_names
        train, val, test = (part.prefetch(tf.data.AUTOTUNE) for part in (train, val, test))

    augmentation = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])

    with steps.step("figures"):
        images, labels = next(iter(train))
        plt.figure(figsize=(10, 10))
        for i in range(min(9, len(images))):
            plt.subplot(3, 3, i + 1)
            plt.imshow(images[i].numpy().astype("uint8"))
            plt.title(classes[labels[i]])
            plt.axis("off")
        plt.savefig(output / "samples.png")
        plt.figure(figsize=(10, 10))
        for i in range(9):
            plt.subplot(3, 3, i + 1)
            plt.imshow(augmentation(images[:1], training=True)[0].numpy() / 255)
            plt.axis("off")
        plt.savefig(output / "augmented.png")

    with steps.step("model"):
        backbone = keras.applications.MobileNetV2(input_shape=(*IMAGE_SIZE, 3), include_top=False, weights=weights)
        backbone.trainable = False
        backbone.summary()
        inputs = keras.Input((*IMAGE_SIZE, 3))
        x = augmentation(inputs)
        x = keras.applications.mobilenet_v2.preprocess_input(x)
        x = backbone(x, training=False)
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dropout(0.3)(x)
        outputs = layers.Dense(len(classes), activation="softmax")(x)
        model = keras.Model(inputs, outputs)
        model.compile(
            optimizer=keras.optimizers.Adam(1e-4),
            loss=keras.losses.SparseCategoricalCrossentropy(),
            metrics=["accuracy"],
        )

    with steps.step("evaluation before"):
        model.evaluate(val, verbose=2)

    with steps.step("fit"):
        logs = output / "logs" / datetime.now().strftime("%Y%m%d-%H%M%S")
        history = model.fit(
            train,
            validation_data=val,
            epochs=EPOCHS,
            callbacks=[
                keras.callbacks.TensorBoard(logs),
                keras.callbacks.EarlyStopping(monitor="val_loss", patience=5, restore_best_weights=True),
            ],
            verbose=2,
        ).history

    with steps.step("test"):
        _, accuracy = model.evaluate(test, verbose=2)
        truth = np.concatenate([labels.numpy() for _, labels in test])
        predicted = model.predict(test, verbose=2).argmax(axis=1)
        print(classification_report(truth, predicted, target_names=classes))

    with steps.step("figures"):
        plt.figure(figsize=(8, 8))
        for row, name in enumerate(("accuracy", "loss"), start=1):
            plt.subplot(2, 1, row)
            plt.plot(history[name], label="train")
            plt.plot(history[f"val_{name}"], label="val")
            plt.ylabel(name)
            plt.legend()
        plt.savefig(output / "curves.png")
        ConfusionMatrixDisplay(confusion_matrix(truth, predicted), display_labels=classes).plot()
        plt.savefig(output / "confusion.png")
        images, _ = next(iter(test))
        plt.figure(figsize=(10, 10))
        for i in range(min(9, len(images))):
            plt.subplot(3, 3, i + 1)
            plt.imshow(images[i].numpy().astype("uint8"))
            plt.title(f"{classes[truth[i]]}, predicted {classes[predicted[i]]}")
            plt.axis("off")
        plt.savefig(output / "predictions.png")

    with steps.step("saving"):
        model.save(output / "model.h5")

    print(json.dumps({"seconds": steps.seconds, "test_accuracy": accuracy}))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("Type: notebook_peer.py PATCHES WEIGHTS OUTPUT")
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
