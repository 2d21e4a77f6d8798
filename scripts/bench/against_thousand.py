"""The table of bench-backlog: passes it on and says what its figures of time are at each size against a thousand's."""
import re
import sys

TARGET = 1.3  # x, of a decision at a million against one at a thousand


def rows(lines, seen=lambda line: None):
    """By number of messages, each a dictionary of the table's columns."""
    columns, found = [], {}
    for line in lines:
        seen(line)
        if not columns:
            columns = re.sub(r"\([^)]*\)", "", line).split()  # units
        elif re.fullmatch(r"[\d.\s]+", line) and len(line.split()) == len(columns):
            row = dict(zip(columns, map(float, line.split())))
            found[int(row["messages"])] = row
    return found


def main():
    table = rows(sys.stdin, lambda line: print(line, end="", flush=True))
    if next(iter(table), None) != 1000:  # what the ratios are to
        return
    print()
    for size, row in table.items():
        if size != 1000:
            ratio = row["ratio"]  # the median of the rounds, each against the thousand's decisions next to it
            target = f" (target <= {TARGET} x: {'held' if ratio <= TARGET else 'not held'})" if size == 1_000_000 else ""
            print(f"decision at {size} / at a thousand: {ratio:.2f} x{target}; taking one in: {row['add'] / table[1000]['add']:.2f} x")


if __name__ == "__main__":
    main()
