"""Amdahl's law and the universal scalability law (Gunther), fitted to measurements."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Usl:
    """Throughput of n users: rate · n / (1 + sigma · (n − 1) + kappa · n · (n − 1))."""

    rate: float
    sigma: float
    kappa: float

    def at(self, n):
        return self.rate * n / (1 + self.sigma * (n - 1) + self.kappa * n * (n - 1))

    def knee(self):
        """Where more users begin to slow it down; None if nowhere."""
        if self.kappa <= 0:
            return None
        return max(1, ((1 - self.sigma) / self.kappa) ** 0.5)


def fit_usl(points):
    """The law through the point of fewest users, fitted to the rest by least squares; None if they are too few.

    With c = throughput(n) / rate and x = n − 1, n / c − 1 = sigma · x + kappa · n · x, which is linear. Each
    point counts by its relative error, so that the many users of the last do not drown the first.
    """
    if len(points) < 3:
        return None
    first, at_first = points[0]
    rate = at_first / first
    rows = []
    for n, value in points[1:]:
        y = n / (value / rate) - 1
        weight = 1 / (y + 1)
        rows.append(((n - 1) * weight, n * (n - 1) * weight, y * weight))
    aa, ab, bb = (sum(row[i] * row[j] for row in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    ay, by = (sum(row[i] * row[2] for row in rows) for i in (0, 1))
    determinant = aa * bb - ab * ab
    sigma, kappa = ((ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant) if determinant else (ay / aa, 0)
    # A negative coherence means that it was not seen; then contention alone explains it.
    if kappa < 0:
        sigma, kappa = ay / aa, 0
    if sigma < 0:
        sigma, kappa = 0, max(0, by / bb)
    return Usl(rate, sigma, kappa)


def serial_fraction(by_cores):
    """What of the work does not spread over cores: least squares of 1 / speed-up − 1 / n over 1 − 1 / n."""
    if len(by_cores) < 2 or by_cores[0][0] != 1:
        return None
    one = by_cores[0][1]
    rows = [(1 - 1 / n, one / rate - 1 / n) for n, rate in by_cores[1:]]
    return min(1, max(0, sum(x * y for x, y in rows) / sum(x * x for x, _ in rows)))


def amdahl(one, serial, cores):
    return one / (serial + (1 - serial) / cores)
