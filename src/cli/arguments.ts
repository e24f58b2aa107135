/** The words after a command, taken apart by commander. What is wrong with them is collected, not thrown. */
import { Command, CommanderError, Option } from 'commander'
import { COMMANDS, type CommandName, type Field, type Fields, flagName, isFlag, isSwitch } from '../config/field.ts'
import { findNearest } from '../config/nearest.ts'
import { FIELDS } from '../config/options.ts'
import type { Given } from '../config/resolve.ts'
import type { Fault } from '../config/setting.ts'

/** @param label the command as messages call it */
export function parseArguments(label: string, fields: Fields, words: readonly string[]): Given {
  const flags = new Map<string, string[] | boolean>()
  const steps: [string, string][] = []
  const command = new Command(label)
  command
    .helpOption(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  for (const [key, field] of Object.entries(fields))
    if (field.from === 'step') addStep(command, key, steps)
    else if (isFlag(field)) addOption(command, key, field, flags)

  const faults: Fault[] = []
  const usage = (message: string): void => {
    faults.push({ kind: 'usage', message })
  }
  try {
    const { operands, unknown } = command.parseOptions([...words])
    const strangers = unknown.filter((word) => word.startsWith('-') && word !== '--')
    for (const word of strangers) usage(unknownOption(label, fields, word))
    // What follows an unknown option may be its value: no word on that.
    if (strangers.length > 0) return { flags, steps, arguments: operands.length > 0 ? operands : null, faults }
    const takesFiles = Object.values(fields).some((field) => field.from === 'argument')
    if (!takesFiles)
      for (const word of operands)
        usage(`unexpected argument ${JSON.stringify(word)} for '${label}', which takes options only`)
    return { flags, steps, arguments: takesFiles ? operands : [], faults }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    usage(missingValue(fields, words.at(-1) ?? ''))
    return { flags, steps, arguments: null, faults }
  }
}

function addOption(command: Command, key: string, field: Field, flags: Map<string, string[] | boolean>): void {
  const flag = `--${flagName(key)}`
  if (isSwitch(field)) {
    command.addOption(new Option(flag)).addOption(new Option(`--no-${flagName(key)}`))
    command.on(`option:${flagName(key)}`, () => flags.set(key, true))
    command.on(`option:no-${flagName(key)}`, () => flags.set(key, false))
    return
  }
  command.addOption(new Option(`${flag} <value>`))
  command.on(`option:${flagName(key)}`, (value: string) => {
    const before = flags.get(key)
    flags.set(key, Array.isArray(before) ? [...before, value] : [value])
  })
}

/** Its place among the others counts. */
function addStep(command: Command, key: string, steps: [string, string][]): void {
  command.addOption(new Option(`--${flagName(key)} <value>`))
  command.on(`option:${flagName(key)}`, (value: string) => steps.push([key, value]))
}

/** The last word is an option that needs a value: the only thing commander itself refuses here. */
function missingValue(fields: Fields, word: string): string {
  const field = Object.entries(fields).find(([key]) => `--${flagName(key)}` === word)?.[1]
  return `${word} needs a value${field === undefined ? '' : `: ${field.kind.expected}`}`
}

function unknownOption(label: string, fields: Fields, word: string): string {
  const written = word.split('=', 1)[0]!
  const known = Object.entries(fields)
  const switched = known.find(
    ([key, field]) => isSwitch(field) && [`--${flagName(key)}`, `--no-${flagName(key)}`].includes(written),
  )
  if (switched !== undefined) {
    const name = flagName(switched[0])
    return `--${name} takes no value, got ${JSON.stringify(word)}: write --${name} or --no-${name}`
  }
  const own = known.filter(([, field]) => isFlag(field)).map(([key]) => `--${flagName(key)}`)
  const others = COMMANDS.filter((name) =>
    (Object.entries(FIELDS[name]) as [string, Field][]).some(
      ([key, field]) => isFlag(field) && `--${flagName(key)}` === written,
    ),
  )
  // Doctor has those of run.
  if (others.includes('run') && others.includes('doctor')) others.splice(others.indexOf('doctor'), 1)
  const message = `unknown option ${written} for '${label}'`
  if (others.length > 0) return `${message}: it belongs to ${listed(others)}`
  const nearest = findNearest(written, [...own, '--help'])
  return `${message}${nearest === null ? '' : `. Did you mean ${nearest}?`}`
}

function listed(names: readonly CommandName[]): string {
  return names.length === 1 ? names[0]! : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
