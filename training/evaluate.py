"""`make evaluate`: how good the model is, and with `PROTOCOL=whole-history` beside the published protocol."""

import argparse
from pathlib import Path

from churn.command import run, say, show
from training.evaluation_report.files import markdown, write_report
from training.evaluation_report.report import (
    FOLDER,
    PROTOCOLS,
    ReportSettings,
    read_truth,
    report,
)
from training.evaluation_report.whole_history import SPLITS
from training.options import add_option, parse
from training.run.run import evaluation_of
from training.table.folder import DataFolder


def main() -> None:
    arguments = _arguments()
    folder = DataFolder(arguments.data)
    truth = None if arguments.truth is None else read_truth(arguments.truth)
    settings = ReportSettings(arguments.protocol, arguments.splits, truth)
    sections, found = report(folder, evaluation_of(folder, say), settings, say)
    title = f"Evaluation on {found['log']}"
    paths = write_report(arguments.out, title, sections, found)
    show(markdown(title, sections))
    show(f"written to {', '.join(map(str, paths))}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder that `make featurize` wrote to")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to")
    add_option(parser, "protocol", str, PROTOCOLS[0], f"one of {', '.join(PROTOCOLS)}")
    add_option(parser, "splits", int, SPLITS, "random splits")
    parser.add_argument("--truth", type=Path, help="true probabilities, as the simulator wrote them")
    return parse(parser)


if __name__ == "__main__":
    run(main)
