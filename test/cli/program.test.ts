import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { MirrorError } from '../../src/base/errors.ts'
import type { HandlerLoaders } from '../../src/cli/commands.ts'
import { MANUALS } from '../../src/cli/manual.ts'
import { runCli } from '../../src/cli/program.ts'
import { COMMANDS, type CommandName, type Field, flagName } from '../../src/config/field.ts'
import { FIELDS } from '../../src/config/options.ts'

const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** The commands that were loaded, with the options they got. */
  readonly calls: readonly (readonly [CommandName, Record<string, unknown>])[]
}

/** Runs a command line whose commands only note what they are given. */
async function cli(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const out: string[] = []
  const err: string[] = []
  const calls: [CommandName, Record<string, unknown>][] = []
  const loaders = Object.fromEntries(
    COMMANDS.map((name) => [
      name,
      async () => ({
        execute: async (options: Record<string, unknown>) => {
          calls.push([name, options])
          return 7
        },
      }),
    ]),
  ) as unknown as HandlerLoaders
  let code: number
  try {
    code = await runCli(argv, env, loaders, { write: (text) => out.push(text) }, { write: (text) => err.push(text) })
  } catch (error) {
    if (!(error instanceof MirrorError)) throw error
    code = error.exitCode
    err.push(error.message)
  }
  return { code, stdout: out.join(''), stderr: err.join(''), calls }
}

/** A command line as an example writes it: words, and words in quotes; what follows a pipe or `>` is another program's. */
function wordsOf(line: string): string[] {
  const own = line.slice(Math.max(0, line.indexOf('mirrorshard'))).split(/ [|>] /)[0]!
  return [...own.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2]!).slice(1)
}

describe('a command line that is right', () => {
  test('gives its command the options and ends with its exit code', async () => {
    const { code, calls, stderr } = await cli([
      'replay',
      'a.pcap',
      '--to=http://s:1',
      '--speed',
      'max',
      '--no-keep-host',
      '-',
    ])
    expect([code, stderr]).toEqual([7, ''])
    expect(calls).toMatchObject([['replay', { files: ['a.pcap', '-'], speed: 'max', keepHost: false }]])
  })

  test('takes words behind -- as files', async () => {
    expect((await cli(['inspect', '--', '--help'])).calls).toMatchObject([['inspect', { files: ['--help'] }]])
  })

  test('is every example that help shows', async () => {
    for (const [name, { examples }] of Object.entries(MANUALS)) {
      for (const { line } of examples) {
        if (line.startsWith('#') || name === 'validate') continue
        const { stderr, stdout, calls } = await cli(wordsOf(line))
        expect([line, stderr]).toEqual([line, ''])
        if (name === 'config') expect(stdout).toContain('json-schema.org')
        else expect(calls).toHaveLength(1)
      }
    }
  })
})

describe('filters', () => {
  const stepsOf = async (line: string, env: NodeJS.ProcessEnv = {}) =>
    (await cli(line.split(' '), env)).calls.map(([, options]) => options.pipeline)

  test('keep the order of the command line, also between different ones', async () => {
    const line = 'inspect a.pcap --allow-path ^/b --deny-method PUT,POST --allow-path ^/a --only-status 2xx,304'
    expect(await stepsOf(`${line} --allow-host *.Example`)).toEqual([
      [
        { name: 'allow-path', pattern: '^/b' },
        { name: 'deny-method', methods: ['PUT', 'POST'] },
        { name: 'allow-path', pattern: '^/a' },
        { name: 'only-status', statuses: ['2xx', '304'] },
        { name: 'allow-host', glob: '*.example' },
      ],
    ])
  })

  test('of the file are a list, which flags replace whole; the environment has no form of them', async () => {
    const path = join(folder, 'filters.yaml')
    writeFileSync(path, 'pipeline:\n  - allow-method: GET,HEAD\n  - only-status: 304\n  - deny-path: ^/h\n')
    const config = `inspect a.pcap --config ${path}`
    expect(await stepsOf(config, { MIRRORSHARD_ALLOW_PATH: '^/x', MIRRORSHARD_PIPELINE: 'x' })).toEqual([
      [
        { name: 'allow-method', methods: ['GET', 'HEAD'] },
        { name: 'only-status', statuses: ['304'] },
        { name: 'deny-path', pattern: '^/h' },
      ],
    ])
    expect(await stepsOf(`${config} --deny-host a`)).toEqual([[{ name: 'deny-host', glob: 'a' }]])
  })

  test.each([
    ['--allow-path (', '--allow-path must be a regular expression (RE2) such as ^/api/, got "(": missing closing )'],
    ['--deny-path (?=a)', '--deny-path must be a regular expression'],
    ['--only-status 2yy', '--only-status must be a status such as 304, or a class such as 2xx, got "2yy"'],
    ['--allow-method get', 'methods are case-sensitive. Did you mean GET?'],
    ['--allow-host a/b', '--allow-host must be a host pattern'],
  ])('%s is refused', async (words, message) => {
    const { code, stderr } = await cli(`inspect a.pcap ${words}`.split(' '))
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)])
  })

  test.each([
    ['pipeline: [{allow-pathh: x}]', '1:12: pipeline must be a list of filters'],
    ['pipeline:\n  - allow-method: GET\n  - allow-path: (', '3:5: pipeline must be a list of filters'],
    ['pipeline: [{allow-path: a, deny-path: b}]', 'each item has exactly one filter'],
    ['allow-path: x', 'allow-path stands in the list pipeline'],
  ])('%j in the file is refused', async (yaml, message) => {
    const path = join(folder, 'wrong.yaml')
    writeFileSync(path, `${yaml}\n`)
    const { code, stderr } = await cli(['inspect', 'a.pcap', '--config', path])
    expect([code, stderr]).toEqual([78, expect.stringContaining(message)])
  })
})

describe('a command line that is wrong ends with 2, starts nothing and says', () => {
  test.each([
    ['run --worker 2', "unknown option --worker for 'run'. Did you mean --workers?"],
    ['run --to null --workers many', '--workers must be an integer from 0 to 256, got "many"'],
    ['run --to null --speed 2', "unknown option --speed for 'run': it belongs to replay"],
    ['run --to null --receivers 0', '--receivers must be an integer from 1 to 64, got 0'],
    ['run --to null --receivers 2 --receiver dgram', '--receivers 2 needs --receiver recvmmsg, got dgram'],
    ['run --to null --receivers 2 --interface lo', '--receivers 2 shares out sockets: with --interface it must be 1'],
    [
      'run --to null --receivers 2 --workers 0',
      '--receivers 2 needs shards in threads of their own: --workers must be at least 1, got 0',
    ],
    [
      'run --to null --keep-host=true',
      '--keep-host takes no value, got "--keep-host=true": write --keep-host or --no-keep-host',
    ],
    ['run --to null extra', 'unexpected argument "extra" for \'run\', which takes options only'],
    ['run --to --workers 2', '--to needs a value, but the option --workers follows'],
    ['run --to', '--to needs a value: an origin such as http://staging:8080, or null to discard'],
    ['run', 'run needs --to URL|null: an origin such as http://staging:8080, or null to discard'],
    ['replay --to null', 'replay needs at least one FILE (- reads standard input)'],
    ['capture --out x.pcap', 'capture needs --interface IFACE: the name of a network interface, such as lo or eth0'],
    ['rpelay a.pcap', 'unknown command "rpelay". Did you mean replay?'],
    ['--workers 2 run', 'the command comes before its options'],
    ['config schem', 'config has one subcommand: config schema, got "schem"'],
    ['validate', 'validate needs --config FILE: the YAML file to check'],
    ['validate --confg x', "unknown option --confg for 'validate'. Did you mean --config?"],
    ['help rum', 'unknown command "rum". Did you mean run?'],
  ])('%s', async (line, message) => {
    const { code, stdout, stderr, calls } = await cli(line.split(' '))
    expect([code, stdout, calls]).toEqual([2, '', []])
    expect(stderr).toContain(`mirrorshard: ${message}`)
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/^Try 'mirrorshard .*--help'\.$/)
  })

  test('all that is wrong, a line each', async () => {
    const { stderr } = await cli('run --wrokers 2 --vnis 3 --percent x --to staging'.split(' '))
    expect(stderr.split('\n').filter((line) => line.startsWith('mirrorshard: '))).toEqual([
      expect.stringContaining('--workers?'),
      expect.stringContaining('--vni?'),
      expect.stringContaining('--to must be'),
      expect.stringContaining('--percent must be'),
    ])
  })

  test('nothing about a missing option that may be the misspelt one', async () => {
    expect((await cli(['run', '--too', 'null'])).stderr).not.toContain('needs')
  })

  test('how it is used, where nothing was said', async () => {
    const { code, stdout, stderr } = await cli([])
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('mirrorshard demo')
  })
})

describe('help', () => {
  test('of the program names every command', async () => {
    const { code, stdout } = await cli(['--help'])
    expect(code).toBe(0)
    for (const name of Object.keys(MANUALS)) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
  })

  test.each(COMMANDS)('of %s begins with examples and has every option with its default', async (name) => {
    const { code, stdout } = await cli([name, '--workers', 'x', '--help'])
    expect(code).toBe(0)
    expect(stdout.indexOf('Examples')).toBeLessThan(stdout.indexOf('--log-level'))
    for (const [key, field] of Object.entries<Field>(FIELDS[name])) {
      // Not a flag.
      if (field.from === 'file') continue
      expect(stdout).toContain(field.from === 'argument' ? 'FILE...' : `  --${flagName(key)}`)
    }
    expect(await cli(['help', name])).toMatchObject({ stdout })
  })

  test.each(['', ...Object.keys(MANUALS)])(
    '%s fits 100 columns and has no blanks at the end of lines',
    async (name) => {
      const { stdout } = await cli([name, '--help'].filter((word) => word !== ''))
      for (const line of stdout.split('\n')) {
        expect(line.length).toBeLessThanOrEqual(100)
        expect(line).toBe(line.trimEnd())
      }
    },
  )
})

test('--version prints the version of package.json', async () => {
  expect(await cli(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/) })
})

test('warnings go to standard error and stop nothing', async () => {
  const { code, stderr } = await cli(['demo'], { MIRRORSHARD_WORKER: '1' })
  expect(code).toBe(7)
  expect(stderr).toBe(
    'mirrorshard: warning: environment variable MIRRORSHARD_WORKER is not read. Did you mean MIRRORSHARD_WORKERS?\n',
  )
})
