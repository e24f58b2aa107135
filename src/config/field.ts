/** An option: its value kind and default, and what help and docs say about it. */
import type * as z from 'zod'
import { type Kind, lazily } from './kind.ts'

export const COMMANDS = ['run', 'replay', 'inspect', 'capture', 'demo', 'doctor'] as const
export type CommandName = (typeof COMMANDS)[number]

/** Headings of help and docs, in their order: what is tuned rarely stands last. */
export const GROUPS = [
  'Traffic',
  'Filters',
  'Replay',
  'Output',
  'Threads',
  'Reports and configuration',
  'Connections to the origin (advanced)',
  'Limits and time-outs (advanced)',
] as const
export type Group = (typeof GROUPS)[number]

interface Meta {
  readonly group: Group
  /** Stands for the value in help; absent for booleans. */
  readonly value?: string
  /** One or two short sentences: what it does. */
  readonly help: string
  /** Why the default is what it is, or what to weigh when changing it. Printed in the docs, not in help. */
  readonly reason?: string
  /** `run` takes a new value over while it works, when SIGHUP has it read the file again. */
  readonly reloads?: true
  /**
   * Where the option comes from: `argument` = the words after the options, `command line` = everywhere but the YAML file,
   * `step` = a flag, or an item of the file's `pipeline`, `file` = the YAML file only.
   */
  readonly from?: 'anywhere' | 'command line' | 'argument' | 'step' | 'file'
}

export interface Field<S extends z.ZodType = z.ZodType> extends Meta {
  /** Check, conversion and default. Made when it is first asked for. */
  readonly schema: S
  /** The parsed value where nobody gave one; absent where the option is required. */
  readonly fallback?: () => z.output<S>
  readonly kind: Kind
  /** As help and docs print the default; '' where the option is required. */
  readonly defaultText: string
  /** The default as YAML writes it, where it is one fixed value. */
  readonly fixedDefault?: unknown
}

/** Fields by key in the options object: the flag in camel case. */
export type Fields = Readonly<Record<string, Field>>

/** Without a default: the command refuses to start without it. */
export function required<S extends z.ZodType>(kind: Kind<S>, meta: Meta): Field<S> {
  return lazily(() => kind.schema, { ...meta, kind, defaultText: '' })
}

/** With a fixed default, given as the parsed value. */
export function optional<S extends z.ZodType>(kind: Kind<S>, value: z.output<S>, meta: Meta): Field<z.ZodDefault<S>> {
  const fixedDefault = kind.written ? kind.written(value) : value
  return withDefault(kind, () => value, { ...meta, defaultText: String(fixedDefault) || 'none', fixedDefault })
}

/** With a default that the machine decides, or that only words can say. */
export function computed<S extends z.ZodType>(
  kind: Kind<S>,
  value: () => z.output<S>,
  defaultText: string,
  meta: Meta,
): Field<z.ZodDefault<S>> {
  return withDefault(kind, value, { ...meta, defaultText })
}

/** Null unless given; `defaultText` says what null does. */
export function unset<S extends z.ZodType>(
  kind: Kind<S>,
  defaultText: string,
  meta: Meta,
): Field<z.ZodDefault<z.ZodNullable<S>>> {
  return lazily(() => kind.schema.nullable().default(null), { ...meta, kind, fallback: () => null, defaultText })
}

function withDefault<S extends z.ZodType>(
  kind: Kind<S>,
  value: () => z.output<S>,
  rest: Omit<Field, 'schema' | 'kind' | 'fallback'>,
): Field<z.ZodDefault<S>> {
  // The casts: for a generic schema the compiler cannot see that its output is never undefined.
  return lazily(() => kind.schema.default(value as never), { ...rest, kind, fallback: value }) as Field<z.ZodDefault<S>>
}

/** `maxFlows` is `max-flows` in flags and YAML. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** `maxFlows` is `MIRRORSHARD_MAX_FLOWS` in the environment. */
export function environmentName(key: string): string {
  return `MIRRORSHARD_${flagName(key).replaceAll('-', '_').toUpperCase()}`
}

/** Whether there is a flag of it. */
export function isFlag(field: Field): boolean {
  return field.from !== 'argument' && field.from !== 'file'
}

/** Whether there is a variable of it. */
export function isVariable(field: Field): boolean {
  return field.from === undefined || field.from === 'anywhere' || field.from === 'command line'
}

/** Booleans have no value: `--keep-host`, `--no-keep-host`. */
export function isSwitch(field: Field): boolean {
  return field.value === undefined
}
