/**
 * What V8 writes with --log-ic and --log-deopt: transitions of inline caches and deoptimisations, each brought back to a
 * file and a line. A transition tells the address of its bytecode; which function that is was said when it was created.
 */

export interface CacheSite {
  /** `chunks/shard-….js`, from the build's folder on. */
  readonly file: string
  readonly functionName: string
  readonly line: number
  readonly column: number
  /** `LoadIC` and the like. */
  readonly type: string
  /** Property names asked for, a few. */
  readonly names: ReadonlySet<string>
  /** Transitions logged, and those behind the given time. */
  readonly count: number
  readonly late: number
  /** As V8 writes it: 0 uninitialized, X no feedback, 1 monomorphic, P polymorphic, N megamorphic, G generic. */
  readonly state: string
}

export interface Deoptimisation {
  readonly timeUs: number
  /** `deopt-eager`, `deopt-lazy`, `dependency-change`. */
  readonly kind: string
  /** `src/http/head.js:21:5`; what is inlined comes first. */
  readonly place: string
  readonly reason: string
}

export interface V8Log {
  readonly sites: readonly CacheSite[]
  readonly deoptimisations: readonly Deoptimisation[]
  /** Transitions of functions whose creation was not logged: those of Node's start-up snapshot. */
  readonly unresolved: number
  /** Of them behind the given time. */
  readonly lateUnresolved: number
  /** Time of the last event, µs. */
  readonly endUs: number
}

interface Code {
  readonly start: number
  readonly end: number
  readonly name: string
}

const MOST_NAMES = 8

/** @param base what file names are cut by @param lateFromUs transitions from then on count as late */
export function readV8Log(lines: Iterable<string>, base: string, lateFromUs: number): V8Log {
  const codes: Code[] = []
  const sites = new Map<string, Mutable<CacheSite> & { names: Set<string> }>()
  const deoptimisations: Deoptimisation[] = []
  let unresolved = 0
  let lateUnresolved = 0
  let endUs = 0
  for (const line of lines) {
    const fields = line.split(',')
    const type = fields[0]!
    if (type === 'code-creation') addCode(codes, Number(fields[4]), Number(fields[5]), unescaped(fields[6] ?? ''))
    else if (type === 'code-move') moveCode(codes, Number(fields[1]), Number(fields[2]))
    else if (type === 'code-deopt') {
      const place = unescaped(fields[7] ?? '')
      const timeUs = Number(fields[1])
      endUs = Math.max(endUs, timeUs)
      deoptimisations.push({
        timeUs,
        kind: fields[6] ?? '',
        place: place.replaceAll(base, '').replace(/[<>]/g, ''),
        reason: unescaped(fields[8] ?? ''),
      })
    } else if (type.endsWith('IC')) {
      const timeUs = Number(fields[2])
      endUs = Math.max(endUs, timeUs)
      const code = findCode(codes, Number(fields[1]))
      if (code === null) {
        unresolved++
        if (timeUs >= lateFromUs) lateUnresolved++
        continue
      }
      // `name file:///…/head.js:21:5`, the place where the function begins; built-in code has no file.
      const match = /^(\S*) ?(file:\S+?)(?::\d+){2}$/.exec(code.name)
      if (match === null) continue
      const [row, column] = [Number(fields[3]), Number(fields[4])]
      const file = match[2]!.startsWith(base) ? match[2]!.slice(base.length) : match[2]!
      const key = `${file}:${row}:${column} ${type}`
      let site = sites.get(key)
      if (site === undefined) {
        const functionName = match[1]!
        site = { file, functionName, line: row, column, type, names: new Set(), count: 0, late: 0, state: '0' }
        sites.set(key, site)
      }
      site.count++
      if (timeUs >= lateFromUs) site.late++
      site.state = fields[6]!
      if (site.names.size < MOST_NAMES && fields[8]) site.names.add(unescaped(fields[8]))
    }
  }
  return { sites: [...sites.values()], deoptimisations, unresolved, lateUnresolved, endUs }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Code lies sorted and without overlap: what is created where something lay replaces it. */
function addCode(codes: Code[], start: number, length: number, name: string): void {
  const end = start + length
  let i = firstBehind(codes, start)
  if (i > 0 && codes[i - 1]!.end > start) i--
  let n = i
  while (n < codes.length && codes[n]!.start < end) n++
  codes.splice(i, n - i, { start, end, name })
}

function moveCode(codes: Code[], from: number, to: number): void {
  const i = firstBehind(codes, from) - 1
  const code = codes[i]
  if (code === undefined || code.start !== from) return
  codes.splice(i, 1)
  addCode(codes, to, code.end - code.start, code.name)
}

function findCode(codes: readonly Code[], address: number): Code | null {
  const code = codes[firstBehind(codes, address) - 1]
  return code !== undefined && address < code.end ? code : null
}

/** Index of the first one that starts behind `address`. */
function firstBehind(codes: readonly Code[], address: number): number {
  let [low, high] = [0, codes.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (codes[middle]!.start <= address) low = middle + 1
    else high = middle
  }
  return low
}

/** The log writes commas and what is not ASCII as \x2C and \u1234. */
function unescaped(text: string): string {
  return text.replace(/\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})/g, (_, two: string, four: string) =>
    String.fromCharCode(Number.parseInt(two ?? four, 16)),
  )
}
