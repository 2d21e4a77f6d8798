"""Passes the table of bench-backlog on and says what its figures of time are at each size against a thousand's."""
import re
import sys

TARGET = 1.3  # x, of a decision at a million against one at a thousand


def main():
    columns, rows = [], []
    for line in sys.stdin:
        print(line, end="", flush=True)
        if not columns:
            columns = re.sub(r"\([^)]*\)", "", line).split()  # units
        elif re.fullmatch(r"[\d.\s]+", line) and len(line.split()) == len(columns):
            rows.append(dict(zip(columns, map(float, line.split()))))
    rows = {int(row["messages"]): row for row in rows}
    if next(iter(rows), None) != 1000:  # what the ratios are to
        return
    print()
    for size, row in rows.items():
        if size != 1000:
            ratio = row["ratio"]  # the median of the rounds, each against the thousand's decisions next to it
            target = f" (target <= {TARGET} x: {'held' if ratio <= TARGET else 'not held'})" if size == 1_000_000 else ""
            print(f"decision at {size} / at a thousand: {ratio:.2f} x{target}; taking one in: {row['add'] / rows[1000]['add']:.2f} x")


if __name__ == "__main__":
    main()
