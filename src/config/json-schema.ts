/** The JSON Schema of the configuration file: editors complete and check with it. */
import * as z from 'zod'
import { flagName } from './field.ts'
import { STEPS } from './fields/filters.ts'
import { allOptions, fileFields, type OptionEntry } from './options.ts'

/** `mirrorshard config schema`. What a flag takes as text the file takes too: the schema allows any text there. */
export function configFileSchema(): object {
  const fields = fileFields()
  const options = allOptions().filter(({ key }) => key in fields)
  const shape = options.map((option) => {
    const { kind } = fields[option.key]!
    return [flagName(option.key), kind.schema.optional().meta({ description: describe(option) })] as const
  })
  const schema = z.toJSONSchema(
    z.strictObject(Object.fromEntries(shape)).meta({
      title: 'mirrorshard configuration file',
      description: 'Options by the names of their flags. Each command takes those that are its own.',
    }),
    // What a file may hold, not what becomes of it.
    { io: 'input' },
  )
  // Not by meta(): zod takes a default there for the parsed value and leaves it out where the two differ.
  for (const option of options) {
    const name = flagName(option.key)
    const property = schema.properties?.[name]
    if (typeof property !== 'object') continue
    const { default: _, description = '', ...shape } = property
    const widened: Shape = { ...(name === 'pipeline' ? pipelineShape() : asWritten(shape)), description }
    schema.properties![name] = widened
    const { fixedDefault } = option.fields[0]![1]
    const isOne = option.fields.every(([, field]) => String(field.fixedDefault) === String(fixedDefault))
    if (isOne && fixedDefault !== undefined) widened.default = fixedDefault as never
  }
  return schema
}

type Shape = z.core.JSONSchema.BaseSchema

/** What the file may hold beside what zod is handed: numbers and switches as text, one value where a list may stand, numbers where a text may. */
function asWritten(shape: Shape): Shape {
  if (shape.type === 'array') {
    const items = asWritten(shape.items as Shape)
    const most = shape.maxItems === undefined ? {} : { maxItems: shape.maxItems }
    // One text may hold several.
    return { anyOf: [{ type: 'array', items, minItems: 1, ...most }, items, { type: 'string' }] }
  }
  if (shape.type === 'integer' || shape.type === 'number') return { anyOf: [shape, { type: 'string' }] }
  if (shape.type === 'boolean')
    return { anyOf: [shape, { enum: ['true', 'false', 'yes', 'no', 'on', 'off', '1', '0', 1, 0] }] }
  const { anyOf } = shape as { anyOf?: Shape[] }
  if (
    anyOf?.some(({ type }) => type === 'number') &&
    !anyOf.some(({ type, enum: words, const: word }) => type === 'string' && !words && !word)
  )
    return { ...shape, anyOf: [...anyOf, { type: 'string' }] }
  if (shape.type === 'string' && shape.enum === undefined) return { ...shape, type: ['string', 'number'] as never }
  return shape
}

/** Each item has one name. */
function pipelineShape(): Shape {
  const steps = [...STEPS].map(([name, { kind, help }]): Shape => {
    const value = asWritten(z.toJSONSchema(kind.schema, { io: 'input' }) as Shape)
    const { $schema: _, ...rest } = value
    const properties = { [name]: { ...rest, description: help } }
    return { type: 'object', properties, required: [name], additionalProperties: false }
  })
  return { type: 'array', items: { anyOf: steps } }
}

function describe({ fields }: OptionEntry): string {
  const field = fields[0]![1]
  const uses = fields.map(
    ([command, { defaultText }]) => `${command} (${defaultText === '' ? 'required' : `default: ${defaultText}`})`,
  )
  return `${field.help} Expects ${field.kind.expected}. Of ${uses.join(', ')}.`
}
