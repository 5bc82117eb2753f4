"""The same recipe in PyTorch, with a data loader of worker processes; on a GPU where there is one.

Run by `whole.py` with the Python of the peer ``pytorch``:

python framework_peer.py PATCHES WEIGHTS OUTPUT [--batch N]

PATCHES holds a folder for each class, WEIGHTS is a Keras ``.h5`` of MobileNetV2 without its top, OUTPUT is made.
The last line printed is JSON: seconds by step, test accuracy. PyTorch rotates with black corners, Keras with
mirrored ones; all else is the recipe.
"""

import argparse
import json
import os
from pathlib import Path

from common import Steps

IMAGE_SIZE = 160
EPOCHS = PATIENCE = 5
DEGREES = 72
"""Of rotation to either side; Keras' factor of 0.2."""

# PyTorch's threads spin where they wait. On cores that they share with the loader's workers that slows both.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

steps = Steps()
with steps.step("imports"):
    from datetime import datetime

    import h5py
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    import splitfolders
    import torch
    from sklearn.metrics import ConfusionMatrixDisplay, classification_report, confusion_matrix
    from torch import nn
    from torch.utils.data import DataLoader
    from torch.utils.tensorboard import SummaryWriter
    from torchvision.datasets import ImageFolder
    from torchvision.models import mobilenet_v2
    from torchvision.transforms import v2 as transforms


class Classifier(nn.Module):
    """A frozen backbone, average pooling, and a head that learns: (B, 3, S, S) in [-1, 1] to (B, c) logits."""

    def __init__(self, backbone: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(1280, num_classes))

    def train(self, mode: bool = True) -> "Classifier":
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            features = self.backbone(images).mean((2, 3))
        return self.head(features)


def keras_backbone(weights: Path) -> nn.Module:
    """Returns torchvision's MobileNetV2 with the weights of Keras', and with its padding and epsilon.

    Args:
        weights: a model that Keras saved as ``.h5``.

    Returns:
        (B, 3, S, S) in [-1, 1] to (B, 1280, S / 32, S / 32); for even feature maps, as at 96, 160 and 224 px.
    """
    backbone = mobilenet_v2().features
    with h5py.File(weights) as file:
        saved = file["model_weights"]
        layers = [[saved[name][w][:] for w in saved[name].attrs["weight_names"]] for name in saved.attrs["layer_names"]]
    modules = [module for module in backbone.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    for module, arrays in zip(modules, filter(None, layers), strict=True):
        if isinstance(module, nn.Conv2d):
            # Keras: (h, w, in, out), and (h, w, in, 1) where depthwise
            kernel = arrays[0].transpose(3, 2, 0, 1) if module.groups == 1 else arrays[0].transpose(2, 3, 0, 1)
            module.weight.data.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
        else:
            module.eps = 1e-3
            tensors = (module.weight.data, module.bias.data, module.running_mean, module.running_var)
            for tensor, array in zip(tensors, arrays, strict=True):
                tensor.copy_(torch.from_numpy(array))
    for parent in list(backbone.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv2d) and child.stride == (2, 2):
                child.padding = (0, 0)
                setattr(parent, name, nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), child))
    return backbone


def evaluate(model: nn.Module, loader: DataLoader, device: torch.device) -> tuple[float, np.ndarray, np.ndarray]:
    """Returns the mean loss, the labels (n,) and the predicted classes (n,) of all images."""
    model.eval()
    logits, labels = [], []
    with torch.inference_mode():
        for images, truth in loader:
            images = images.to(device, memory_format=torch.channels_last, non_blocking=True)
            logits.append(model(images).cpu())
            labels.append(truth)
    scores, truth = torch.cat(logits), torch.cat(labels)
    return nn.functional.cross_entropy(scores, truth).item(), truth.numpy(), scores.argmax(1).numpy()


def fit_epoch(model: Classifier, loader: DataLoader, optimizer: torch.optim.Optimizer, device: torch.device) -> float:
    """Runs one epoch of training; returns the mean loss."""
    model.train()
    total, count = torch.zeros((), device=device), 0
    for images, labels in loader:
        images = images.to(device, memory_format=torch.channels_last, non_blocking=True)
        labels = labels.to(device, non_blocking=True)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(labels)
        count += len(labels)
    return (total / count).item()


def show(images: list[torch.Tensor], titles: list[str], file: Path) -> None:
    """Draws up to 9 images, (3, S, S) in [-1, 1]."""
    plt.figure(figsize=(10, 10))
    for i, (image, title) in enumerate(zip(images[:9], titles, strict=False), start=1):
        plt.subplot(3, 3, i)
        plt.imshow((image.permute(1, 2, 0).numpy() + 1) / 2)
        plt.title(title)
        plt.axis("off")
    plt.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("patches")
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    args.output.mkdir(parents=True)
    torch.manual_seed(1337)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    with steps.step("split"):
        splitfolders.ratio(args.patches, args.output / "split", seed=1337, ratio=(0.7, 0.2, 0.1))

    with steps.step("datasets"):
        resized = [transforms.Resize((IMAGE_SIZE, IMAGE_SIZE))]
        augmented = [transforms.RandomHorizontalFlip(), transforms.RandomRotation(DEGREES)]
        scaled = [transforms.ToImage(), transforms.ToDtype(torch.float32, scale=True)]
        scaled.append(transforms.Normalize([0.5] * 3, [0.5] * 3))
        plain = transforms.Compose(resized + scaled)
        moving = transforms.Compose(resized + augmented + scaled)

        def loader(name: str, transform: transforms.Transform, shuffle: bool) -> DataLoader:
            return DataLoader(
                ImageFolder(args.output / "split" / name, transform),
                batch_size=args.batch,
                shuffle=shuffle,
                num_workers=len(os.sched_getaffinity(0)),
                persistent_workers=True,
                pin_memory=device.type == "cuda",
            )

        train, val, test = loader("train", moving, True), loader("val", plain, False), loader("test", plain, False)
        classes = train.dataset.classes

    with steps.step("figures"):
        samples = ImageFolder(args.output / "split" / "train", plain)
        chosen = np.random.default_rng(1337).choice(len(samples), min(9, len(samples)), replace=False)
        pairs = [samples[i] for i in chosen]
        show([image for image, _ in pairs], [classes[label] for _, label in pairs], args.output / "samples.png")
        show([train.dataset[0][0] for _ in range(9)], [""] * 9, args.output / "augmented.png")

    with steps.step("model"):
        model = Classifier(keras_backbone(args.weights), len(classes))
        model = model.to(device, memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(model.head.parameters(), lr=1e-4, eps=1e-7)
        print(model)

    with steps.step("evaluation before"):
        loss, truth, predicted = evaluate(model, val, device)
        print(f"before: loss {loss:.4f}, accuracy {(truth == predicted).mean():.4f}")

    with steps.step("fit"):
        history: dict[str, list[float]] = {"train loss": [], "val loss": [], "val accuracy": []}
        best, waited, state = float("inf"), 0, model.head.state_dict()
        with SummaryWriter(args.output / "logs" / datetime.now().strftime("%Y%m%d-%H%M%S")) as writer:
            for epoch in range(EPOCHS):
                history["train loss"].append(fit_epoch(model, train, optimizer, device))
                loss, truth, predicted = evaluate(model, val, device)
                history["val loss"].append(loss)
                history["val accuracy"].append(float((truth == predicted).mean()))
                for name, values in history.items():
                    writer.add_scalar(name, values[-1], epoch)
                print(epoch + 1, {name: round(values[-1], 4) for name, values in history.items()})
                waited += 1
                if loss < best:
                    state = {name: value.clone() for name, value in model.head.state_dict().items()}
                    best, waited = loss, 0
                if waited == PATIENCE:
                    break
        model.head.load_state_dict(state)

    with steps.step("test"):
        _, truth, predicted = evaluate(model, test, device)
        print(classification_report(truth, predicted, target_names=classes))

    with steps.step("figures"):
        plt.figure()
        for name, values in history.items():
            plt.plot(values, label=name)
        plt.legend()
        plt.savefig(args.output / "curves.png")
        ConfusionMatrixDisplay(confusion_matrix(truth, predicted), display_labels=classes).plot()
        plt.savefig(args.output / "confusion.png")
        images = [test.dataset[i][0] for i in range(min(9, len(truth)))]
        titles = [f"{classes[t]}, predicted {classes[p]}" for t, p in zip(truth, predicted, strict=True)]
        show(images, titles, args.output / "predictions.png")

    with steps.step("saving"):
        torch.save(model.state_dict(), args.output / "model.pt")

    print(json.dumps({"seconds": steps.seconds, "test_accuracy": float((truth == predicted).mean())}))


if __name__ == "__main__":
    main()
