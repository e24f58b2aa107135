/**
 * Globs of --include and --exclude.
 *
 *     *   any run of characters, also an empty one; `/` is a character like any other
 *     ?   exactly one character
 *
 * Everything else stands for itself, case counts, and the glob covers the whole path: `/api/*` does not match `/v1/api/x`.
 *
 * Matched by walking both strings and not by a RegExp: captured paths are written by strangers, and a RegExp made of a
 * glob with several stars goes through all ways to place them. Here only the last star is ever moved, which suffices
 * (an earlier star that could match later could also match where it did first). Time is at most |glob| x |path|.
 */
export function matchesGlob(glob: string, path: string): boolean {
  let g = 0
  let p = 0
  /** Where to continue after the last star seen, and how much of the path it covers so far; -1 while there was none. */
  let afterStar = -1
  let coveredTo = 0
  while (p < path.length) {
    const c = g < glob.length ? glob.charCodeAt(g) : -1
    if (c === STAR) {
      afterStar = ++g
      coveredTo = p
    } else if (c === QUESTION || c === path.charCodeAt(p)) {
      g++
      p++
    } else if (afterStar >= 0) {
      g = afterStar
      p = ++coveredTo
    } else {
      return false
    }
  }
  while (g < glob.length && glob.charCodeAt(g) === STAR) g++
  return g === glob.length
}

const STAR = 42
const QUESTION = 63
