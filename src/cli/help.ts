/** Help as a person reads it: usage, examples, then the options in groups. Laid out by commander, never wider than 100 columns. */
import { Argument, Command, Help, Option } from 'commander'
import { readVersion } from '../base/version.ts'
import {
  COMMANDS,
  type CommandName,
  type Field,
  type Fields,
  flagName,
  GROUPS,
  isFlag,
  isSwitch,
} from '../config/field.ts'
import { FIELDS } from '../config/options.ts'
import { type Example, MANUALS, type Manual, TOOL_NAMES, type ToolName } from './manual.ts'

const WIDTH = 100
const NO_BREAK = '\u00a0'

const PROGRAM_EXAMPLES: readonly Example[] = [
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

export function programHelp(): string {
  const program = new Command('mirrorshard')
    .usage('COMMAND [options]')
    .description(
      [
        `mirrorshard ${readVersion()}: mirrored packets in, the same HTTP requests out`,
        exampleBlock(PROGRAM_EXAMPLES),
      ].join('\n\n'),
    )
    .helpCommand(false)
    .helpOption('-h, --help', 'this, or with a command its examples and options: mirrorshard run --help')
    .version(readVersion(), '-V, --version', 'the version')
  for (const name of [...COMMANDS, ...TOOL_NAMES]) program.addCommand(new Command(name).summary(MANUALS[name].summary))
  return laidOut(program, [
    'Every option can also stand in a YAML file (--config FILE) or in the environment (--max-flows as MIRRORSHARD_MAX_FLOWS). A flag goes before the environment, the environment before the file.',
    'Exit codes: 0 done, 1 failed while running, 2 wrong command line, 78 wrong configuration',
  ])
}

export function commandHelp(name: CommandName | ToolName): string {
  const manual: Manual = MANUALS[name]
  const command = new Command(`mirrorshard ${name}`)
    .usage(manual.usage)
    .description([capitalised(manual.summary), exampleBlock(manual.examples), ...(manual.notes ?? [])].join('\n\n'))
    .helpOption(false)
  if (name === 'validate') command.option('--config FILE', 'The YAML file to check (required)')
  if (name === 'validate' || name === 'config') return laidOut(command, [])
  addFields(command, FIELDS[name])
  return laidOut(command, [
    'Sizes take units (65536, 64KB, 16MiB), times too (250, 250ms, 5s, 2m). Lists are separated by commas.',
    'Every default with its reason: docs/configuration.md',
  ])
}

/** What must be given is read first. */
function addFields(command: Command, fields: Fields): void {
  const options = Object.entries(fields)
  for (const [, field] of options)
    if (field.from === 'argument') command.addArgument(new Argument(`<${field.value}...>`, field.help))
  const groups: [string, (field: Field) => boolean][] = [
    ['Required', (field) => field.defaultText === ''],
    ...GROUPS.map((group): [string, (field: Field) => boolean] => [
      group,
      (field) => field.defaultText !== '' && field.group === group,
    ]),
  ]
  for (const [heading, belongs] of groups) {
    for (const [key, field] of options) {
      if (!isFlag(field) || !belongs(field)) continue
      command.addOption(new Option(usageOf(key, field), field.help + defaultEnding(field)).helpGroup(`${heading}:`))
    }
  }
}

/** Commander takes what stands in angle brackets for the value; people read it without them: `Layout.optionTerm`. */
function usageOf(key: string, field: Field): string {
  return `--${flagName(key)}${isSwitch(field) ? '' : ` <${field.value}>`}`
}

/** Kept on one line by no-break spaces. Where the default is nothing at all, nothing is said. */
function defaultEnding(field: Field): string {
  if (isSwitch(field) || field.defaultText === '' || field.defaultText === 'none') return ''
  return ` ${`(default: ${field.defaultText})`.replaceAll(' ', NO_BREAK)}`
}

class Layout extends Help {
  override helpWidth = WIDTH

  override optionTerm(option: Option): string {
    return option.flags.replace(/[<>]/g, '')
  }

  override argumentTerm(argument: Argument): string {
    return `${argument.name()}...`
  }

  override subcommandTerm(command: Command): string {
    return command.name()
  }

  /** White space at which a line may break is a blank: what a no-break space holds together stays together. */
  override boxWrap(text: string, width: number): string {
    return super.boxWrap(text.replaceAll(NO_BREAK, '\u2060'), width).replaceAll('\u2060', ' ')
  }
}

function laidOut(command: Command, notes: readonly string[]): string {
  const layout = new Layout()
  const text = [layout.formatHelp(command, layout).trimEnd(), ...notes.map((note) => layout.boxWrap(note, WIDTH))]
  return `${text.join('\n\n')}\n`
}

function exampleBlock(examples: readonly Example[]): string {
  return ['Examples:', ...examples.flatMap(({ what, line }) => [`  ${what}`, `    ${line}`])].join('\n')
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
