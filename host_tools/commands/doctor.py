"""`thumbnet doctor`: say what this machine lacks and how to get it."""

from __future__ import annotations

import sys

import click

from ..doctor import DEFAULT_PURPOSES, PURPOSES, SYSTEMS, Finding, examine, missing, this_system
from ..jsonout import emit


@click.command(
    help="Say what this machine lacks and how to get it.\n\n\b\nPurposes:\n"
    + "\n".join(f"  {name:8} {text}" for name, text in PURPOSES.items())
)
@click.option("--for", "purposes", multiple=True, type=click.Choice(list(PURPOSES)), default=DEFAULT_PURPOSES,
              help="What the machine is wanted for; may be given several times.")  # fmt: skip
@click.option("--system", type=click.Choice(SYSTEMS), default=None,
              help="Whose installation commands to show; default: this machine's.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def command(purposes: tuple[str, ...], system: str | None, as_json: bool) -> None:
    """Look for what the purposes need; exit 1 when something required is missing."""
    findings = examine(purposes, system)
    lacking = missing(findings)
    if as_json:
        emit("doctor/1", {
            "ok": not lacking,
            "system": system or this_system(),
            "purposes": list(purposes),
            "checks": [finding.to_dict() for finding in findings],
        })  # fmt: skip
    else:
        _print(findings, lacking, purposes)
    sys.exit(1 if lacking else 0)


def _print(findings: list[Finding], lacking: list[Finding], purposes: tuple[str, ...]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark, colour = ("ok", "green") if finding.found else ("MISSING", "red") if finding.required else ("-", "yellow")
        click.echo(f"{click.style(f'{mark:>7}', fg=colour)}  {finding.name:{width}}  {finding.detail}")
        if not finding.found and finding.remedy:
            click.echo(f"{'':7}  {'':{width}}  get it: {click.style(finding.remedy, bold=True)}")
    wanted = ", ".join(purposes)
    if lacking:
        click.echo(f"\n{len(lacking)} required for {wanted} missing: {', '.join(f.name for f in lacking)}.")
    else:
        click.echo(f"\nThis machine has everything required for {wanted}.")


def _mark(finding: Finding) -> str:
    if finding.found:
        return click.style(f"{'ok':>7}", fg="green")
    return click.style(f"{'MISSING':>7}", fg="red") if finding.required else click.style(f"{'-':>7}", fg="yellow")
