"""Heat in a plate: the two-dimensional heat equation by explicit finite differences.

usage: heat.py PLATE CELL      PLATE: the plate's description, CELL: the grid's spacing in mm

The same as heat.c, for a site without a C compiler. Writes results/snapshots/TIME.csv
(temperatures on a grid of 1 mm), results/pictures/TIME.png and results/summary.csv, and draws the
plate on standard output. Python 3 and nothing else.
"""

import math
import os
import struct
import sys
import zlib

PIXELS_PER_MM = 4
SHADES = " .:-=+*#%@"


def read_plate(name):
    """The numbers by name, and the discs as (x, y, radius, temperature)."""
    numbers, discs = {}, []
    with open(name) as file:
        for line in file:
            words = line.split("#")[0].split()
            if not words:
                continue
            values = [float(word) for word in words[1:]]
            if words[0] == "disc":
                discs.append(values)
            else:
                numbers[words[0]] = values[0]
    return numbers, discs


class Plate:
    """The temperatures on a grid, row by row."""

    def __init__(self, numbers, discs, cell):
        self.width, self.height, self.cell = numbers["width"], numbers["height"], cell
        self.columns, self.rows = int(self.width / cell) + 1, int(self.height / cell) + 1
        self.fixed = {}
        for x, y, radius, temperature in discs:
            for j in range(self.rows):
                for i in range(self.columns):
                    if math.hypot(i * cell - x, j * cell - y) <= radius:
                        self.fixed[(j, i)] = temperature
        self.grid = [[numbers["edge"]] * self.columns for _ in range(self.rows)]
        self.hold()
        everything = self.everything()
        self.coldest, self.hottest = min(everything), max(everything)

    def everything(self):
        """All temperatures in one list."""
        return [value for row in self.grid for value in row]

    def hold(self):
        """Give the discs their temperature again."""
        for (j, i), temperature in self.fixed.items():
            self.grid[j][i] = temperature

    def step(self, factor):
        """One step in time."""
        grid = self.grid
        new = [grid[0]]
        for up, at, down in zip(grid, grid[1:], grid[2:]):
            inner = [
                c + factor * (u + d + w + e - 4 * c)
                for u, d, w, c, e in zip(up[1:-1], down[1:-1], at, at[1:-1], at[2:])
            ]
            new.append([at[0], *inner, at[-1]])
        new.append(grid[-1])
        self.grid = new
        self.hold()

    def at_mm(self, x, y):
        """The temperature at a place in mm."""
        i = min(int(x / self.cell + 0.5), self.columns - 1)
        j = min(int(y / self.cell + 0.5), self.rows - 1)
        return self.grid[j][i]

    def shade(self, value, most):
        """The temperature as a whole number from 0 to `most`."""
        span = (self.hottest - self.coldest) or 1
        return max(0, min(most, int(most * (value - self.coldest) / span)))

    def write_csv(self, name):
        """The temperatures on a grid of 1 mm."""
        with open(name, "w") as file:
            for y in range(int(self.height) + 1):
                row = (f"{self.at_mm(x, y):.2f}" for x in range(int(self.width) + 1))
                file.write(",".join(row) + "\n")

    def write_png(self, name):
        """A PNG with a palette from black over red and yellow to white."""
        width, height = int(self.width) * PIXELS_PER_MM, int(self.height) * PIXELS_PER_MM
        palette = bytes(
            max(0, min(255, 3 * n - 255 * colour)) for n in range(256) for colour in range(3)
        )
        lines = b"".join(
            b"\0"
            + bytes(
                self.shade(self.at_mm(i / PIXELS_PER_MM, j / PIXELS_PER_MM), 255)
                for i in range(width)
            )
            for j in range(height)
        )
        with open(name, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            for kind, data in (
                (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
                (b"PLTE", palette),
                (b"IDAT", zlib.compress(lines)),
                (b"IEND", b""),
            ):
                crc = zlib.crc32(kind + data)
                file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc))

    def draw(self):
        """The plate in characters, on standard output."""
        for y in range(0, int(self.height) + 1, 5):
            shades = (self.shade(self.at_mm(x, y), 9) for x in range(0, int(self.width) + 1, 2))
            print("".join(SHADES[shade] for shade in shades))


def main(plate_file, cell):
    """Simulate the plate and write the results."""
    numbers, discs = read_plate(plate_file)
    plate = Plate(numbers, discs, cell)
    diffusivity, snapshots = numbers["diffusivity"], int(numbers["snapshots"])
    between = numbers["seconds"] / snapshots
    per_snapshot = math.ceil(between / (0.9 * cell**2 / (4 * diffusivity)))
    dt = between / per_snapshot
    print(f"{plate.columns} x {plate.rows} cells, {per_snapshot * snapshots} steps of {dt:.3g} s")
    os.makedirs("results/snapshots", exist_ok=True)
    os.makedirs("results/pictures", exist_ok=True)
    with open("results/summary.csv", "w") as summary:
        summary.write("seconds,mean,lowest,highest\n")
        for n in range(1, snapshots + 1):
            for _ in range(per_snapshot):
                plate.step(diffusivity * dt / cell**2)
            now, values = between * n, plate.everything()
            mean = sum(values) / len(values)
            summary.write(f"{now:.2f},{mean:.2f},{min(values):.2f},{max(values):.2f}\n")
            plate.write_csv(f"results/snapshots/{now:05.2f}s.csv")
            plate.write_png(f"results/pictures/{now:05.2f}s.png")
            print(f"after {now:.2f} s: {mean:.1f} degrees on average", flush=True)
    plate.draw()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: heat.py PLATE CELL")
    main(sys.argv[1], float(sys.argv[2]))
