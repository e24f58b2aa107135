import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { flagName } from '../../src/config/field.ts'
import { parseConfigFile } from '../../src/config/file.ts'
import { configFileSchema } from '../../src/config/json-schema.ts'
import { fileFields } from '../../src/config/options.ts'
import { renderConfigurationDocs } from '../../src/config/render-docs.ts'

test('docs/configuration.md is what the options say (npm run docs writes it)', () => {
  expect(readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')).toBe(renderConfigurationDocs())
})

test('the YAML in the docs is a valid configuration file', () => {
  const example = /```yaml\n([^`]*)```/.exec(renderConfigurationDocs())?.[1] ?? ''
  const { settings, faults } = parseConfigFile('docs', example)
  expect(faults).toEqual([])
  expect(settings.size).toBe(7)
})

describe('the JSON Schema of the configuration file', () => {
  const schema = configFileSchema() as {
    properties: Record<string, { default?: unknown; description: string }>
    additionalProperties: boolean
    required?: string[]
  }

  test('has every option a file may hold, none required, and no other', () => {
    expect(Object.keys(schema.properties).sort()).toEqual(Object.keys(fileFields()).map(flagName).sort())
    expect(schema.additionalProperties).toBe(false)
    expect(schema.required).toBeUndefined()
  })

  test('gives defaults that a file may hold', () => {
    const defaults = Object.entries(schema.properties).flatMap(([name, { default: value }]) =>
      value === undefined ? [] : [`${name}: ${JSON.stringify(value)}`],
    )
    expect(defaults.length).toBeGreaterThan(30)
    expect(parseConfigFile('defaults', defaults.join('\n')).faults).toEqual([])
  })

  test('gives no default where commands differ about it', () => {
    expect(schema.properties['reorder-window-ms']).not.toHaveProperty('default')
    expect(schema.properties['reorder-window-ms']?.description).toContain('run (default: 2s), replay (default: 1m)')
  })

  test('does not depend on the machine', () => {
    expect(schema.properties.workers).not.toHaveProperty('default')
  })
})
