/** Help as a person reads it: examples first, then the options in groups, never wider than 100 columns. */
import { COMMANDS, type CommandName, type Field, type Fields, flagName, GROUPS, isSwitch } from '../config/field.ts'
import { FIELDS } from '../config/options.ts'
import { type Example, MANUALS, type Manual, TOOL_NAMES, type ToolName } from './manual.ts'
import { readVersion } from './version.ts'

const WIDTH = 100
/** Where the meaning of an option begins: behind the longest flag of its group, within these. */
const MIN_FLAG_COLUMN = 24
const MAX_FLAG_COLUMN = 36
const NO_BREAK = '\u00a0'

export function programHelp(): string {
  const names = [...COMMANDS, ...TOOL_NAMES]
  const examples: Example[] = [
    { what: 'Watch it work, on loopback, with nothing to configure', line: 'mirrorshard demo' },
    { what: 'See what is in a capture file', line: 'mirrorshard inspect monday.pcap --format table' },
    {
      what: 'Send its requests to a test environment, as they came',
      line: 'mirrorshard replay monday.pcap --to http://staging:8080',
    },
    {
      what: 'The same with live traffic: a target for AWS VPC Traffic Mirroring (VXLAN, UDP 4789)',
      line: 'mirrorshard run --to http://staging:8080',
    },
  ]
  return text([
    `mirrorshard ${readVersion()}: mirrored packets in, the same HTTP requests out`,
    exampleBlock(examples),
    ['Commands', ...names.map((name) => entry(name, MANUALS[name].summary, 12))].join('\n'),
    [
      'Options',
      entry('-h, --help', 'this, or with a command its examples and options: mirrorshard run --help', 18),
      entry('-V, --version', 'the version', 18),
    ].join('\n'),
    wrap(
      'Every option can also stand in a YAML file (--config FILE) or in the environment (--max-flows as MIRRORSHARD_MAX_FLOWS). A flag goes before the environment, the environment before the file.',
      0,
    ),
    'Exit codes: 0 done, 1 failed while running, 2 wrong command line, 78 wrong configuration',
  ])
}

export function commandHelp(name: CommandName | ToolName): string {
  const manual: Manual = MANUALS[name]
  const options = name === 'validate' || name === 'config' ? toolOptions(name) : optionGroups(FIELDS[name])
  return text([
    `mirrorshard ${name}: ${manual.summary}`,
    `Usage: ${manual.usage}`,
    exampleBlock(manual.examples),
    ...(manual.notes ?? []).map((note) => wrap(note, 0)),
    ...options,
  ])
}

function toolOptions(name: ToolName): string[] {
  if (name === 'config') return []
  return [['Options', entry('--config FILE', 'The YAML file to check (required)', MIN_FLAG_COLUMN)].join('\n')]
}

function optionGroups(fields: Fields): string[] {
  const options = Object.entries(fields)
  const required = options.filter(([, field]) => field.defaultText === '')
  // What must be given is read first; files before options, as they are written.
  required.sort(([, a], [, b]) => Number(b.from === 'argument') - Number(a.from === 'argument'))
  const rest = options.filter(([, field]) => field.defaultText !== '')
  return [
    optionGroup('Required', required),
    ...GROUPS.map((group) =>
      optionGroup(
        group,
        rest.filter(([, field]) => field.group === group),
      ),
    ),
    `${wrap('Sizes take units (65536, 64KiB, 16MiB), times too (250, 250ms, 5s, 2m). Lists are separated by commas.', 0)}
Every default with its reason: docs/configuration.md`,
  ].filter((block) => block !== '')
}

function optionGroup(title: string, options: readonly (readonly [string, Field])[]): string {
  if (options.length === 0) return ''
  const flags = options.map(([key, field]) => usageOf(key, field))
  const fitting = flags.filter((flag) => flag.length + 4 <= MAX_FLAG_COLUMN)
  const column = Math.max(MIN_FLAG_COLUMN, ...fitting.map((flag) => flag.length + 4))
  return [title, ...options.map(([, field], i) => entry(flags[i]!, field.help + defaultEnding(field), column))].join(
    '\n',
  )
}

function usageOf(key: string, field: Field): string {
  if (field.from === 'argument') return `${field.value}...`
  return `--${flagName(key)}${isSwitch(field) ? '' : ` ${field.value}`}`
}

/** Kept on one line by no-break spaces. Where the default is nothing at all, nothing is said. */
function defaultEnding(field: Field): string {
  if (isSwitch(field) || field.defaultText === '' || field.defaultText === 'none') return ''
  return ` ${`(default: ${field.defaultText})`.replaceAll(' ', NO_BREAK)}`
}

function exampleBlock(examples: readonly Example[]): string {
  return ['Examples', ...examples.flatMap(({ what, line }) => [`  ${what}`, `    ${line}`])].join('\n')
}

/** A name and what it means, in two columns. */
function entry(name: string, meaning: string, column: number): string {
  const head = `  ${name}`
  const lines = wrap(meaning, column)
  return head.length + 2 > column ? `${head}\n${lines}` : head.padEnd(column) + lines.slice(column)
}

function wrap(words: string, indent: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of words.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((l) => ' '.repeat(indent) + l.replaceAll(NO_BREAK, ' ')).join('\n')
}

function text(blocks: readonly string[]): string {
  return `${blocks.join('\n\n')}\n`
}
