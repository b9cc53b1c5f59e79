"""Commands over finished runs: `tuneworth leaderboard | verify`. Rooms are imported when they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.terminal import DataRoot, look_in
from finetune.mistakes import BadInput

if TYPE_CHECKING:
    from eval.leaderboard import Board, Limits, Sitting

Folders = Annotated[
    list[Path],
    typer.Argument(
        help="Folders of finished runs, such as runs/demo; beside them what lm_eval --log_samples wrote",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for leaderboard.{html,md,csv,json}")]
Explain = Annotated[bool, typer.Option("--explain", help="List who can stand together, and why others cannot")]
Group = Annotated[int | None, typer.Option("--group", min=1, help="Only this one of the groups that --explain lists")]
Choose = Annotated[bool, typer.Option("--choose", help="Print whom the evidence supports; exit status 4: cannot tell")]
MaxCost = Annotated[float | None, typer.Option("--max-cost", min=0, help="With --choose: of 1,000 queries")]
MaxMemory = Annotated[str | None, typer.Option("--max-memory", help="With --choose: to serve one query, such as 24GB")]
Scenario = Annotated[str | None, typer.Option("--scenario", help="With --choose: on the tasks of it alone")]
SHOWN = 20  # differences


def leaderboard(
    runs: Folders, out: Out = Path("leaderboard"), explain: Explain = False, group: Group = None,
    choose: Choose = False, max_cost: MaxCost = None, max_memory: MaxMemory = None, scenario: Scenario = None,
    data_root: DataRoot = None,
) -> None:  # fmt: skip
    """Contenders of many runs on one board, in tiers; refuses to put together what cannot be compared.

    A folder of lm-eval's samples is one contender more, on the first run's exam; what its log cannot tell is unknown.

    Example: tuneworth leaderboard runs/demo runs/another --out board

    Or, without a page: tuneworth leaderboard runs/demo --choose --max-cost 0.4 --max-memory 24GB --scenario compliance
    """
    from eval.leaderboard import Board, Limits, at_hand, groups, parse_memory, sittings

    limits = Limits(max_cost, parse_memory(max_memory) if max_memory else None, scenario)
    if limits != Limits() and not choose:
        raise BadInput("--max-cost, --max-memory and --scenario are limits of --choose; add it")

    look_in(data_root)
    found = sittings(runs)
    if explain or group:
        kin = groups(found)
        if explain:
            return _tell(kin)
        found = _chosen(kin, group or 1)
    board = Board.of(found, at_hand(found))
    return _decide(board, limits) if choose else _keep(board, out)


def verify(
    run: Annotated[Path, typer.Argument(help="Folder of a judged run, such as runs/demo", show_default=False)],
    data_root: DataRoot = None,
) -> None:
    """Reach the verdict again from item logs, manifests and recipe: equal, or where it differs (exit status 6).

    Example: tuneworth verify runs/demo
    """
    from eval.verify import verify as again
    from finetune.run import RunDir

    look_in(data_root)
    found = again(RunDir(run))
    for each in found.differs[:SHOWN]:
        typer.echo(f"{each.place}: {str(each.kept)[:60]} in verdict.json, {str(each.found)[:60]} reached again")
    if len(found.differs) > SHOWN:
        typer.echo(f"and {len(found.differs) - SHOWN} more")
    word = "differs" if found.differs else "equal"
    typer.echo(f"verify: {word}: {len(found.differs)} of {found.same + len(found.differs)} values differ")
    if found.differs:
        raise typer.Exit(6)


def _keep(board: Board, out: Path) -> None:
    """Every form of the board, and the tiers on the terminal."""
    from eval.leaderboard import tables
    from eval.leaderboard.page import render
    from finetune.files import write_whole

    write_whole(out / "leaderboard.json", board.model_dump_json(indent=1) + "\n")
    write_whole(out / "leaderboard.csv", tables.comma(board))
    write_whole(out / "leaderboard.md", tables.markdown(board))
    write_whole(out / "leaderboard.html", render(board))
    for line in tables.lines(board.slices[0]):
        typer.echo(line)
    typer.echo(f"leaderboard: {out}")


def _decide(board: Board, limits: Limits) -> None:
    """The choice in both languages, and who was left out; exit status 4 where the evidence does not tell."""
    from eval.leaderboard import choose

    found = choose(board, limits)
    typer.echo(f"{found.contender or 'cannot tell'}: {found.reason}")
    typer.echo(f"{found.contender or '无法判断'}：{found.reason_zh}")
    for name, why in found.left_out.items():
        typer.echo(f"  left out 未计入: {name}: {why.en} · {why.zh}")
    if found.contender is None:
        raise typer.Exit(4)


def _chosen(kin: list[list[Sitting]], number: int) -> list[Sitting]:
    if number > len(kin):
        raise BadInput(f"--group {number}: there are {len(kin)}; --explain lists them")
    return kin[number - 1]


def _tell(kin: list[list[Sitting]]) -> None:
    """Each group, and what keeps its first member from each group before."""
    from eval.leaderboard import difference

    for number, members in enumerate(kin, 1):
        typer.echo(f"group {number}: {', '.join(each.key for each in members)}")
        for other, before in enumerate(kin[: number - 1], 1):
            pairs = ((one, each) for one in before for each in members)
            why = next(found for one, each in pairs if (found := difference(one, each)))
            typer.echo(f"  not in group {other}: {why.kind}: {why.text}")
