"""Options that several commands of `course` have in common."""

from __future__ import annotations

from typing import Annotated

import typer

ProfileOption = Annotated[
    str | None,
    typer.Option(help="quick or full; COURSE_PROFILE, else quick.", metavar="quick|full"),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, ...; COURSE_DEVICE, else the best there is.", metavar="D"),
]
SeedOption = Annotated[
    int, typer.Option(help="Of weights, batch order and noise.", min=0, max=2**31 - 1)
]
