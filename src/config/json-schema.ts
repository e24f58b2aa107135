/** The JSON Schema of the configuration file: editors complete and check with it. */
import * as z from 'zod'
import { flagName } from './field.ts'
import { allOptions, fileFields, type OptionEntry } from './options.ts'

/** `mirrorshard config schema`. Sizes and times may carry a unit, which the schema allows as any text. */
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
    const property = schema.properties?.[flagName(option.key)]
    const { fixedDefault } = option.fields[0]![1]
    const isOne = option.fields.every(([, field]) => String(field.fixedDefault) === String(fixedDefault))
    if (typeof property === 'object' && isOne && fixedDefault !== undefined) property.default = fixedDefault as never
  }
  return schema
}

function describe({ fields }: OptionEntry): string {
  const field = fields[0]![1]
  const uses = fields.map(
    ([command, { defaultText }]) => `${command} (${defaultText === '' ? 'required' : `default: ${defaultText}`})`,
  )
  return `${field.help} Expects ${field.kind.expected}. Of ${uses.join(', ')}.`
}
