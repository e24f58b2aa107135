/**
 * Steps of the pipeline, in the order in which they are applied: flags in the order of the command line, or the list `pipeline:` of the file.
 * Flags replace the file's list whole; the environment has no form of it.
 */
import * as z from 'zod'
import type { Field } from './field.ts'
import { type Kind, lazily, taken } from './kind.ts'
import { Refusal } from './refusal.ts'

/** Plain data: it crosses to the shards. Equal names side by side are any-of. */
export type PipelineStep =
  /** Method tokens, case-sensitive. */
  | { readonly name: 'allow-method' | 'deny-method'; readonly methods: readonly string[] }
  /** A regular expression of RE2, searched in path and query. */
  | { readonly name: 'allow-path' | 'deny-path'; readonly pattern: string }
  /** A glob on the host of the request, in lower case. */
  | { readonly name: 'allow-host' | 'deny-host'; readonly glob: string }
  /** `2xx` or `304`, of the captured answer. */
  | { readonly name: 'only-status'; readonly statuses: readonly string[] }

/** From what the field's kind makes of a value. */
export function pipelineStep(name: string, value: unknown): PipelineStep {
  switch (name) {
    case 'allow-method':
    case 'deny-method':
      return { name, methods: value as string[] }
    case 'allow-path':
    case 'deny-path':
      return { name, pattern: value as string }
    case 'allow-host':
    case 'deny-host':
      return { name, glob: value as string }
    default:
      return { name: 'only-status', statuses: value as string[] }
  }
}

/** @param steps the fields a step may be of, by the names of their flags */
export function pipelineKind(steps: ReadonlyMap<string, Field>) {
  const names = [...steps.keys()]
  const make = () => z.array(z.unknown().transform((raw, context): PipelineStep => taken(stepOf(raw, steps), context)))
  return lazily(make, {
    expected: `a list of filters, each a name (${names.join(', ')}) with its value, such as "- allow-path: ^/api/"`,
    fromText: (text: string): unknown => text,
    written: (value: readonly PipelineStep[]): unknown => value,
  }) satisfies Kind
}

function stepOf(raw: unknown, steps: ReadonlyMap<string, Field>): PipelineStep | Refusal {
  const entries = typeof raw === 'object' && raw !== null && !Array.isArray(raw) ? Object.entries(raw) : []
  const [name, value] = entries[0] ?? ['', null]
  if (entries.length !== 1) return new Refusal('each item has exactly one filter')
  const field = steps.get(name)
  if (field === undefined) return new Refusal(`"${name}" is not one of them`)
  const outcome = field.kind.schema.safeParse(asFlag(field, value))
  return outcome.success ? pipelineStep(name, outcome.data) : new Refusal(`${name} must be ${field.kind.expected}`)
}

/** YAML's value as the text of a flag would be read: one word where a list may stand, `2xx,304`. */
function asFlag({ kind }: Field, value: unknown): unknown {
  const read = (item: unknown) =>
    typeof item === 'string' || typeof item === 'number' ? kind.fromText(String(item)) : item
  return kind.separator !== undefined && Array.isArray(value) ? value.flatMap(read) : read(value)
}
