/** From flags, environment, file and defaults to one frozen object: the first of them that gives an option decides. */
import { MirrorError } from '../base/errors.ts'
import { printable } from '../base/printable.ts'
import { CHECKS } from './checks.ts'
import { type CommandName, environmentName, type Field, type Fields, flagName, isFlag, isVariable } from './field.ts'
import type { ConfigFile } from './file.ts'
import { bodyWarning, DIVIDED_OPTIONS, divideMemory } from './memory-budget.ts'
import { findNearest } from './nearest.ts'
import { allOptions, FIELDS, type InspectOptions, type OptionsOf, type RunOptions, schemaOf } from './options.ts'
import { type PipelineStep, pipelineStep } from './pipeline.ts'
import { describeIssue, environmentSetting, type Fault, flagSetting, type Setting } from './setting.ts'

/** What the command line gave. */
export interface Given {
  /** By key: every text in order, or for a switch its last state. */
  readonly flags: ReadonlyMap<string, readonly string[] | boolean>
  /** Steps of the pipeline, key and text, in order. */
  readonly steps?: readonly (readonly [key: string, text: string])[]
  /** The words after the options; null where a fault leaves open which they are. */
  readonly arguments: readonly string[] | null
  /** What is already known to be wrong with the command line: reported together with the rest. */
  readonly faults: readonly Fault[]
}

export interface Resolved<C extends CommandName> {
  readonly options: OptionsOf<C>
  /** What a person should know, although it stops nothing. */
  readonly warnings: readonly string[]
}

/**
 * Checks everything a command was given.
 * @throws MirrorError ERR_USAGE or ERR_CONFIG with all faults, one per line; ERR_USAGE when any is the command line's
 */
export async function resolveOptions<C extends CommandName>(
  command: C,
  given: Given,
  env: NodeJS.ProcessEnv,
): Promise<Resolved<C>> {
  const settings = settingsOf(FIELDS[command], given, env)
  const { values, faults, warnings } = resolveFrom(command, given, settings, await fileOf(settings), env)
  throwFaults(faults)
  return { options: deepFreeze(values) as OptionsOf<C>, warnings }
}

/** What a configuration file and the environment make of the commands that they serve. */
export interface Validated {
  /** Options that the file sets. */
  readonly count: number
  /** With a target that stands in for one that is given on the command line. */
  readonly run: RunOptions
  readonly inspect: InspectOptions
  /** Neither file nor environment says where to send requests. */
  readonly lacksTarget: boolean
}

/**
 * Checks a configuration file as the commands that read it do, beside the same environment.
 * @throws MirrorError ERR_CONFIG with all faults of the first command that refuses it, one per line
 */
export async function validateConfigFile(path: string, env: NodeJS.ProcessEnv): Promise<Validated> {
  const { readConfigFile } = await import('./file.ts')
  const file = await readConfigFile(path)
  const given: Given = { flags: new Map(), arguments: ['-'], faults: [] }
  const check = <C extends CommandName>(command: C): Record<string, unknown> => {
    const settings = settingsOf(FIELDS[command], given, env)
    const { values, faults } = resolveFrom(command, given, settings, file, env, false)
    throwFaults(faults)
    return values
  }
  const run = check('run')
  const lacksTarget = run.to === undefined
  check('replay')
  const inspect = check('inspect')
  return {
    count: file.settings.size,
    run: deepFreeze(lacksTarget ? { ...run, to: ANY_TARGET } : run) as unknown as RunOptions,
    inspect: deepFreeze(inspect) as unknown as InspectOptions,
    lacksTarget,
  }
}

/** Stands for a target that only the command line names. Nothing is sent. */
const ANY_TARGET = new URL('https://origin.invalid')

/** What command line and environment say. */
function settingsOf(fields: Fields, given: Given, env: NodeJS.ProcessEnv): Map<string, Setting> {
  const settings = new Map<string, Setting>()
  for (const [key, field] of Object.entries(fields)) {
    const setting = commandLineSetting(key, field, given) ?? environmentSetting(key, field, env)
    if (setting !== null) settings.set(key, setting)
  }
  return settings
}

/** @param mustHaveAll false: what is required and not given is no fault, and undefined */
function resolveFrom(
  command: CommandName,
  given: Given,
  settings: Map<string, Setting>,
  file: ConfigFile,
  env: NodeJS.ProcessEnv,
  mustHaveAll = true,
): { values: Record<string, unknown>; faults: Fault[]; warnings: string[] } {
  const fields: Fields = FIELDS[command]
  for (const [key, setting] of file.settings) if (key in fields && !settings.has(key)) settings.set(key, setting)

  const pipeline = stepsOf(fields, given)
  const faults: Fault[] = [...given.faults, ...pipeline.faults, ...file.faults]
  // Nothing is called missing that may stand where it could not be read.
  const isAllKnown = mustHaveAll && given.arguments !== null && file.isRead
  // Only what was given, or has to be, is checked: defaults are right as they are.
  const checked = Object.entries(fields).filter(
    ([key, field]) => settings.has(key) || (mustHaveAll && field.fallback === undefined),
  )
  const outcome = schemaOf(Object.fromEntries(checked)).safeParse(
    Object.fromEntries([...settings].map(([key, { value }]) => [key, value])),
  )
  for (const issue of outcome.error?.issues ?? []) {
    const key = String(issue.path[0])
    const setting = settings.get(key)
    if (setting === undefined) {
      if (isAllKnown) faults.push(missing(command, key, fields[key]!, file))
    }
    // The file was checked whole when it was read.
    else if (setting.from !== 'file') faults.push(describeIssue(setting, fields[key]!, issue))
  }
  const values: Record<string, unknown> = Object.fromEntries(
    Object.entries(fields).map(([key, { fallback }]) => [
      key,
      fallback === undefined || settings.has(key) ? outcome.data?.[key] : fallback(),
    ]),
  )
  if (pipeline.steps.length > 0) values.pipeline = pipeline.steps
  if (outcome.success) faults.push(...crossFaults(values, settings))
  if (outcome.success && 'memoryLimit' in values) faults.push(...applyMemory(values, settings))
  const warnings = nearMisses(env)
  const body =
    outcome.success && 'memoryLimit' in values
      ? bodyWarning(values, (key) => settings.has(key), nameIn(settings))
      : null
  if (body !== null) warnings.push(body)
  return { values, faults, warnings }
}

/** The filters of the command line, in their order. */
function stepsOf(fields: Fields, given: Given): { steps: PipelineStep[]; faults: Fault[] } {
  const steps: PipelineStep[] = []
  const faults: Fault[] = []
  for (const [key, text] of given.steps ?? []) {
    const field = fields[key]!
    const setting = flagSetting(key, field, [text])
    const outcome = field.kind.schema.safeParse(setting.value)
    if (outcome.success) steps.push(pipelineStep(flagName(key), outcome.data))
    for (const issue of outcome.error?.issues ?? [])
      faults.push(describeIssue(setting, field, { ...issue, path: [key, ...issue.path] }))
  }
  return { steps, faults }
}

/** Gives the parts of memory that nobody gave a size their shares of --memory-limit. */
function applyMemory(values: Record<string, unknown>, settings: ReadonlyMap<string, Setting>): Fault[] {
  const { values: decided, fault } = divideMemory(values, (key) => settings.has(key), nameIn(settings))
  Object.assign(values, decided)
  if (fault === null) return []
  const isUsage = MEMORY_OPTIONS.some((key) => settings.get(key)?.from === 'flag')
  return [{ kind: isUsage ? 'usage' : 'configuration', message: fault }]
}

/** What memory is divided by: `--config` says nothing about it. */
const MEMORY_OPTIONS = [...DIVIDED_OPTIONS, 'workers', 'receivers', 'datagramBytes', 'maxBodyBytes', 'bodies', 'to']

/** How to call an option in a message: as whoever gave it did. */
function nameIn(settings: ReadonlyMap<string, Setting>): (key: string) => string {
  return (key) => settings.get(key)?.name() ?? `--${flagName(key)}`
}

function commandLineSetting(key: string, field: Field, given: Given): Setting | null {
  const texts = field.from === 'argument' ? given.arguments : isFlag(field) ? given.flags.get(key) : null
  if (texts === undefined || texts === null || (Array.isArray(texts) && texts.length === 0)) return null
  return flagSetting(key, field, texts)
}

async function fileOf(settings: ReadonlyMap<string, Setting>): Promise<ConfigFile> {
  const path = settings.get('config')?.value
  if (typeof path !== 'string' || path === '') return { settings: new Map(), faults: [], isRead: true }
  // The YAML reader is loaded only for those who have a file.
  const { readConfigFile } = await import('./file.ts')
  return await readConfigFile(path)
}

/** With a faulty file the missing option may be the one that is misspelt in it: then the file is what to mend first. */
function missing(command: CommandName, key: string, field: Field, file: ConfigFile): Fault {
  const kind = file.faults.length > 0 ? 'configuration' : 'usage'
  if (field.from === 'argument')
    return { kind, message: `${command} needs at least one ${field.value} (- reads standard input)` }
  return { kind, message: `${command} needs --${flagName(key)} ${field.value}: ${field.kind.expected}` }
}

function crossFaults(values: Readonly<Record<string, unknown>>, settings: ReadonlyMap<string, Setting>): Fault[] {
  const name = (key: string): string => settings.get(key)?.name() ?? `--${flagName(key)}`
  return CHECKS.flatMap((check) => {
    if (!check.keys.every((key) => key in values)) return []
    const message = check.fault(values, (key) => settings.get(key)?.from ?? null, name)
    if (message === null) return []
    const isUsage = check.keys.some((key) => settings.get(key)?.from === 'flag')
    return [{ kind: isUsage ? 'usage' : 'configuration', message } satisfies Fault]
  })
}

function throwFaults(faults: readonly Fault[]): void {
  if (faults.length === 0) return
  const isUsage = faults.some(({ kind }) => kind === 'usage')
  throw new MirrorError(
    isUsage ? 'ERR_USAGE' : 'ERR_CONFIG',
    faults.map(({ message }) => printable(message)).join('\n'),
  )
}

/** Read by the entry point and the admin server, not options. */
const OTHER_VARIABLES = ['MIRRORSHARD_DEBUG', 'MIRRORSHARD_FAULTS']
/** Kubernetes sets these in every pod beside a Service called mirrorshard. */
const SERVICE_VARIABLE = /^MIRRORSHARD_(SERVICE_(HOST|PORT)|PORT)(_|$)/

/** Unknown variables are no fault, because others may own the prefix too; one that looks like a slip is worth a line. */
function nearMisses(env: NodeJS.ProcessEnv): string[] {
  const options = allOptions().filter(({ fields }) => isVariable(fields[0]![1]))
  const known = new Set([...OTHER_VARIABLES, ...options.map(({ key }) => environmentName(key))])
  return Object.keys(env).flatMap((variable) => {
    if (!variable.startsWith('MIRRORSHARD_') || known.has(variable) || SERVICE_VARIABLE.test(variable)) return []
    const nearest = findNearest(
      variable.slice(12),
      [...known].map((name) => name.slice(12)),
    )
    return nearest === null
      ? []
      : [`environment variable ${variable} is not read. Did you mean MIRRORSHARD_${nearest}?`]
  })
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof URL) return value
  for (const part of Object.values(value)) deepFreeze(part)
  return Object.freeze(value)
}
