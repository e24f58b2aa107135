/** "Did you mean …": the nearest valid name to what was written. */

/** Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: optimal string alignment distance. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, replaced)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, beforeLast[j - 2]! + 1)
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}

/** `--idle-timeout-ms`, `idleTimeoutMs` and `IDLE_TIMEOUT_MS` are the same name in different dress. */
function plain(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replace(/[_.]/g, '-')
    .replace(/^-+/, '')
    .toLowerCase()
}

/** The candidate a person most likely meant, or null where none is near: a wrong suggestion is worse than none. */
export function findNearest(written: string, candidates: Iterable<string>): string | null {
  // Names beyond this length are not names, and the comparison is quadratic.
  if (written.length > 100) return null
  const wanted = plain(written)
  let best: string | null = null
  let bestDistance = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const name = plain(candidate)
    let distance = editDistance(wanted, name)
    // A beginning or a part of the name (`--checksums`, `--timeout`) is worth as much as two slips.
    if (wanted.length >= 4 && name.includes(wanted))
      distance = Math.min(distance, 2 + (name.length - wanted.length) / 100)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  // Chosen: a third of the letters, at most three; for short words one slip.
  return bestDistance < Math.min(3.5, Math.max(1.5, wanted.length / 3 + 0.5)) ? best : null
}
