import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseConfigFile, readConfigFile } from '../../src/config/file.ts'

function faultsOf(text: string): string[] {
  return parseConfigFile('m.yaml', text).faults.map(({ message }) => message)
}

describe('a configuration file', () => {
  test('holds options by the names of their flags', () => {
    const { settings, faults } = parseConfigFile(
      'm.yaml',
      'workers: 2\nmax-body-bytes: 1MiB\nlisten: ["0.0.0.0:4789"]\n',
    )
    expect(faults).toEqual([])
    expect([...settings].map(([key, { value }]) => [key, value])).toEqual([
      ['workers', 2],
      ['maxBodyBytes', '1MiB'],
      ['listen', ['0.0.0.0:4789']],
    ])
  })

  test('may be empty, or comments only', () => {
    expect(parseConfigFile('m.yaml', '')).toMatchObject({ faults: [], isRead: true })
    expect(parseConfigFile('m.yaml', '# nothing yet\n---\n')).toMatchObject({ faults: [], isRead: true })
  })

  test('has every fault reported at once, in the order of the file, each with line and column', () => {
    const text = 'workers: many\nlisten:\n  - 0.0.0.0:4789\n  - vxlan:nohost:1\nworker: 3\nhealth:\nports: 80,x\n'
    expect(faultsOf(text)).toEqual([
      'm.yaml:1:10: workers must be an integer from 0 to 256, got "many"',
      'm.yaml:4:5: listen must be [vxlan:|gpe:|geneve:|tzsp:]HOST:PORT, such as 0.0.0.0:4789 or geneve:[::]:6081, got "vxlan:nohost:1": "nohost" is not an IP address',
      'm.yaml:5:1: unknown option "worker". Did you mean workers?',
      'm.yaml:6:1: health must be HOST:PORT, such as 0.0.0.0:8080, or off, got nothing',
      'm.yaml:7:8: ports must be a TCP port from 1 to 65535, got "x"',
    ])
  })

  test('that is not YAML is named with line and column, without a picture of the text', () => {
    expect(faultsOf('to: http://a\nports: [80, 8080\nworkers: 2\n')).toEqual([
      expect.stringMatching(/^m\.yaml:3:1: not valid YAML: [^\n]+$/),
    ])
    expect(faultsOf('workers: 1\nworkers: 2\n')).toEqual(['m.yaml:2:1: not valid YAML: Map keys must be unique'])
    expect(faultsOf('a: 1\n---\nb: 2\n')).toEqual([expect.stringContaining('not valid YAML')])
  })

  test('that is no mapping is refused as a whole', () => {
    expect(faultsOf('- 1\n')).toEqual(['m.yaml:1:1: the file must be a mapping of options, such as "workers: 2"'])
    expect(faultsOf('just words')).toHaveLength(1)
  })

  test.each([
    ['? [a, b]\n: 1\n', '1:3'],
    ['{a: 1}: 2\n', '1:1'],
    ['workers: 2\nlisten:\n  - {[a]: 1}\n', '3:6'],
    ['to: &a [x]\n*a : 1\n', '2:1'],
  ])(
    'with a list or mapping as key is refused where that stands, and node warns of nothing: %j',
    async (text, place) => {
      const warnings: string[] = []
      const hear = (warning: Error) => warnings.push(warning.message)
      process.on('warning', hear)
      expect(faultsOf(text)).toEqual([
        `m.yaml:${place}: a key must be the name of an option, not a list, a mapping or an alias`,
      ])
      await new Promise((resolve) => setImmediate(resolve))
      process.off('warning', hear)
      expect(warnings).toEqual([])
    },
  )

  test('says where what it cannot hold belongs', () => {
    expect(faultsOf('config: x.yaml\n')).toEqual(['m.yaml:1:1: config can be given on the command line only'])
  })

  test('discards with null as a word and as a value of YAML', () => {
    expect(faultsOf('to: null\n')).toEqual([])
    expect(faultsOf('to: "null"\n')).toEqual([])
  })

  test('with aliases that multiply is refused before it fills memory', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (const [name, before] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf'])
      bomb.push(`${name}: &${name} [${Array(10).fill(`*${before}`).join(', ')}]`)
    expect(faultsOf(bomb.join('\n'))).toEqual([expect.stringContaining('not valid YAML')])
  })

  test('never throws, whatever stands in it', () => {
    const pieces = fc.constantFrom(
      'workers',
      'to',
      ':',
      ' ',
      '\n',
      '- ',
      '[',
      '{',
      '"',
      '&a ',
      '*a',
      '!!x ',
      '<<',
      '? ',
      '|',
      '1',
      '__proto__',
      '#',
      '\t',
      '%',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((p) => p.join('')),
        ),
        (text) => {
          for (const message of faultsOf(text)) expect(message).toMatch(/^m\.yaml:\d+:\d+: /)
        },
      ),
    )
  })

  test('with an alias inside what it names is refused in plain words', () => {
    for (const text of ['receivers: &a [*a]\n', 'to: &a {b: *a}\n'])
      expect(faultsOf(text)).toEqual([expect.stringContaining('got a value that contains itself')])
  })

  test('that cannot be read is a fault of the configuration, in plain words', async () => {
    const { faults } = await readConfigFile('no-such-file.yaml')
    expect(faults).toEqual([
      { kind: 'configuration', message: '--config no-such-file.yaml: no such file or directory (ENOENT)' },
    ])
    expect((await readConfigFile('.')).faults[0]?.message).toContain('it is a directory (EISDIR)')
  })
})
