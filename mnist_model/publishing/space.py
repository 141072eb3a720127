"""Prepare the files of a Space that serves the page."""

import shutil
from pathlib import Path

from huggingface_hub import metadata_load, metadata_save

from mnist_model import model_folder
from mnist_model.publishing.hub import PUBLIC_URL
from mnist_model.reading.download import FETCHED_FILES, check_repo_id

ROOT = Path(__file__).parents[2]
PAGE = ("app.py", "page", "examples", "requirements.txt", "mnist_model/*.py", "mnist_model/reading")


def prepare(out, model_id, revision, private=False):
    """Write exactly the files that a Space of the page needs into the new folder `out`.

    These are the page, the bundled model, which is served if the Hub cannot be reached, and a README.md whose front
    matter tells the Space what to build.

    Args:
        out: the folder to create.
        model_id: "user/name", the model to serve.
        revision: its full sha.
        private: whether the model is private. If so, it is not downloaded during the build, which has no token.

    Raises:
        InputError: `model_id` is no such name, or `out` exists.
    """
    check_repo_id(model_id, "a model on the Hub")
    bundled = [name for name in FETCHED_FILES if (model_folder.PRETRAINED / name).exists()]
    paths = [
        *(path for name in PAGE for path in ROOT.glob(name)),
        *(model_folder.PRETRAINED / name for name in bundled),
    ]
    front = metadata_load(ROOT / "README.md") | {"models": [model_id]}
    if not private:
        front["preload_from_hub"] = [f"{model_id} {','.join(bundled)} {revision}"]
    with model_folder.new_folder(out) as new:
        for path in paths:
            copy = new / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(path, copy)
        readme = new / "README.md"
        readme.write_text(
            f"# {front['title']}\n\n{front['short_description']}. The model is [{model_id}]({PUBLIC_URL}/{model_id}"
            f"/tree/{revision}).\n",
            encoding="utf-8",
        )
        metadata_save(readme, front)
