/** A value somebody gave, where it stands, and the sentence that says what is wrong with it. */
import type * as z from 'zod'
import { environmentName, type Field, flagName, isVariable } from './field.ts'
import { findNearest } from './nearest.ts'
import { withoutUserinfo } from './userinfo.ts'

export interface Setting {
  readonly key: string
  /** As YAML would hold it, not checked yet. */
  readonly value: unknown
  readonly from: 'flag' | 'environment' | 'file'
  /** How a message begins that is about this value, or about item `index` of it. */
  readonly name: (index?: number) => string
}

/** Something wrong: with the command line (exit code 2), or with file or environment (78). */
export interface Fault {
  readonly kind: 'usage' | 'configuration'
  readonly message: string
}

/** @param texts every value given to the flag, in order; a single value is replaced by a later one */
export function flagSetting(key: string, field: Field, texts: readonly string[] | boolean): Setting {
  let value: unknown = texts
  if (typeof texts !== 'boolean') {
    value = field.kind.separator
      ? texts.flatMap((text) => field.kind.fromText(text))
      : field.kind.fromText(texts.at(-1) ?? '')
  }
  return {
    key,
    value,
    from: 'flag',
    name: () => (field.from === 'argument' ? (field.value ?? key) : `--${flagName(key)}`),
  }
}

/** Null where the variable is not set; set to nothing is the same, which is how compose files and charts leave one out. */
export function environmentSetting(key: string, field: Field, env: NodeJS.ProcessEnv): Setting | null {
  if (!isVariable(field)) return null
  const variable = environmentName(key)
  const text = env[variable]
  if (text === undefined || text === '') return null
  return { key, value: field.kind.fromText(text), from: 'environment', name: () => `environment variable ${variable}` }
}

/** The sentence for what zod found wrong with a setting: what was expected, what came, why, and the nearest valid word. */
export function describeIssue(setting: Setting, field: Field, issue: z.core.$ZodIssue): Fault {
  const kind = setting.from === 'flag' ? 'usage' : 'configuration'
  const index = issue.path[1]
  const isItem = typeof index === 'number'
  const got = isItem ? (setting.value as unknown[])[index] : setting.value
  const name = setting.name(isItem ? index : undefined)
  // Parsers of options take the next word whatever it is: `--to --workers 2`.
  if (setting.from === 'flag' && typeof got === 'string' && /^--?[a-z]/.test(got)) {
    return { kind, message: `${name} needs a value, but the option ${got} follows` }
  }
  const isList = field.kind.separator !== undefined
  const expected = isList && !isItem ? `a list, each item ${field.kind.expected}` : field.kind.expected
  const reason = issue.code === 'custom' ? String(issue.params?.reason ?? '') : ''
  const nearest = typeof got === 'string' && field.kind.words ? findNearest(got, field.kind.words) : null
  const ending = `${reason && `: ${reason}`}${nearest === null ? '' : `. Did you mean ${nearest}?`}`
  return { kind, message: `${name} must be ${expected}, got ${show(got)}${ending}` }
}

/** Values in messages: as JSON, cut at a length that leaves the message readable, and without a URL's password. */
function show(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (typeof value === 'number') return String(value)
  const text = asJson(value)
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}

function asJson(value: unknown): string {
  try {
    return JSON.stringify(value, (_, part: unknown) => (typeof part === 'string' ? withoutUserinfo(part) : part))
  } catch {
    // An anchor of YAML may stand inside what it names: `&a [*a]`.
    return 'a value that contains itself'
  }
}
