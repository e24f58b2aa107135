import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { MirrorError } from '../../src/base/errors.ts'
import { type CommandName, environmentName, type Field, flagName } from '../../src/config/field.ts'
import { allOptions, FIELDS, type OptionsOf } from '../../src/config/options.ts'
import { resolveOptions, validateConfigFile } from '../../src/config/resolve.ts'

const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function yaml(text: string): string {
  const path = join(folder, `${files++}.yaml`)
  writeFileSync(path, text)
  return path
}

interface Input {
  readonly flags?: Readonly<Record<string, readonly string[] | boolean>>
  readonly files?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

async function resolve<C extends CommandName>(
  command: C,
  { flags = {}, files = [], env = {} }: Input,
): Promise<OptionsOf<C>> {
  const given = { flags: new Map(Object.entries(flags)), arguments: files, faults: [] }
  return (await resolveOptions(command, given, env)).options
}

async function refusal(command: CommandName, input: Input): Promise<{ exitCode: number; lines: string[] }> {
  const error = await resolve(command, input).catch((e: unknown) => e)
  if (!(error instanceof MirrorError)) throw new Error('nothing was refused')
  return { exitCode: error.exitCode, lines: error.message.split('\n') }
}

describe('an option', () => {
  test('comes from the flag, else the environment, else the file, else its default', async () => {
    const config = yaml('workers: 3\nto: "null"\n')
    const env = { MIRRORSHARD_WORKERS: '2', MIRRORSHARD_CONFIG: config }
    expect((await resolve('run', { flags: { workers: ['1'] }, env })).workers).toBe(1)
    expect((await resolve('run', { env })).workers).toBe(2)
    expect((await resolve('run', { flags: { config: [config] } })).workers).toBe(3)
    expect((await resolve('run', { flags: { to: ['null'] } })).workers).toBeGreaterThanOrEqual(1)
  })

  test('given twice as a flag has the later value, unless it is a list', async () => {
    const options = await resolve('run', {
      flags: { to: ['http://a', 'http://b'], ports: ['80,81', '82'], include: ['/a,b', '/c'] },
    })
    expect(options.to?.host).toBe('b')
    expect(options.ports).toEqual([80, 81, 82])
    expect(options.include).toEqual(['/a,b', '/c'])
  })

  test('that is a switch can be turned off by a flag where the file turned it on', async () => {
    const config = [yaml('keep-host: true\nto: null\n')]
    expect((await resolve('run', { flags: { config } })).keepHost).toBe(true)
    expect((await resolve('run', { flags: { config, keepHost: false } })).keepHost).toBe(false)
    expect((await resolve('run', { flags: { config }, env: { MIRRORSHARD_KEEP_HOST: 'no' } })).keepHost).toBe(false)
  })

  test('of the environment that is set to nothing is not set', async () => {
    expect((await resolve('inspect', { files: ['a'], env: { MIRRORSHARD_FORMAT: '' } })).format).toBe('ndjson')
  })

  test('may have a default of its own in each command', async () => {
    const live = await resolve('run', { flags: { to: ['null'] } })
    const offline = await resolve('replay', { flags: { to: ['null'] }, files: ['a.pcap'] })
    expect([live.reorderWindowMs, offline.reorderWindowMs]).toEqual([2000, 60_000])
    expect(live.allowFrom?.map(({ text }) => text)).toContain('169.254.0.0/16')
    expect(offline.allowFrom).toBeNull()
    expect(live.admin).toEqual({ host: '127.0.0.1', port: 9464 })
    expect((await resolve('demo', {})).admin).toEqual({ host: '127.0.0.1', port: 0 })
  })

  test('that bounds a time may be turned off by `off`, or by 0', async () => {
    const maxPause = async (text: string) =>
      (await resolve('replay', { flags: { to: ['null'], maxPause: [text] }, files: ['a.pcap'] })).maxPause
    expect(await Promise.all(['off', '0', '250', '90s', '2m'].map(maxPause))).toEqual([
      null,
      null,
      250,
      90_000,
      120_000,
    ])
    const config = [yaml('to: null\nmax-pause: off\n')]
    expect((await resolve('replay', { flags: { config }, files: ['a.pcap'] })).maxPause).toBeNull()
    const { lines } = await refusal('replay', { flags: { to: ['null'], maxPause: ['soon'] }, files: ['a.pcap'] })
    expect(lines.join()).toContain('--max-pause must be a time from 1ms to 8760h (such as 500ms, 60s, 5m), or off')
  })

  test('that addresses a server is turned off by `off`', async () => {
    const options = await resolve('run', { flags: { to: ['null'], admin: ['off'], health: ['0.0.0.0:80'] } })
    expect([options.admin, options.health]).toEqual([null, { host: '0.0.0.0', port: 80 }])
  })

  test.each([
    ['random', { by: 'random' }],
    ['header:X-User', { by: 'header', name: 'x-user' }],
  ])('--sample-by %s', async (text, value) => {
    expect((await resolve('run', { flags: { to: ['null'], sampleBy: [text] } })).sampleBy).toEqual(value)
  })

  test('--rate and --speed are numbers, with the words they allow', async () => {
    const replay = async (flags: Record<string, string[]>) =>
      await resolve('replay', { flags: { to: ['null'], ...flags }, files: ['a'] })
    expect((await replay({ rate: ['100'] })).rate).toBe(100)
    expect((await replay({ rate: ['0.5/s'] })).rate).toBe(0.5)
    expect((await replay({ speed: ['2.5'] })).speed).toBe(2.5)
    expect((await replay({ speed: ['max'] })).speed).toBe('max')
    expect((await replay({})).rate).toBeNull()
  })
})

test('the options of a command are frozen through and through', async () => {
  const options = await resolve('run', { flags: { to: ['null'], include: ['/a'] } })
  expect(Object.isFrozen(options)).toBe(true)
  expect(Object.isFrozen(options.include)).toBe(true)
  expect(Object.isFrozen(options.listen[0])).toBe(true)
})

describe('what is wrong', () => {
  test('on the command line is reported all at once, with exit code 2', async () => {
    const flags = { workers: ['many'], percent: ['101'], overlap: ['linus'], ports: ['80,x'] }
    expect(await refusal('run', { flags })).toEqual({
      exitCode: 2,
      lines: expect.arrayContaining([
        '--workers must be an integer from 0 to 256, got "many"',
        '--percent must be a number from 0 to 100, got 101',
        '--overlap must be linux, first or last, got "linus". Did you mean linux?',
        '--ports must be a TCP port from 1 to 65535, got "x"',
        'run needs --to URL|null: an origin such as http://staging:8080, or null to discard',
      ]),
    })
  })

  test('in a list that is too long is the list', async () => {
    const vxlanPort = [Array.from({ length: 17 }, (_, i) => i + 1).join(',')]
    const { lines } = await refusal('inspect', { files: ['a'], flags: { vxlanPort } })
    expect(lines[0]).toMatch(/^--vxlan-port must be a list, each item a UDP port from 1 to 65535, at most 16 of them/)
  })

  test('in the environment is named by its variable, with exit code 78', async () => {
    expect(await refusal('inspect', { files: ['a'], env: { MIRRORSHARD_WORKERS: '-1' } })).toEqual({
      exitCode: 78,
      lines: ['environment variable MIRRORSHARD_WORKERS must be an integer from 0 to 256, got -1'],
    })
  })

  test('in the file is named by line and column, with exit code 78, also for options of other commands', async () => {
    const path = yaml('speed: fast\n')
    expect(await refusal('run', { flags: { to: ['null'], config: [path] } })).toEqual({
      exitCode: 78,
      lines: [`${path}:1:8: speed must be a factor above 0 (such as 1 or 2.5) or max, got "fast"`],
    })
  })

  test('in the file is not hidden by an option called missing because the file says it wrongly', async () => {
    expect(await refusal('run', { flags: { config: [yaml('too: http://a\n')] } })).toMatchObject({ exitCode: 78 })
    const unreadable = await refusal('run', { flags: { config: [yaml('to: [\n')] } })
    expect(unreadable).toEqual({ exitCode: 78, lines: [expect.stringContaining('not valid YAML')] })
  })

  test.each([
    'http://user:secret@staging',
    'http://user:top@secret@staging',
    'http://user:top/secret@staging',
    'http://user:"secret@staging',
    'http://user:secret?x@staging',
    'http://user@secret@staging/x',
    'http://user/secret@staging',
    'user:secret@staging',
    'user:top@secret@staging',
    'ftp://user:top/secret@staging',
  ])('prints no password: %s', async (to) => {
    const { lines } = await refusal('run', { flags: { to: [to] } })
    expect(lines.join()).toContain('--to must be an origin')
    expect(lines.join()).not.toContain('secret')
  })

  test.each([
    [
      'run',
      { listen: ['0.0.0.0:1'], interface: ['lo'] },
      '--interface takes packets instead of --listen: give one of the two',
    ],
    ['run', { filter: ['tcp'] }, '--filter works on --interface, which is not given'],
    ['run', { listen: ['0.0.0.0:1', '0.0.0.0:1'] }, '--listen: 0.0.0.0 port 1 is given twice'],
    [
      'run',
      { outOfOrderBytes: ['128MiB'] },
      '--out-of-order-bytes (128MiB, for one direction) must not be above --out-of-order-total-bytes (64MiB, for all)',
    ],
    ['replay', { loop: ['2'] }, '--loop 2 needs files: standard input (-) can be read only once'],
  ] as const)('between options of %s is found too: %j', async (command, flags, line) => {
    expect(
      await refusal(command, { flags: { to: ['null'], ...flags }, files: command === 'replay' ? ['-'] : [] }),
    ).toEqual({ exitCode: 2, lines: [line] })
  })
})

test('--interface on the command line goes before listen in the file', async () => {
  const options = await resolve('run', {
    flags: { interface: ['lo'], config: [yaml('listen: ["0.0.0.0:4789"]\nto: null\n')] },
  })
  expect(options.interface).toBe('lo')
})

test('a variable that looks like a slip gets a warning, and those of a Kubernetes service do not', async () => {
  const given = { flags: new Map(), arguments: ['a'], faults: [] }
  const env = {
    MIRRORSHARD_FORMATT: 'har',
    MIRRORSHARD_PORT: 'tcp://10.0.0.1:80',
    MIRRORSHARD_SERVICE_PORT: '80',
    MIRRORSHARD_DEBUG: '1',
    MIRRORSHARD_QQQQ: '',
  }
  expect((await resolveOptions('inspect', given, env)).warnings).toEqual([
    'environment variable MIRRORSHARD_FORMATT is not read. Did you mean MIRRORSHARD_FORMAT?',
  ])
})

test('bodies longer than a worker has memory for get a warning, whoever asked for them; others do not', async () => {
  const warningsOf = async (flags: Readonly<Record<string, readonly string[]>>, env = {}) => {
    const given = { flags: new Map(Object.entries({ to: ['null'], ...flags })), arguments: null, faults: [] }
    return (await resolveOptions('run', given, env)).warnings
  }
  const limited = { memoryLimit: ['512MiB'], workers: ['4'] }
  expect(await warningsOf(limited)).toEqual([])
  expect(await warningsOf({ ...limited, maxBodyBytes: ['8MiB'] })).toEqual([])
  const warning = expect.stringMatching(
    /^environment variable MIRRORSHARD_MAX_BODY_BYTES 64MiB is more than the \d+MiB of --message-bytes that each worker has: longer bodies will be dropped as memoryLimit$/,
  )
  expect(await warningsOf(limited, { MIRRORSHARD_MAX_BODY_BYTES: '64MiB' })).toEqual([warning])
})

describe('validate', () => {
  test('counts the options of a file that is right', async () => {
    const path = yaml('to: http://staging\nspeed: max\nformat: har\nfilter: tcp\n')
    expect(await validateConfigFile(path, {})).toMatchObject({ count: 4, lacksTarget: false })
  })

  test('finds what options say about each other', async () => {
    const path = yaml('out-of-order-bytes: 128MiB\n')
    await expect(validateConfigFile(path, {})).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining(`${path}:1:21: out-of-order-bytes (128MiB`),
    })
  })
})

describe('the table of options', () => {
  test('has one kind of value per option, whatever command it is of: a file serves them all', () => {
    for (const { key, fields } of allOptions()) {
      const texts = new Set(fields.map(([, { kind }]) => kind.expected))
      expect([key, ...texts]).toHaveLength(2)
    }
  })

  test('gives every default in a form that the option itself accepts', () => {
    for (const fields of Object.values(FIELDS)) {
      for (const [key, field] of Object.entries<Field>(fields)) {
        if (field.fixedDefault === undefined) continue
        expect([key, field.kind.schema.safeParse(field.fixedDefault).data]).toEqual([
          key,
          field.schema.parse(undefined),
        ])
      }
    }
  })

  test('names options the same way everywhere', () => {
    expect(flagName('maxFlows')).toBe('max-flows')
    expect(environmentName('maxFlows')).toBe('MIRRORSHARD_MAX_FLOWS')
  })

  test('says something about every option, in sentences', () => {
    for (const { key, fields } of allOptions()) {
      for (const [, field] of fields)
        expect([key, field.help, field.reason ?? '.']).toEqual([
          key,
          expect.stringMatching(/\.$/),
          expect.stringMatching(/\.$/),
        ])
    }
  })
})
