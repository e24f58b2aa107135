/** What a configuration read again changes in the one that is in force. */
import { type Fields, flagName } from './field.ts'
import { DIVIDED_OPTIONS } from './memory-budget.ts'
import { FIELDS, type RunOptions } from './options.ts'

export interface OptionChange {
  /** As the flag. */
  readonly name: string
  /** Values as text, for people. */
  readonly from: string
  readonly to: string
}

export interface Changed {
  /** In force from now on: the old ones, with what may change taken from the new ones. */
  readonly options: RunOptions
  readonly changed: readonly OptionChange[]
  /** Flags of what changed and needs a restart; shares of memory only where nothing else did. */
  readonly refused: readonly string[]
}

export function changedOptions(inForce: RunOptions, wanted: RunOptions): Changed {
  const fields: Fields = FIELDS.run
  const old = inForce as Readonly<Record<string, unknown>>
  const fresh = wanted as Readonly<Record<string, unknown>>
  const options: Record<string, unknown> = { ...old }
  const changed: OptionChange[] = []
  const refused: string[] = []
  /** Shares of memory: most follow from other options, --workers for one. */
  const shares: string[] = []
  for (const [key, field] of Object.entries(fields)) {
    if (JSON.stringify(old[key]) === JSON.stringify(fresh[key])) continue
    const name = `--${flagName(key)}`
    if (field.reloads !== true) (DIVIDED_OPTIONS.has(key) ? shares : refused).push(name)
    else {
      options[key] = fresh[key]
      changed.push({ name, from: textOf(key, old[key]), to: textOf(key, fresh[key]) })
    }
  }
  return { options: Object.freeze(options) as RunOptions, changed, refused: refused.length > 0 ? refused : shares }
}

function textOf(key: string, value: unknown): string {
  if (value === null) return (FIELDS.run as Fields)[key]!.defaultText
  if (Array.isArray(value)) return value.map((item) => textOf(key, item)).join(',')
  if (typeof value !== 'object') return String(value)
  const { text, by, name } = value as { text?: string; by?: string; name?: string }
  return text ?? (name === undefined ? (by ?? JSON.stringify(value)) : `${by}:${name}`)
}
