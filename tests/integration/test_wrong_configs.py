"""Wrong command lines: each is refused in a sentence that names the key, the value and the fix."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from crackexp.config.options import conf_dir
from tests.composing import NEEDS, ROOTS, outcome
from tests.conftest import Command

WRONG = [
    # argument(s), words that the refusal must hold
    ("dropuot=0.3", ["'dropuot'", "'dropout'"]),
    ("dropout=1.0", ["dropout", "less than 1", "dropout=1.0"]),
    ("dropout=-0.1", ["dropout", "greater than or equal to 0"]),
    ("dropout=much", ["dropout", "number", "dropout=much"]),
    ("image_size=16", ["image_size", "greater than or equal to 32"]),
    ("image_size=abc", ["image_size", "integer", "image_size=abc"]),
    ("image_size=160.5", ["image_size", "integer"]),
    ("batch_size=0", ["batch_size", "greater than 0"]),
    ("epochs=0", ["epochs", "greater than 0"]),
    ("seed=-1", ["seed", "greater than or equal to 0"]),
    ("seed=null", ["seed", "integer"]),
    ("seed=${oc.env:NOPE}", ["seed cannot be resolved", "'NOPE'", "Received: seed=${oc.env:NOPE}"]),
    ("tags=[${oc.env:NOPE}]", ["tags.0 cannot be resolved", "'NOPE'", "override tags=[${oc.env:NOPE}]"]),
    ("task_name=a/b", ["task_name", "a/b"]),
    ("optimized_metric=loss", ["optimized_metric", "loss"]),
    ("split.ratio=[0.7,0.2,0.2]", ["split.ratio", "sum to 1", "[0.7,0.2,0.1]"]),
    ("split.ratio=[0.8,0.2]", ["split.ratio", "3 items"]),
    ("split.ratio=[0.8,0.2,0]", ["split.ratio.2", "greater than 0", "override split.ratio=[0.8,0.2,0]"]),
    ("split.sed=1", ["'sed'", "split", "'seed'"]),
    ("split=groupd", ["groupd", "grouped"]),
    ("split=grouped split.by=[copy]", ["split.by.0", "'copies'"]),
    ("split=grouped split.by=[]", ["split.by", "at least 1"]),
    ("split.check_leaks=maybe", ["split.check_leaks", "boolean"]),
    ("backbone=mobilenet_v9", ["mobilenet_v9", "mobilenet_v2"]),
    ("backbone.alpha=0", ["backbone.alpha", "greater than 0"]),
    ("backbone.weights=/no/such/file.h5", ["backbone.weights", "/no/such/file.h5"]),
    ("backbone.alpha=0.5", ["backbone.weights", "bundled", "alpha"]),
    ("backbone=efficientnet_b0 backbone.weights=bundled", ["bundled", "mobilenet_v2", "name=efficientnet_b0"]),
    ("backbone=small_cnn", ["small_cnn", "trainer=scratch"]),
    (
        "backbone.output_layer=block_99 dataset.count=40 dataset.size=48 batch_size=8",
        ["block_99", "backbone.output_layer"],
    ),
    ("head=mill", ["mill", "mil"]),
    ("head=mil head.hidden=0", ["head.hidden", "greater than 0"]),
    ("head=cells trainer=scratch backbone=small_cnn", ["head=cells", "trainer=frozen", "trainer=scratch"]),
    ("backbone._target_=crackexp.models.backbone.Aplication", ["Aplication", "Application"]),
    ("dataset=mendelei", ["mendelei", "mendeley"]),
    ("dataset=folder", ["dataset.path", "dataset.path=VALUE"]),
    ("dataset.path=here", ["'path'", "dataset"]),
    ("dataset.count=1", ["dataset.count", "greater than or equal to 2"]),
    ("dataset.limit=0", ["dataset.limit", "greater than 0"]),
    ("dataset.limit=20 dataset.count=40 dataset.size=48", ["batch_size", "14 training images"]),
    ("dataset.on_bad_file=skp", ["dataset.on_bad_file", "'skip'"]),
    ("dataset.cracks=thn", ["dataset.cracks", "'thin'"]),
    ("mix=synthetic", ["mix is a list", "mix=[synthetic]", "mix=synthetic"]),
    ("mix=[7]", ["mix is a list", "mix=7"]),
    ("mix=[mendelei]", ["'mendelei'", "'mendeley'", "mix"]),
    ("mix=[folder]", ["mix.folder.path has no value", "mix=[{folder: {path: VALUE}}]"]),
    ("mix=[{synthetic:{draw_sed:5}}]", ["mix.synthetic.draw_sed", "'draw_seed'", "override mix="]),
    ("mix=[{synthetic:{weigth:2}}]", ["mix.synthetic.weigth", "'weight'"]),
    ("mix=[{synthetic:{weight:0}}]", ["mix.synthetic.weight", "greater than 0"]),
    ("mix=[{synthetic:{cracks:thn,count:1}}]", ["mix.synthetic.cracks", "'thin'", "mix.synthetic.count"]),
    ("mix=[{mendeley:{path:a,archive:b}}]", ["mendeley in mix", "two places"]),
    ("mix=[{folder:{path:a}},{folder:{path:b}}]", ["a name of its own", "mix=[{folder: {name: VALUE}}]"]),
    ("mix=[{folder:{path:a,name:a/b}}]", ["letters, digits", "mix.folder.name=a/b"]),
    ("mix=[sdnet2018]", ["sdnet2018 in mix", "https://doi.org"]),
    ("mix=[{folder:{path:/no/such/folder}}]", ["folder in mix", "no such folder"]),
    ("dataset=sdnet2018 dataset.path=x dataset.surfaces=[roofs]", ["surfaces", "decks"]),
    ("dataset=mendeley dataset.path=a dataset.archive=b", ["dataset.path", "dataset.archive"]),
    ("augmentation=flip_rotat", ["flip_rotat", "flip_rotate"]),
    ("augmentation.views=0", ["augmentation.views", "greater than 0"]),
    ("augmentation.transforms.rotation.factor=2", ["rotation.factor", "less than or equal to 1", "rotation.factor=2"]),
    ("augmentation.transforms.rotation.factor=[0.2,0.1]", ["rotation.factor", "lower value first", "[0.2, 0.1]"]),
    ("augmentation.views=0 augmentation.transforms.flip.mode=up", ["augmentation.views", "flip.mode", "'vertical'"]),
    ("optimizer.lerning_rate=1", ["'lerning_rate'", "optimizer", "'learning_rate'"]),
    ("+optimizer.lerning_rate=1", ["lerning_rate", "optimizer", "'learning_rate'"]),
    ("optimizer.learning_rate=-1", ["optimizer.learning_rate", "greater than 0"]),
    ("optimizer.learning_rate=.inf", ["optimizer.learning_rate"]),
    (
        "loss._target_=keras.losses.CTC dataset.count=40 dataset.size=48 batch_size=8",
        ["softmax", "finite number", "loss=sparse_categorical_crossentropy", "CTC"],
    ),
    (
        "trainer.batch_size=16 dataset.count=80 dataset.size=48",
        ["batch_size alone", "trainer.batch_size=16 batch_size=32"],
    ),
    ("loss=categorical_crossentropy loss.label_smoothing=1", ["label_smoothing", "less than 1"]),
    ("trainer=frozn", ["frozn", "frozen"]),
    ("trainer.precision=float61", ["trainer.precision", "float32"]),
    ("trainer.class_weight=equal", ["trainer.class_weight", "balanced"]),
    ("callbacks.early_stopping.monitor=val_los", ["monitor", "'val_loss'"]),
    ("callbacks.early_stopping.patience=-1", ["patience", "greater than or equal to 0"]),
    ("callbacks=nope", ["callbacks", "nope"]),
    ("tracking=server", ["tracking.uri"]),
    ("tracking.uri=mlruns", ["tracking.uri", "mlruns"]),
    ("register=tiny tracking=none", ["registry", "tracking=local", "register=tiny", "tracking=none"]),
    ("register=tiny tracking.log_model=false", ["tracking.log_model=true", "register=tiny"]),
    ("register=a/b", ["register", "a/b"]),
    ("evaluation.level=95", ["evaluation.level", "less than 1"]),
    ("evaluation=robst", ["robst", "robust"]),
    ("evaluation.corruptions=[blurr]", ["evaluation.corruptions", "Did you mean 'blur'"]),
    ("evaluation.also=sdnet2018", ["evaluation.also is a list", "evaluation.also=[synthetic]"]),
    ("evaluation.also=[sdnet208]", ["'sdnet208'", "Did you mean 'sdnet2018'"]),
    ("evaluation.also=[sdnet2018]", ["sdnet2018 in evaluation.also", "https://doi.org"]),
    ("evaluation.also=[folder]", ["evaluation.also.folder.path has no value", "{folder: {path: VALUE}}"]),
    ("evaluation.also=[{folder:{path:x,pth:x}}]", ["'path'", "evaluation.also.folder.pth"]),
    ("evaluation.also=[{folder:{path:x,limit:0}}]", ["greater than 0", "{folder: {limit: VALUE}}"]),
    ("evaluation.also=[{folder:{path:x,weight:2}}]", ["evaluation.also.folder.weight is no key"]),
    ("evaluation.also=[{folder:{path:x}},{folder:{path:y}}]", ["a name of its own", "{folder: {name: VALUE}}"]),
    ("evaluation.also=[{folder:{path:nowhere}}]", ["folder in evaluation.also", "no such folder", "nowhere"]),
    ("evaluation.also=[{mendeley:{path:a,archive:b}}]", ["mendeley in evaluation.also", "two places"]),
    ("experiment=mobilenet", ["+experiment"]),
    ("+experiment=mobilnet", ["mobilnet", "mobilenet"]),
    ("bakbone=resnet50", ["bakbone", "backbone"]),
    ("+colour=red", ["colour", "red"]),
    ("image_size=${imagesize}", ["imagesize", "image_size"]),
    ("dropout", ["dropout", "'='", "dropout=VALUE"]),
    # a group or a key that is gone, and values of another kind
    ("dataset=null", ["dataset=NAME", "synthetic", "dataset=null"]),
    ("callbacks=1", ["callbacks=NAME", "minimal", "callbacks=1"]),
    ("dataset=[1]", ["dataset=NAME", "dataset=[1]"]),
    ("+sweep=null", ["sweep=NAME", "seeds", "+sweep=null"]),
    ("~dataset", ["dataset is not chosen", "dataset=NAME", "mendeley"]),
    ("~head", ["head is not chosen", "mil, pooled"]),
    ("~paths", ["paths is not chosen", "~paths"]),
    ("~image_size", ["image_size has no value", "image_size=VALUE", "~image_size"]),
    ("~split.ratio", ["split.ratio has no value", "~split.ratio"]),
    ("~dataset.cache", ["dataset.cache=VALUE", "without"]),
    ("sweep.name=[1]", ["sweep.name", "string", "[1]"]),
    ("augmentation.transforms=1", ["augmentation.transforms", "table", "augmentation.transforms=1"]),
    ("augmentation.transforms=null", ["augmentation.transforms", "table"]),
    ("augmentation.transforms.flip=1", ["augmentation.transforms.flip", "table"]),
    ("callbacks.early_stopping=[1]", ["callbacks.early_stopping", "table"]),
    ("backbone._target_=null", ["backbone needs a _target_"]),
    ("backbone.weights=[1]", ["backbone.weights", "string"]),
    ("paths.root=null", ["paths.root", "string"]),
    ("mix=null", ["mix is a list"]),
    ("evaluation.also=[null]", ["evaluation.also is a list"]),
    ("image_size={a:1}", ["image_size", "integer"]),
    ("seed.x=1", ["'x' is no key of seed"]),
    ("tracking=none tracking.artifacts=x", ["'artifacts' is no key of tracking"]),
    ("hydra.run.dir=null", ["hydra.run.dir", "not Optional"]),
    ("hydra.run.dir=/proc/nothing", ["/proc/nothing", "No such file"]),
    ("hydra.verbose=[1]", ["hydra.verbose=[1]", "string"]),
    ("hydra.job_logging.handlers=1", ["hydra.job_logging.handlers=1"]),
    ("hydra.job.env_copy=[NOTHING]", ["NOTHING"]),
    ("hydra/launcher=nope", ["nope", "joblib"]),
    ("--resolve", ["--resolve", "--cfg"]),
    ("--config-dir nowhere", ["nowhere", "not found"]),
    ("-m tracking=null dropout=0.1,0.2", ["tracking=NAME", "tracking=null"]),
    ("-m ~tracking dropout=0.1,0.2", ["tracking is not chosen"]),
    ("-m sweep.level=nan dropout=0.1,0.2", ["sweep.level", "finite"]),
    ("-m tracking.log_model=yes dropout=0.1,0.2", ["tracking.log_model", "boolean"]),
    ("-m sweep.name=${nothing} dropout=0.1,0.2", ["sweep.name", "nothing"]),
    ("-m hydra.launcher=null dropout=0.1,0.2", ["hydra.launcher", "hydra/launcher=NAME"]),
    # nonsense
    ("optimizer.learning_rate=true", ["optimizer.learning_rate", "number"]),
    ("optimizer.learning_rate=1e300", ["optimizer.learning_rate", "1000"]),
    ("optimizer.learning_rate=nan", ["optimizer.learning_rate", "finite"]),
    ("seed=true", ["seed", "integer"]),
    ("image_size=true", ["image_size", "integer"]),
    ("epochs=5.0", ["epochs", "integer", "epochs=5.0"]),
    ("epochs=1e21", ["epochs", "integer"]),
    ("epochs=1000000000", ["epochs", "less than or equal to 100000"]),
    ("batch_size=1000000000", ["batch_size", "less than or equal to 65536"]),
    ("dataset.size=99999", ["dataset.size", "less than or equal to 2048"]),
    ("evaluation.resamples=true", ["evaluation.resamples", "integer"]),
    ("evaluation.resamples=10000000", ["evaluation.resamples", "100000"]),
    ("evaluation.corruptions=[blur,blur]", ["evaluation.corruptions", "twice"]),
    ("images_gb=-1", ["images_gb", "greater than or equal to 0"]),
    ("trainer.embeddings_gb=inf", ["trainer.embeddings_gb", "finite"]),
    ("trainer.devices=x", ["trainer.devices", "integer or 'auto'", "trainer.devices=x"]),
    ("split.check_leaks=yes", ["split.check_leaks", "boolean"]),
    ("dataset.name=../x", ["dataset.name", "letters, digits"]),
    ("dataset.name=", ["dataset.name", "letters, digits"]),
    ("task_name=..", ["task_name", "letters, digits"]),
    ("tracking.experiment='a\tb'", ["tracking.experiment", "control characters", r"a\tb"]),
    ("tags=[a/../b]", ["tags.0", "MLflow"]),
    ("tags=[1]", ["tags.0", """Type 'tags=["1"]'"""]),
    ("profile=2024", ["profile", "string", """Type 'profile="2024"'"""]),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_command_line_is_refused_in_a_sentence(
    command_here: Command, monkeypatch: pytest.MonkeyPatch, arguments: str, words: list[str]
) -> None:
    typed = arguments.split(" ")
    monkeypatch.setattr(sys, "argv", ["train", *typed])
    told = outcome("train", typed) if not typed[0].startswith("-") else None
    if not isinstance(told, str):  # the command itself finds it
        done = command_here("train", *typed)
        assert done.returncode == 2, done.stdout + done.stderr
        told = done.stderr
    assert "Traceback" not in told
    for word in words:
        assert word in told


COMMANDS = (
    *("dropuot=0.3", "dropout=1.0", "split=groupd", "dataset=folder", "mix=[sdnet2018]", "tracking=server", "dropout"),
    *("+experiment=mobilnet", "image_size=${imagesize}", "~dataset", "hydra.verbose=[1]", "dataset.name=../x"),
)
"""Of the above, those that are also typed as commands, each in a process of its own."""


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_command_is_refused_in_the_same_sentence(command: Command, command_here: Command, arguments: str) -> None:
    assert arguments in dict(WRONG)
    done, here = command("train", arguments), command_here("train", arguments)
    assert (done.returncode, done.stderr) == (here.returncode, here.stderr)
    assert done.stderr.strip().startswith("crackexp: ")  # and no line of Hydra's above it


@pytest.mark.slow
def test_every_group_of_every_command_is_needed() -> None:
    for name, root in ROOTS.items():
        for group in root.groups:
            if group not in root.optional:
                told = outcome(name, [*NEEDS.get(name, []), f"~{group}"])
                assert isinstance(told, str), (name, group)
                assert f"Type {group}=NAME. Choose from: " in told, (name, group)


def test_groups_are_those_that_the_configs_choose() -> None:
    for name, root in ROOTS.items():
        defaults = OmegaConf.load(conf_dir() / f"{name}.yaml").defaults
        chosen = {str(key) for entry in defaults if isinstance(entry, DictConfig) for key in entry}
        assert {key for key in chosen if not key.startswith("override")} == set(root.groups)


def test_a_group_of_another_command_is_refused(command_here: Command) -> None:
    done = command_here("evaluate", "run=abc", "+head=pooled")
    assert done.returncode == 2
    assert "head is no group of this command" in done.stderr


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("survey", ["model=x", "input=y", "tile=1"], ["tile: must be a table"]),
        ("survey", ["model=x", "input=y", "tile.size=1000000"], ["tile.size", "4096"]),
        ("survey", ["model=x", "input=[5]"], ["input.0", "string", """'input=["5"]'"""]),
        ("predict", ["model=x", "input=5"], ["input: must be a valid string or a valid list", """'input="5"'"""]),
        ("predict", ["model=x", "input=y", "out=x.txt"], ["out", ".csv or .jsonl or .parquet"]),
        ("predict", ["model=x", "photo.jpg"], ["'photo.jpg' has no '='", "KEY=VALUE"]),
        ("app", ["model=x", "port=true"], ["port", "integer"]),
        ("app", ["model=x", "limits=[1]"], ["limits must be a table"]),
        ("export", ["model=x", "formats=[onnx,onnx]"], ["formats", "onnx twice"]),
        ("compare", ["a", "tracking=null"], ["tracking=NAME"]),
        ("compare", ["a(b"], ["Received: a(b"]),
        ("cache", ["clear=5"], ["clear", "string"]),
    ],
)
def test_other_commands_refuse_too(command_here: Command, name: str, arguments: list[str], words: list[str]) -> None:
    done = command_here(name, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    for word in words:
        assert word in done.stderr


def test_bytes_that_are_no_text_name_a_file_where_they_are_quoted(command_here: Command) -> None:
    Path("logged").mkdir()
    Path("logged", "MLmodel").touch()
    done = command_here("predict", "model=logged", os.fsdecode(b'input="\xff.jpg"'))
    assert done.returncode == 2
    assert "Received: \\xff.jpg: there is no such file" in done.stderr
    done = command_here("predict", "model=logged", os.fsdecode(b"input=\xff.jpg"))
    assert done.returncode == 2
    assert "quotes of its own" in done.stderr


def test_a_crash_keeps_its_traceback(command_here: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("crackexp.config.checking.check", crash)
    done = command_here("train")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "a bug" in done.stderr
    assert "Error executing job" not in done.stderr


def test_all_mistakes_are_told_at_once(command_here: Command) -> None:
    done = command_here("train", "dropout=2", "epochs=-3", "split.ratio=[1,1,1]")
    assert "dropout" in done.stderr
    assert "epochs" in done.stderr


@pytest.mark.parametrize("override", ["epochs=0", "dropout=2", "optimizer.learning_rate=-1", "seed=x", "paths.cache="])
def test_a_value_that_other_keys_take_is_refused_once_by_its_own_key(command_here: Command, override: str) -> None:
    done = command_here("train", "trainer=scratch" if "rate" in override else "trainer=frozen", override)
    assert done.returncode == 2
    (message,) = [line for line in done.stderr.splitlines() if line]
    assert message.startswith(f"crackexp: {override.partition('=')[0]}:")


def test_a_wrong_value_of_a_key_that_would_take_that_of_another_is_refused_by_its_own_key(
    command_here: Command,
) -> None:
    done = command_here("train", "trainer.epochs=0")
    (message,) = [line for line in done.stderr.splitlines() if line]
    assert message.startswith("crackexp: trainer.epochs:")


@pytest.mark.parametrize(
    "typed",
    [["dropout=2"], ["backbone=resnet50"], ["backbone.weights=none.h5"], ["dataset=folder", "dataset.path=nowhere"]],
)
def test_a_refusal_comes_before_anything_heavy_is_imported(
    typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # there is no network
    light = {"cv2"} if "dataset=folder" in typed else set()  # what reads images is needed to look for them
    heavy = {"keras", "jax", "mlflow", "grain", "cv2", "matplotlib"} - light
    script = (
        f"import sys; sys.argv = {['train', *typed]}\n"
        "import crackexp.train as t\n"
        "try: t.run(t.main, 'train', t.TrainConfig)\n"
        "except SystemExit as e: code = e.code\n"
        f"heavy = {heavy} & sys.modules.keys()\n"
        "print(code, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "2 []"


def test_another_backend_of_keras_is_refused(command_here: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    done = command_here("train")
    assert done.returncode == 2
    assert "KERAS_BACKEND=jax" in done.stderr


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("train", "dataset:"),
        ("audit", "shown:"),
        ("evaluate", "dataset:"),
        ("calibrate", "policy:"),
        ("adapt", "policy:"),
        ("predict", "input:"),
        ("survey", "tile:"),
        ("app", "limits:"),
        ("explain", "layer:"),
        ("compare", "runs:"),
        ("export", "formats:"),
        ("cache", "clear:"),
        ("ui", "port:"),
        ("check", "paths:"),
    ],
)
def test_every_entry_point_shows_its_help_and_its_config(command_here: Command, entry: str, key: str) -> None:
    helped = command_here(entry, "--help")
    assert helped.returncode == 0
    assert f"\n  crackexp {entry}" in helped.stdout, "an example"
    assert f"crackexp.{entry} " not in helped.stdout
    shown = command_here(entry, "--cfg", "job")
    assert shown.returncode == 0
    assert key in shown.stdout


def test_a_reader_who_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        words = [sys.executable, "-m", "crackexp.train", "--help"]
        done = subprocess.run(words, cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["train", "predict"])
@pytest.mark.parametrize("task_name", ["..", "a/b", "null", "${nope}"])
def test_no_folder_is_named_after_what_is_no_name(
    command_here: Command, tmp_path: Path, name: str, task_name: str
) -> None:
    done = command_here(name, *NEEDS.get(name, []), f"task_name={task_name}")
    assert done.returncode == 2, done.stderr
    assert "task_name" in done.stderr
    assert list(tmp_path.iterdir()) == []
