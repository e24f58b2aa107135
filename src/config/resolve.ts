/** From flags, environment, file and defaults to one frozen object: the first of them that gives an option decides. */
import { MirrorError } from '../base/errors.ts'
import { printable } from '../base/printable.ts'
import { CHECKS } from './checks.ts'
import { type CommandName, environmentName, type Field, type Fields, flagName } from './field.ts'
import type { ConfigFile } from './file.ts'
import { bodyWarning, divideMemory } from './memory-budget.ts'
import { findNearest } from './nearest.ts'
import { allOptions, FIELDS, fileFields, type OptionsOf, schemaOf } from './options.ts'
import { describeIssue, environmentSetting, type Fault, flagSetting, type Setting } from './setting.ts'

/** What the command line gave. */
export interface Given {
  /** By key: every text in order, or for a switch its last state. */
  readonly flags: ReadonlyMap<string, readonly string[] | boolean>
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
  const fields: Fields = FIELDS[command]
  const settings = new Map<string, Setting>()
  for (const [key, field] of Object.entries(fields)) {
    const setting = commandLineSetting(key, field, given) ?? environmentSetting(key, field, env)
    if (setting !== null) settings.set(key, setting)
  }

  const file = await fileOf(settings)
  for (const [key, setting] of file.settings) if (key in fields && !settings.has(key)) settings.set(key, setting)

  const faults: Fault[] = [...given.faults, ...file.faults]
  // Nothing is called missing that may stand where it could not be read.
  const isAllKnown = given.arguments !== null && file.isRead
  // Only what was given, or has to be, is checked: defaults are right as they are.
  const checked = Object.entries(fields).filter(([key, field]) => settings.has(key) || field.fallback === undefined)
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
  const values = Object.fromEntries(
    Object.entries(fields).map(([key, { fallback }]) => [
      key,
      fallback === undefined || settings.has(key) ? outcome.data?.[key] : fallback(),
    ]),
  )
  if (outcome.success) faults.push(...crossFaults(values, settings))
  if (outcome.success && 'memoryLimit' in values) faults.push(...applyMemory(values, settings))
  throwFaults(faults)
  const warnings = nearMisses(env)
  const body = 'memoryLimit' in values ? bodyWarning(values, (key) => settings.has(key), nameIn(settings)) : null
  if (body !== null) warnings.push(body)
  return { options: deepFreeze(values) as OptionsOf<C>, warnings }
}

/**
 * Checks a configuration file by itself, for any command.
 * @returns how many options it sets
 * @throws MirrorError ERR_CONFIG with all faults, one per line
 */
export async function validateConfigFile(path: string): Promise<number> {
  const { readConfigFile } = await import('./file.ts')
  const { settings, faults } = await readConfigFile(path)
  throwFaults(faults)
  const given = Object.fromEntries([...settings].map(([key, { value }]) => [key, value]))
  const fields = Object.entries(fileFields())
  const required = fields.filter(([key, field]) => field.defaultText === '' && !(key in given)).map(([key]) => key)
  const relevant = Object.fromEntries(fields.filter(([key]) => !required.includes(key)))
  const values = schemaOf(relevant).parse(given)
  throwFaults([...crossFaults(values, settings), ...applyMemory(values, settings)])
  return settings.size
}

/** Gives the parts of memory that nobody gave a size their shares of --memory-limit. */
function applyMemory(values: Record<string, unknown>, settings: ReadonlyMap<string, Setting>): Fault[] {
  const { values: decided, fault } = divideMemory(values, (key) => settings.has(key), nameIn(settings))
  Object.assign(values, decided)
  if (fault === null) return []
  const isUsage = [...settings.values()].some(({ from }) => from === 'flag')
  return [{ kind: isUsage ? 'usage' : 'configuration', message: fault }]
}

/** How to call an option in a message: as whoever gave it did. */
function nameIn(settings: ReadonlyMap<string, Setting>): (key: string) => string {
  return (key) => settings.get(key)?.name() ?? `--${flagName(key)}`
}

function commandLineSetting(key: string, field: Field, given: Given): Setting | null {
  const texts = field.from === 'argument' ? given.arguments : given.flags.get(key)
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
  const known = new Set([...OTHER_VARIABLES, ...allOptions().map(({ key }) => environmentName(key))])
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
