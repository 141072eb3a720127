"""Read pictures of digits: python -m scripts.predict PICTURE..."""

import argparse
import json

from mnist_model import DigitClassifier
from mnist_model.reading.preprocessing import PictureError
from scripts import run


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m scripts.predict", description="Read pictures of digits.")
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="a picture of one digit")
    parser.add_argument(
        "--model", metavar="SOURCE", help="a model folder, or user/name on the Hub (default: the bundled model)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    arguments = parser.parse_args(argv)

    classifier = DigitClassifier.from_pretrained(arguments.model)
    failed = False
    for path in arguments.pictures:
        try:
            prediction = classifier.predict(path)
        except PictureError as error:
            failed = True
            print(json.dumps({"path": path, "error": str(error)}) if arguments.json else f"{path}: {error}")
        else:
            print(_json_line(path, prediction) if arguments.json else f"{path}: {prediction}")
    return int(failed)


def _json_line(path, prediction):
    return json.dumps(
        {
            "path": path,
            "digit": prediction.digit,
            "confidence": prediction.confidence,
            "probabilities": prediction.probabilities.tolist(),
            "status": prediction.status,
        }
    )


if __name__ == "__main__":
    run(main)
