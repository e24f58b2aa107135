/** The command line: from words to a command's checked options and its exit code. */
import { EXIT, MirrorError } from '../base/errors.ts'
import { warningLine } from '../base/log-line.ts'
import { plural } from '../base/plural.ts'
import { printable, printableLines } from '../base/printable.ts'
import { readVersion } from '../base/version.ts'
import { COMMANDS, type CommandName } from '../config/field.ts'
import { COMMON_FIELDS } from '../config/fields/reports.ts'
import { configFileSchema } from '../config/json-schema.ts'
import { findNearest } from '../config/nearest.ts'
import { FIELDS } from '../config/options.ts'
import { resolveOptions, validateConfigFile } from '../config/resolve.ts'
import { parseArguments } from './arguments.ts'
import type { HandlerLoaders } from './commands.ts'
import { prefixed } from './fatal.ts'
import { commandHelp, programHelp } from './help.ts'
import { MANUALS, TOOL_NAMES, type ToolName } from './manual.ts'

/** Where text goes: a standard stream, or a test's list. */
export interface TextOutput {
  write(text: string): unknown
}

/**
 * @param argv the words after the program's name
 * @returns the exit code
 * @throws MirrorError ERR_CONFIG, and what a command throws; usage errors are printed here, with where to look
 */
export async function runCli(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  loaders: HandlerLoaders,
  stdout: TextOutput,
  stderr: TextOutput,
): Promise<number> {
  try {
    return await dispatch(argv, env, loaders, stdout, stderr)
  } catch (error) {
    if (!(error instanceof MirrorError) || error.code !== 'ERR_USAGE') throw error
    stderr.write(`${prefixed(printableLines(error.message))}\n`)
    stderr.write(`Try '${helpFor(argv)}'.\n`)
    return error.exitCode
  }
}

async function dispatch(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  loaders: HandlerLoaders,
  stdout: TextOutput,
  stderr: TextOutput,
): Promise<number> {
  const [name, ...words] = argv
  if (name === undefined) {
    stderr.write(programHelp())
    return EXIT.usage
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    const topic = words[0]
    stdout.write(topic === undefined ? programHelp() : commandHelp(knownName(topic)))
    return EXIT.ok
  }
  if (name === '--version' || name === '-V') {
    stdout.write(`${readVersion()}\n`)
    return EXIT.ok
  }
  const command = knownName(name)
  if (wantsHelp(words)) {
    stdout.write(commandHelp(command))
    return EXIT.ok
  }
  if (command === 'validate') return await validate(words, env, loaders, stdout, stderr)
  if (command === 'config') return printSchema(words, stdout)
  return await execute(command, words, env, loaders, stderr)
}

async function execute<C extends CommandName>(
  command: C,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  loaders: HandlerLoaders,
  stderr: TextOutput,
): Promise<number> {
  const given = parseArguments(command, FIELDS[command], words)
  const { options, warnings } = await resolveOptions(command, given, env)
  for (const warning of warnings) {
    const isJson = options.logFormat === 'json'
    stderr.write(isJson ? warningLine('options', warning) : `${prefixed(printable(`warning: ${warning}`))}\n`)
  }
  const { execute: handler } = await loaders[command]()
  const reread = async () => (await resolveOptions(command, given, env)).options
  // The cast: the compiler does not see that one C picks both the handler and its options.
  return await (handler as (o: typeof options, again: typeof reread) => Promise<number>)(options, reread)
}

async function validate(
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  loaders: HandlerLoaders,
  stdout: TextOutput,
  stderr: TextOutput,
): Promise<number> {
  const { flags, faults } = parseArguments('validate', { config: COMMON_FIELDS.config }, words)
  if (faults.length > 0) throw new MirrorError('ERR_USAGE', faults.map(({ message }) => printable(message)).join('\n'))
  const texts = flags.get('config')
  const path = Array.isArray(texts) ? texts.at(-1) : env.MIRRORSHARD_CONFIG
  if (path === undefined || path === '')
    throw new MirrorError('ERR_USAGE', 'validate needs --config FILE: the YAML file to check')
  const validated = await validateConfigFile(path, env)
  const { execute: checkMachine } = await loaders.validate()
  await checkMachine(validated)
  stdout.write(`${printable(path)}: valid, ${plural(validated.count, 'option')}\n`)
  if (validated.lacksTarget) stderr.write(`${prefixed('run and replay need --to URL beside it')}\n`)
  return EXIT.ok
}

function printSchema(words: readonly string[], stdout: TextOutput): number {
  if (words.length !== 1 || words[0] !== 'schema') {
    const got = words.length === 0 ? '' : `, got ${words.map((word) => JSON.stringify(word)).join(' ')}`
    throw new MirrorError('ERR_USAGE', `config has one subcommand: config schema${got}`)
  }
  stdout.write(`${JSON.stringify(configFileSchema(), null, 2)}\n`)
  return EXIT.ok
}

function knownName(name: string): CommandName | ToolName {
  if (Object.hasOwn(MANUALS, name)) return name as CommandName | ToolName
  const names = [...COMMANDS, ...TOOL_NAMES]
  if (name.startsWith('-')) {
    throw new MirrorError(
      'ERR_USAGE',
      `the command comes before its options: expected one of ${names.join(', ')}, got ${JSON.stringify(name)}`,
    )
  }
  const nearest = findNearest(name, names)
  const hint = nearest === null ? ` The commands are ${names.join(', ')}.` : ` Did you mean ${nearest}?`
  throw new MirrorError('ERR_USAGE', `unknown command ${JSON.stringify(name)}.${hint}`)
}

/** After `--` nothing is an option. */
function wantsHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return (end === -1 ? words : words.slice(0, end)).some((word) => word === '--help' || word === '-h')
}

function helpFor(argv: readonly string[]): string {
  return Object.hasOwn(MANUALS, argv[0] ?? '') ? `mirrorshard ${argv[0]} --help` : 'mirrorshard --help'
}
