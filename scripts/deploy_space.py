"""Deploy the page as a Space: python -m scripts.deploy_space --space user/space --model user/name"""

import argparse
import re
import tempfile
from pathlib import Path

from mnist_model.errors import InputError
from scripts import run


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m scripts.deploy_space",
        description="Create or update a Space on the Hub that serves the page with a published model.",
    )
    parser.add_argument("--space", required=True, metavar="USER/SPACE", help="the Space, created if it does not exist")
    parser.add_argument("--model", required=True, metavar="USER/NAME", help="the model to serve")
    parser.add_argument("--revision", help="branch, tag or sha of the model, to pin (default: the newest commit)")
    parser.add_argument("--private", action="store_true", help="create the Space as private")
    parser.add_argument("--hardware", metavar="NAME", help="the Space's hardware, as the Hub names it: cpu-upgrade, …")
    parser.add_argument("--dry-run", type=Path, metavar="OUT", help="write the files to this new folder instead")
    arguments = parser.parse_args(argv)

    from mnist_model.publishing import hub, space
    from mnist_model.reading.download import check_repo_id

    check_repo_id(arguments.space)
    if arguments.dry_run and re.fullmatch("[0-9a-f]{40}", arguments.revision or ""):
        sha, private = arguments.revision, False  # needs no request: a private model is taken for a public one
    else:
        sha, private = hub.find(arguments.model, arguments.revision)
    if arguments.dry_run:
        space.prepare(arguments.dry_run, arguments.model, sha, private)
        print(f"{arguments.dry_run}: what would be published as {arguments.space}")
        return
    variables = {"MODEL_ID": arguments.model, "MODEL_REVISION": sha}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "space"
        space.prepare(folder, arguments.model, sha, private)
        published = hub.publish(
            folder,
            arguments.space,
            repo_type="space",
            private=arguments.private or None,
            space_sdk="gradio",
            space_hardware=arguments.hardware,
            space_variables=[{"key": key, "value": value} for key, value in variables.items()],
        )
    print(
        f"{'published' if published.changed else 'unchanged'} as {published.sha}, to serve {arguments.model} at {sha}"
    )
    if private:
        print(f"{arguments.model} is private: give the Space a secret HF_TOKEN with read access in its settings")
    for stage in hub.run_space(arguments.space, variables, arguments.hardware):
        print(stage, flush=True)
    if stage != "RUNNING":
        raise InputError(f"Expected a running Space. Received: {stage}; its log is at {published.url}")
    print(published.url)


if __name__ == "__main__":
    run(main)
