"""The variants of a synthesis study as Markdown tables, to be kept when the tables are not.

Run the study first, then name its folder:

    POREFLUX_REFERENCE_DATA=... snakemake --cores 2 synthesis --configfile config/zif8.yaml
    python benchmarks/synthesis_variants.py results/zif8/synthesis > benchmarks/zif8_variants.md
"""

import argparse
from pathlib import Path

import pandas as pd

# Questions, each a variant and what it is compared with.
QUESTIONS = (
    ("transfer", "in_house"),
    ("transfer", "baseline"),
    ("continued", "in_house"),
    ("in_house_augmentation", "in_house"),
    ("augmentation", "baseline"),
    ("transfer_augmentation", "transfer"),
)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    tables = {
        name: pd.read_parquet(folder / f"{name}.parquet")
        for name in ("summary", "scores", "comparisons")
    }
    summary = tables["summary"].set_index("case")
    unit = summary["unit"].iloc[0]
    print(f"# Ways of transfer, {summary['target'].iloc[0]}\n")
    print("| case | in-house rows | conditions | literature rows | articles |")
    print("| --- | --- | --- | --- | --- |")
    for case, row in summary.iterrows():
        print(
            f"| {case} | {row['n_in_house']} | {row['n_conditions']} | {row['n_literature']} "
            f"| {row['n_groups']} |"
        )
    for scheme, scores in tables["scores"].groupby("scheme", sort=False):
        print(f"\n## RMSE in {unit}, {scheme} (95 % interval over conditions)\n")
        _matrix(scores, summary.index, ["rmse", "rmse_low", "rmse_high"])
        print(f"\n## R2, {scheme}\n")
        _matrix(scores, summary.index, ["r2"])
        print(f"\n## Differences of RMSE in {unit}, {scheme} (bold: clear of zero)\n")
        _head("variant, against", summary.index)
        own = tables["comparisons"][tables["comparisons"]["scheme"] == scheme]
        for variant, against in QUESTIONS:
            rows = own[(own["variant"] == variant) & (own["against"] == against)]
            cells = [_difference(r) for r in rows.set_index("case").loc[summary.index].itertuples()]
            print(f"| {variant}, {against} | {' | '.join(cells)} |")


def _head(first: str, cases) -> None:
    print(f"| {first} | {' | '.join(cases)} |")
    print("| --- |" + " --- |" * len(cases))


def _matrix(scores: pd.DataFrame, cases, columns: list[str]) -> None:
    _head("variant", cases)
    for variant, rows in scores.groupby("variant", sort=False):
        by_case = rows.set_index("case").loc[cases, columns]
        cells = []
        for value, *ends in by_case.itertuples(index=False):
            text = f"{value:.3g}" if ends else f"{value:.2f}"
            cells.append(text + (f" ({ends[0]:.3g} to {ends[1]:.3g})" if ends else ""))
        print(f"| {variant} | {' | '.join(cells)} |")


def _difference(row) -> str:
    clear = row.rmse_low > 0.0 or row.rmse_high < 0.0
    text = f"{row.rmse_difference:+.3g} ({row.rmse_low:+.3g} to {row.rmse_high:+.3g})"
    return f"**{text}**" if clear else text


if __name__ == "__main__":
    main()
