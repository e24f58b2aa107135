/** Which options each command has, and the frozen objects that the commands get. */
import * as z from 'zod'
import { COMMANDS, type CommandName, type Field, type Fields } from './field.ts'
import { PIPELINE_FIELD, STEP_FIELDS } from './fields/filters.ts'
import { FILE_LIMIT_FIELDS, LIMIT_FIELDS, LIVE_LIMIT_FIELDS } from './fields/limits.ts'
import { DOCTOR_FIELDS, DRAIN_FIELDS, ORIGIN_FIELDS, REPLAY_FIELDS } from './fields/replay.ts'
import { COMMON_FIELDS, DEMO_FIELDS, INSPECT_FIELDS, SERVER_FIELDS, SUMMARY_FIELDS } from './fields/reports.ts'
import {
  CAPTURE_FIELDS,
  FILE_FIELDS,
  INTERFACE_FIELDS,
  LISTEN_FIELDS,
  PLAYBACK_FIELDS,
  RECEIVE_FIELDS,
  RECEIVER_FIELDS,
  RUN_INTERFACE_FIELD,
  TRAFFIC_FIELDS,
  WORKER_FIELDS,
} from './fields/traffic.ts'

const RUN_FIELDS = {
  ...LISTEN_FIELDS,
  ...RUN_INTERFACE_FIELD,
  ...INTERFACE_FIELDS,
  ...TRAFFIC_FIELDS,
  ...REPLAY_FIELDS,
  ...WORKER_FIELDS,
  ...RECEIVE_FIELDS,
  ...RECEIVER_FIELDS,
  ...SUMMARY_FIELDS,
  ...SERVER_FIELDS,
  ...COMMON_FIELDS,
  ...ORIGIN_FIELDS,
  ...DRAIN_FIELDS,
  ...LIVE_LIMIT_FIELDS,
  ...LIMIT_FIELDS,
} as const

/** In each command options are printed in this order within their group. */
export const FIELDS = {
  run: RUN_FIELDS,
  replay: {
    ...PLAYBACK_FIELDS,
    ...FILE_FIELDS,
    ...TRAFFIC_FIELDS,
    ...REPLAY_FIELDS,
    ...WORKER_FIELDS,
    ...SUMMARY_FIELDS,
    ...COMMON_FIELDS,
    ...ORIGIN_FIELDS,
    ...FILE_LIMIT_FIELDS,
    ...LIMIT_FIELDS,
  },
  inspect: {
    ...INSPECT_FIELDS,
    ...FILE_FIELDS,
    ...TRAFFIC_FIELDS,
    ...STEP_FIELDS,
    ...PIPELINE_FIELD,
    ...WORKER_FIELDS,
    ...SUMMARY_FIELDS,
    ...COMMON_FIELDS,
    ...FILE_LIMIT_FIELDS,
    ...LIMIT_FIELDS,
  },
  capture: { ...CAPTURE_FIELDS, ...INTERFACE_FIELDS, ...COMMON_FIELDS },
  demo: { ...DEMO_FIELDS, ...WORKER_FIELDS, ...RECEIVER_FIELDS, ...COMMON_FIELDS },
  doctor: { ...RUN_FIELDS, ...DOCTOR_FIELDS },
} as const satisfies Readonly<Record<CommandName, Fields>>

type Shape<F extends Fields> = { [K in keyof F]: F[K]['schema'] }

/** One strict object of a command's fields: check, conversion and defaults at once. */
export function schemaOf<F extends Fields>(fields: F): z.ZodObject<Shape<F>, z.core.$strict> {
  return z.strictObject(
    Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, field.schema])) as Shape<F>,
  )
}

/** Lists become read-only too; other values are immutable by their types. */
type Frozen<T> = {
  readonly [K in keyof T]: T[K] extends (infer E)[]
    ? readonly E[]
    : T[K] extends (infer E)[] | null
      ? readonly E[] | null
      : T[K]
}

type Parsed<F> = { [K in keyof F]: F[K] extends Field<infer S> ? z.output<S> : never }

export type OptionsOf<C extends CommandName> = Frozen<Parsed<(typeof FIELDS)[C]>>
export type RunOptions = OptionsOf<'run'>
export type ReplayOptions = OptionsOf<'replay'>
export type InspectOptions = OptionsOf<'inspect'>
export type CaptureOptions = OptionsOf<'capture'>
export type DemoOptions = OptionsOf<'demo'>
export type DoctorOptions = OptionsOf<'doctor'>

/** One option over all commands. */
export interface OptionEntry {
  readonly key: string
  /** The commands that have it, with what each says about it; in the order of COMMANDS. */
  readonly fields: readonly (readonly [CommandName, Field])[]
}

/** Every option of any command, once, in the order of the commands. */
export function allOptions(): OptionEntry[] {
  const entries = new Map<string, [CommandName, Field][]>()
  for (const command of COMMANDS) {
    for (const [key, field] of Object.entries<Field>(FIELDS[command])) {
      entries.set(key, [...(entries.get(key) ?? []), [command, field]])
    }
  }
  return [...entries].map(([key, fields]) => ({ key, fields }))
}

/** The options a configuration file may hold: one flat set for all commands, each taking what is its own. */
export function fileFields(): Fields {
  const inFile = allOptions().filter(({ fields }) => ['anywhere', 'file'].includes(fields[0]![1].from ?? 'anywhere'))
  return Object.fromEntries(inFile.map(({ key, fields }) => [key, fields[0]![1]]))
}
