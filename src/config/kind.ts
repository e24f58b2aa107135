/**
 * Kinds of value an option can have. A kind is a zod schema of what YAML may hold, plus what a schema cannot say: the
 * words that complete "--x must be …", and how the text of a flag or environment variable becomes what YAML would hold.
 */
import * as z from 'zod'
import { formatBytes, formatDurationMs, parseBytes, parseDurationMs } from './quantities.ts'
import { Refusal } from './refusal.ts'

export interface Kind<S extends z.ZodType = z.ZodType> {
  readonly schema: S
  /** Completes "--workers must be …". */
  readonly expected: string
  /** What YAML would hold for this text; a text that fits nothing is returned as it is, for the schema to refuse. */
  readonly fromText: (text: string) => unknown
  /** Set for lists: what separates items in one text. Flags of a list may also be repeated. */
  readonly separator?: RegExp
  /** The closed set of words, where it is one: for suggestions. */
  readonly words?: readonly string[]
  /** The parsed value as YAML writes it, where that is something else. */
  written?(value: z.output<S>): unknown
}

/** Adds a schema that is made when somebody is checked against it: a command is given few of its options, and each schema costs its start 0.1 ms. */
export function lazily<S extends z.ZodType, R extends object>(make: () => S, rest: R): R & { readonly schema: S } {
  let made: S | undefined
  return Object.defineProperty(rest, 'schema', {
    get: () => {
      made ??= make()
      return made
    },
    enumerable: true,
  }) as R & { readonly schema: S }
}

const asIs = (text: string): unknown => text

function numberFromText(text: string): unknown {
  return /^[+-]?(\d+(\.\d+)?|\.\d+)$/.test(text.trim()) ? Number(text) : text
}

/** Thousands are set apart, so that 300000 and 3000000 do not look alike. By hand: Intl takes 30 ms of every start to load. */
const grouped = (n: number): string => (n < 10_000 ? String(n) : String(n).replace(/\B(?=(\d{3})+$)/g, ','))

export function integer(min: number, max: number, expected = `an integer from ${grouped(min)} to ${grouped(max)}`) {
  return lazily(() => z.int().min(min).max(max), { expected, fromText: numberFromText }) satisfies Kind
}

export function number(min: number, max: number, expected: string) {
  return lazily(() => z.number().min(min).max(max), { expected, fromText: numberFromText }) satisfies Kind
}

export const truth = {
  schema: z.boolean(),
  expected: 'true or false',
  fromText(text: string): unknown {
    if (/^(true|yes|on|1)$/i.test(text)) return true
    return /^(false|no|off|0)$/i.test(text) ? false : text
  },
} satisfies Kind

export function choice<const W extends readonly [string, ...string[]]>(...words: W) {
  const expected = words.length === 1 ? words[0] : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
  return lazily(() => z.enum(words), { expected, fromText: asIs, words }) satisfies Kind
}

/** A text with a grammar of its own. `parse` never throws. */
export function parsed<T>(expected: string, parse: (text: string) => T | Refusal) {
  return lazily(() => z.string().transform((text, context) => taken(parse(text), context)), {
    expected,
    fromText: asIs,
  }) satisfies Kind
}

/** Hands the outcome of a parser to zod: the value, or an issue whose `params.reason` says why not. */
export function taken<T>(outcome: T | Refusal, context: z.core.$RefinementCtx): T {
  if (!(outcome instanceof Refusal)) return outcome
  context.addIssue({ code: 'custom', params: { reason: outcome.reason } })
  return z.NEVER
}

/** A number, or a number with a unit; `check` returns why it will not do, or ''. */
function quantity(
  expected: string,
  [min, max]: readonly [number, number],
  parse: (text: string) => number | null,
  format: (n: number) => string,
  check: (n: number) => string,
) {
  const make = () =>
    z.union([z.number(), z.string()]).transform((raw, context) => {
      const value = typeof raw === 'number' ? raw : parse(raw)
      const isInRange = value !== null && Number.isInteger(value) && value >= min && value <= max
      return taken(isInRange && check(value) === '' ? value : new Refusal(isInRange ? check(value) : ''), context)
    })
  return lazily(make, { expected, fromText: asIs, written: format }) satisfies Kind
}

/** A byte count. */
export function bytes(min: number, max: number) {
  const expected = `a size from ${formatBytes(min)} to ${formatBytes(max)} in bytes (such as 65536, 64KB, 16MiB)`
  return quantity(expected, [min, max], parseBytes, formatBytes, () => '')
}

const MIB = 2 ** 20

/** A size in MiB: a number alone counts MiB, one with a unit bytes. */
export function mebibytes(min: number, max: number) {
  const expected = `a size from ${formatBytes(min * MIB)} to ${formatBytes(max * MIB)} in MiB (such as 512, 512MiB, 2GiB)`
  const parse = (text: string): number | null => {
    if (/^\d+$/.test(text.trim())) return Number(text)
    const bytes = parseBytes(text)
    return bytes === null ? null : bytes / MIB
  }
  return quantity(expected, [min, max], parse, String, () => '')
}

export function powerOfTwoBytes(min: number, max: number) {
  const expected = `a power of two from ${formatBytes(min)} to ${formatBytes(max)} in bytes (such as 524288, 1MiB, 16MiB)`
  const check = (n: number): string =>
    Number.isInteger(Math.log2(n))
      ? ''
      : `it is between ${formatBytes(2 ** Math.floor(Math.log2(n)))} and ${formatBytes(2 ** Math.ceil(Math.log2(n)))}`
  return quantity(expected, [min, max], parseBytes, formatBytes, check)
}

/** A span of time in milliseconds. */
export function durationMs(min: number, max: number) {
  const expected = `a time from ${formatDurationMs(min)} to ${formatDurationMs(max)} in milliseconds (such as 250, 250ms, 5s)`
  return quantity(expected, [min, max], parseDurationMs, formatDurationMs, () => '')
}

/** A span of time in milliseconds; null for the word `off`, or 0. */
export function durationMsOrOff(min: number, max: number) {
  const expected = `a time from ${formatDurationMs(min)} to ${formatDurationMs(max)} (such as 500ms, 60s, 5m), or off`
  const make = () =>
    z.union([z.number(), z.string()]).transform((raw, context): number | null => {
      if (raw === 'off') return null
      const value = typeof raw === 'number' ? raw : parseDurationMs(raw)
      if (value === 0) return null
      const isInRange = value !== null && Number.isInteger(value) && value >= min && value <= max
      return taken(isInRange ? value : new Refusal(''), context)
    })
  const written = (ms: number | null): string => (ms === null ? 'off' : formatDurationMs(ms))
  return lazily(make, { expected, fromText: asIs, words: ['off'], written }) satisfies Kind
}

/** One or more values. Items of one text are separated by commas, or as `separator` says where a value may hold a comma. */
export function listOf<S extends z.ZodType>(
  item: Kind<S>,
  options: { separator?: RegExp; expected?: string; most?: number } = {},
) {
  const separator = options.separator ?? /\s*,\s*/
  return lazily(
    () =>
      z
        .array(item.schema)
        .min(1)
        .max(options.most ?? Number.MAX_SAFE_INTEGER),
    {
      expected: options.expected ?? item.expected,
      fromText: (text: string): unknown =>
        text
          .trim()
          .split(separator)
          .map((part) => item.fromText(part)),
      separator,
      ...(item.words && { words: item.words }),
      written: (values: z.output<S>[]): unknown => values.map((value) => (item.written ? item.written(value) : value)),
    },
  ) satisfies Kind
}

/** As `item`, or the word `off` (null). */
export function orOff<T>(expected: string, parse: (text: string) => T | Refusal) {
  return parsed<T | null>(`${expected}, or off`, (text) => (text === 'off' ? null : parse(text)))
}
