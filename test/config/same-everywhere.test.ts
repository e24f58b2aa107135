/** A value means the same wherever it is given: as a flag, in the environment, in YAML. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { environmentName, type Field, flagName, isSwitch } from '../../src/config/field.ts'
import { STEPS } from '../../src/config/fields/filters.ts'
import { parseConfigFile } from '../../src/config/file.ts'
import { configFileSchema } from '../../src/config/json-schema.ts'
import { fileFields } from '../../src/config/options.ts'
import { environmentSetting, flagSetting, type Setting } from '../../src/config/setting.ts'

const FIELDS = Object.entries(fileFields()).filter(([key]) => key !== 'pipeline')

/** Texts that one kind of option or another takes. */
const TEXTS = [
  '0', '1', '8', '010', '+5', '.5', '2.5', '64', '576', '4096', '65536', '1e3', '1000000', '64k', '9KiB', '64K', '64KB', '64kB', '64KiB', '64 KiB', '1.5MiB', '1MB', '2m', '16MiB', '1GB', '1GiB',
  '512', '512MiB', '1ms', '250ms', '5s', '0.5s', '2m', '1h', '1d', 'off', 'on', 'yes', 'no', 'true', 'false', 'max', 'auto', '100/s', '0.5/s', '80,8080', '80, 8080', '443',
  'GET', 'GET,HEAD', 'PURGE', '/api/*', '/a /b?', '*.js', '10.0.0.0/8', '10.0.0.0/8,fd00::/8', '::1', '127.0.0.1:0', '0.0.0.0:4789', 'geneve:[::]:6081', '0.0.0.0:4789,gpe:127.0.0.1:4790',
  'http://staging:8080', 'https://[::1]:8443', 'staging.internal', 'a.example,b.example', 'cookie', 'cookie,set-cookie', 'header:X-User', 'random', 'client', 'linux', 'five-tuple', 'vlan',
  'ndjson', 'json', 'har', 'base64', 'undici', 'connection', 'info', 'recvmmsg', 'lo', 'eth0', 'tcp port 80', 'a.pem', '/etc/x y.pem', '2024', '0x10', '1_000', '~', '!x', '- 1', '{a', '# no', "it's",
] // biome-ignore format: a list of values

const quoted = (text: string): string => JSON.stringify(text)
/** Whether YAML reads the text as these words without quotes. */
const isPlain = (text: string): boolean =>
  text === text.trim() && /^[\w./*+][\w ./*:+,?[\]-]*$/.test(text) && !/^[*?-]|: |:$| #|^\*/.test(text)

function resultOf(field: Field, setting: Setting | null): unknown {
  if (setting === null) return undefined
  const outcome = field.kind.schema.safeParse(setting.value)
  return outcome.success ? (outcome.data ?? null) : undefined
}

function inYaml(key: string, field: Field, text: string): unknown {
  const { settings, faults } = parseConfigFile('m.yaml', `${flagName(key)}: ${text}\n`)
  return faults.length > 0 ? undefined : resultOf(field, settings.get(key) ?? null)
}

/** The same text in all four ways. @returns whether a flag takes it */
function check(key: string, field: Field, text: string): boolean {
  const asVariable = resultOf(field, environmentSetting(key, field, { [environmentName(key)]: text }))
  const asFlag = isSwitch(field) ? asVariable : resultOf(field, flagSetting(key, field, [text]))
  if (asFlag === undefined) return false
  const where = (name: string) => `${flagName(key)}: ${text} (${name})`
  expect([where('variable'), asVariable]).toEqual([where('variable'), asFlag])
  expect([where('quoted'), inYaml(key, field, quoted(text))]).toEqual([where('quoted'), asFlag])
  if (isPlain(text)) expect([where('plain'), inYaml(key, field, text)]).toEqual([where('plain'), asFlag])
  if (field.kind.separator !== undefined)
    expect([where('item'), inYaml(key, field, `[${quoted(text)}]`)]).toEqual([where('item'), asFlag])
  return true
}

describe('what a flag takes, the environment and YAML take as the same text, with the same result', () => {
  test.each(FIELDS)('%s', (key, field) => {
    const taken = TEXTS.filter((text) => check(key, field, text))
    // Otherwise nothing was asked.
    expect(taken.length).toBeGreaterThan(0)
  })

  test('whatever the text', () => {
    const text = fc.oneof(
      fc.tuple(fc.nat(100_000), fc.constantFrom('', 'k', 'KB', 'MiB', ' gib', 'ms', 's', 'm', 'h', '/s', '.5')).map(([n, unit]) => `${n}${unit}`), // biome-ignore format: one line
      fc.array(fc.constantFrom(...TEXTS), { minLength: 1, maxLength: 3 }).map((words) => words.join(',')),
      fc.string({ minLength: 1 }),
    )
    fc.assert(
      fc.property(fc.constantFrom(...FIELDS), text, ([key, field], words) => {
        if (words.trim() !== '') check(key, field, words)
      }),
      { numRuns: 2000 },
    )
  })
})

test('every option of bytes takes a unit', () => {
  const inBytes = FIELDS.filter(([key, field]) => /Bytes|Limit|HeapMb/.test(key) && !/expires/.test(field.help))
  expect(inBytes.length).toBeGreaterThan(12)
  const refused = inBytes.filter(([key, field]) => !TEXTS.filter((text) => /[kmg]i?b/i.test(text)).some((text) => check(key, field, text))) // biome-ignore format: one line
  expect(refused.map(([key]) => key)).toEqual([])
})

test('a number that only YAML writes so is taken as YAML reads it', () => {
  expect(inYaml('maxFlows', fileFields().maxFlows!, '1e6')).toBe(1_000_000)
})

test('a text in a list may hold several items, and a fault in it is named where it stands', () => {
  const { settings, faults } = parseConfigFile('m.yaml', 'ports:\n  - 80,81\n  - 82\n  - "83,x"\n')
  expect(settings.get('ports')?.value).toEqual([80, 81, 82, 83, 'x'])
  expect(faults.map(({ message }) => message)).toEqual([
    'm.yaml:4:5: ports must be a TCP port from 1 to 65535, got "x"',
  ])
})

describe('the JSON Schema', () => {
  const schema = z.fromJSONSchema(configFileSchema() as never)

  test('takes whatever the file takes', () => {
    const wrong: string[] = []
    for (const [key, field] of FIELDS) {
      const name = flagName(key)
      const taken = TEXTS.filter((text) => resultOf(field, environmentSetting(key, field, { [environmentName(key)]: text })) !== undefined) // biome-ignore format: one line
      for (const text of taken) {
        const values: unknown[] = [text]
        if (/^[1-9]\d*$/.test(text)) values.push(Number(text))
        if (field.kind.separator !== undefined) values.push([text])
        for (const value of values)
          if (!schema.safeParse({ [name]: value }).success) wrong.push(`${name}: ${JSON.stringify(value)}`)
      }
    }
    expect(wrong).toEqual([])
  })

  test('names every filter of the pipeline', () => {
    for (const name of STEPS.keys()) {
      const value = name === 'only-status' ? 304 : 'GET'
      expect([name, schema.safeParse({ pipeline: [{ [name]: value }] }).success]).toEqual([name, true])
    }
    expect(schema.safeParse({ pipeline: [{ 'allow-pathh': 'x' }] }).success).toBe(false)
    expect(schema.safeParse({ workers: { a: 1 } }).success).toBe(false)
  })
})
