"""Publish a model folder on the Hub: python -m scripts.push_to_hub FOLDER --repo-id user/name"""

import argparse
import tempfile
from pathlib import Path

from scripts import run


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m scripts.push_to_hub",
        description="Publish a model folder and its model card on the Hub, as one commit.",
    )
    parser.add_argument("folder", type=Path, help="an evaluated model folder")
    parser.add_argument("--repo-id", required=True, metavar="USER/NAME", help="the repo, created if it does not exist")
    parser.add_argument("--private", action="store_true", help="create the repo as private")
    parser.add_argument("--revision", metavar="TAG", help="a tag for the commit, such as v1.0, that the card pins")
    parser.add_argument("--hub-url", metavar="URL", help="the Hub that the card names, if not https://huggingface.co")
    parser.add_argument("--dry-run", type=Path, metavar="OUT", help="write the files to this new folder instead")
    arguments = parser.parse_args(argv)

    from mnist_model.publishing import card, hub

    def prepare(out):
        card.prepare(arguments.folder, out, arguments.repo_id, arguments.revision, arguments.hub_url or hub.PUBLIC_URL)

    if arguments.dry_run:
        prepare(arguments.dry_run)
        print(f"{arguments.dry_run}: what would be published as {arguments.repo_id}")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "repo"
        prepare(folder)
        published = hub.publish(folder, arguments.repo_id, tag=arguments.revision, private=arguments.private or None)
    print(published.url)
    print(f"{'published' if published.changed else 'unchanged'}, to be pinned as {published.sha}")


if __name__ == "__main__":
    run(main)
