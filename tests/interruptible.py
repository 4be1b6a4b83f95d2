"""``usdstylize`` for tests that interrupt it: the first object takes two iterations, whatever is asked for.

With `ENDLESS` the others never end, so that a signal finds them at work however busy the machine is.
Each report of an object's losses is a line ``PATH: iteration NUMBER`` on stderr.
"""

from itertools import count

from usdstylize.__main__ import main
from usdstylize.cli.console import note
from usdstylize.cli.progress import LineProgress
from usdstylize.model.objects import Losses, StageObject
from usdstylize.optimize import run
from usdstylize.optimize.schedule import Schedule

__all__ = ["ENDLESS"]

ENDLESS = ("--iterations", "1000000")


class FirstIsShort(Schedule):
    begun = count()

    def __init__(self, iterations: int, *, plateau: bool = False) -> None:
        super().__init__(iterations if next(self.begun) else 2, plateau=plateau)


def show(self: LineProgress, obj: StageObject, number: int, losses: Losses) -> None:
    note(f"{obj.path}: iteration {number}")


if __name__ == "__main__":
    run.Schedule = FirstIsShort
    LineProgress.iteration = show
    main()
