/** What people write: YAML files, flags and variables, addresses, sizes and times. Refused with a MirrorError that says why, or taken. */
import { inspect } from 'node:util'
import { MirrorError } from '../../../src/base/errors.ts'
import { parseArguments } from '../../../src/cli/arguments.ts'
import {
  formatHostPort,
  parseCidr,
  parseHostName,
  parseHostPort,
  parseListen,
  parseOrigin,
  parseServerName,
} from '../../../src/config/addresses.ts'
import { COMMANDS, environmentName, flagName } from '../../../src/config/field.ts'
import { parseConfigFile } from '../../../src/config/file.ts'
import { allOptions, FIELDS } from '../../../src/config/options.ts'
import { formatBytes, formatDurationMs, parseBytes, parseDurationMs } from '../../../src/config/quantities.ts'
import { Refusal } from '../../../src/config/refusal.ts'
import { resolveOptions } from '../../../src/config/resolve.ts'
import { NetworkList } from '../../../src/decapsulation/networks.ts'
import type { Random } from '../../../src/demo/traffic/random.ts'
import { Choices } from '../input.ts'
import { mutateBytes, mutateList } from '../mutate.ts'
import { hold, type Target } from '../target.ts'

/** `config` is left out: the fuzzer opens no files that random bytes name. */
const OPTIONS = allOptions()
  .map(({ key }) => key)
  .filter((key) => key !== 'config')
const VALUES = [
  '0', '1', '-1', '2', '4096', '1e3', '0x10', '1.5', '99999999999999999999', 'true', 'off', 'no', 'null', '~', '""', 'auto', '64KiB', '16MiB', '1MB', '5s', '250ms',
  '1h', '1.5m', 'http://a', 'https://u:p@h:8/x', 'http://[::1]:80', 'ftp://h', '127.0.0.1:0', '0.0.0.0:4789', '[::]:6081', 'geneve:127.0.0.1:4789', 'gpe:[fe80::1%eth0]:1',
  '10.0.0.0/8', '::/0', '10.0.0.1/33', '80,443', '1-5', 'GET', 'GET,post', '/api/*', '/**', 'header:x', 'linux', 'first', 'vni', '[1, 2]', '{a: 1}', '- 1', '&a [*a]', '*a',
  '!!binary aa', '!x y', '|\n  text', '2024-01-01', '.inf', '.nan', '0o17', 'a: b', '%', '@', '\u0000', '\u2028', '\ud83d\ude00', '__proto__', 'constructor',
] // biome-ignore format: a list of values

const text = (random: Random): string => {
  const value = random.pick(VALUES)
  return random.chance(0.6)
    ? value
    : mutateBytes(random, Buffer.from(value), Buffer.from(random.pick(VALUES)), 1).toString('utf8')
}

/** One part: the file. */
export const configFile: Target = {
  name: 'config-file',
  fixedParts: 0,
  make(random) {
    const lines = Array.from(
      { length: random.between(0, 12) },
      () => `${flagName(random.pick(OPTIONS))}: ${text(random)}`,
    )
    const file = Buffer.from(mutateList(random, lines, VALUES, random.below(3)).join('\n'))
    return [random.chance(0.6) ? mutateBytes(random, file, Buffer.from(text(random))) : file]
  },
  run([bytes = Buffer.alloc(0)]) {
    const { settings, faults, isRead } = parseConfigFile('c.yaml', bytes.toString('utf8'))
    for (const { message, kind } of faults) {
      hold(kind === 'configuration', `a fault of kind ${kind}`)
      hold(/^c\.yaml:\d+:\d+: ./.test(message), () => `no place in ${JSON.stringify(message)}`)
    }
    return { settings: [...settings.keys()], faults, isRead }
  },
}

/** Part 0: the command, then a name and a value each: flags, or variables where the name begins with a NUL. */
export const configValues: Target = {
  name: 'config-values',
  fixedParts: 0,
  make(random) {
    const parts: Buffer[] = []
    for (let i = random.between(0, 6); i > 0; i--) {
      const key = random.pick(OPTIONS)
      const name = random.chance(0.4) ? `\0${environmentName(key)}` : `--${flagName(key)}`
      const written = Buffer.from(name)
      parts.push(random.chance(0.1) ? mutateBytes(random, written, written, 1) : written, Buffer.from(text(random)))
    }
    return [random.bytes(2), ...parts]
  },
  async run([settings, ...parts]) {
    const choices = new Choices(settings)
    const command = choices.pick(COMMANDS)
    const words: string[] = choices.below(2) === 1 ? ['--to', 'null', '--workers', '1'] : []
    const env: Record<string, string> = {}
    for (let i = 0; i < parts.length; i += 2) {
      const name = parts[i]!.toString('utf8')
      const value = parts[i + 1]?.toString('utf8') ?? ''
      if (/config/i.test(name)) continue
      if (name.startsWith('\0')) env[name.slice(1)] = value
      else words.push(name, value)
    }
    if (words.some((word) => /^--c/.test(word))) return null
    try {
      const { options, warnings } = await resolveOptions(command, parseArguments(command, FIELDS[command], words), env)
      hold(Object.isFrozen(options), 'options that can be changed')
      return inspect({ options, warnings }, { depth: 6 })
    } catch (error) {
      if (!(error instanceof MirrorError)) throw error
      hold(error.code === 'ERR_USAGE' || error.code === 'ERR_CONFIG', () => `refused as ${error.code}`)
      hold(error.message !== '', 'refused without a word')
      return error.message
    }
  },
}

/** One part: the text. */
export const addresses: Target = {
  name: 'addresses-quantities',
  fixedParts: 0,
  make: (random) => [Buffer.from(text(random))],
  run([bytes = Buffer.alloc(0)]) {
    const written = bytes.toString('utf8')
    const hostPort = parseHostPort(written)
    if (!(hostPort instanceof Refusal)) {
      const again = parseHostPort(formatHostPort(hostPort))
      hold(
        !(again instanceof Refusal) && again.host === hostPort.host && again.port === hostPort.port,
        'an address reads back otherwise',
      )
    }
    const network = parseCidr(written)
    if (!(network instanceof Refusal)) {
      const again = parseCidr(network.text)
      hold(!(again instanceof Refusal) && again.words.join() === network.words.join(), 'a network reads back otherwise')
      const list = new NetworkList([network])
      const [a, b = 0, c = 0, d = 0] = network.words
      hold(
        network.family === 4 ? list.hasIpv4(a!) : list.hasIpv6(a!, b, c, d),
        'a network does not hold its own address',
      )
    }
    for (const [parse, format] of [
      [parseBytes, formatBytes],
      [parseDurationMs, formatDurationMs],
    ] as const) {
      const value = parse(written)
      if (value === null) continue
      hold(Number.isSafeInteger(value) && value >= 0, `read as ${value}`)
      hold(parse(format(value)) === value, () => `${value} is written ${format(value)}, which reads otherwise`)
    }
    const origin = parseOrigin(written)
    return inspect([
      hostPort,
      network,
      parseListen(written),
      parseHostName(written),
      parseServerName(written),
      origin instanceof URL ? origin.href : origin,
    ])
  },
}
