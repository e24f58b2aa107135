/** docs/smuggling.md, made from the shapes and from what other programs were seen to make of them (world-readings.json). */
import { escaped } from './escaped.ts'
import { lineOf } from './our-reading.ts'
import type { Reader } from './readers/reader.ts'
import { kindOf, NEXT, SHAPES, type Shape, SMUGGLED } from './smuggling-shapes.ts'

/** What readers made of the shapes. Written by render-smuggling-page.ts where all three programs are there. */
export interface WorldReadings {
  /** Name and version, in the order of the columns. */
  readonly readers: readonly { readonly name: string; readonly version: string }[]
  /** By `keyOf` a shape: one text for each reader. */
  readonly shapes: Readonly<Record<string, readonly string[]>>
}

export const keyOf = ({ family, name }: Shape): string => `${family}: ${name}`

/** `GET /a · POST /b [5] · refused`: requests in order, and how it ended where not with everything read. */
export async function readShapes(reader: Reader): Promise<string[]> {
  const readings = await reader.read(SHAPES.map(({ bytes }) => Buffer.from(bytes + NEXT, 'latin1')))
  return readings.map(({ requests, refusal }) => {
    const lines = requests.map((request) => shortened(lineOf({ ...request, version: '', headers: [] }), 60))
    if (refusal !== null) lines.push('refused')
    else if (requests.at(-1)?.target !== '/next')
      lines.push(requests.length === 0 ? 'waits for more' : 'reads no further')
    return escaped(lines.join(' · '))
  })
}

export function renderSmugglingPage(world: WorldReadings): string {
  const of = (kind: string) => SHAPES.filter((shape) => kindOf(shape) === kind)
  const textsOf = (shape: Shape): readonly string[] => world.shapes[keyOf(shape)] ?? world.readers.map(() => '?')
  const disputed = of('refused').filter((shape) => new Set(textsOf(shape)).size > 1).length
  const fooled = of('refused').filter((shape) => textsOf(shape).some((text) => text.includes('/smuggled'))).length
  const families = [...new Set(SHAPES.map(({ family }) => family))].map((family) => {
    const inFamily = SHAPES.filter((shape) => shape.family === family)
    return [
      `## ${family}\n`,
      table(
        ['refused', 'bytes', 'reason', ...world.readers.map(({ name }) => name)],
        inFamily
          .filter((shape) => kindOf(shape) === 'refused')
          .map((shape) => [shape.name, code(bytesText(shape)), ours(shape), ...textsOf(shape).map(seen)]),
      ),
      table(
        ['dropped alone', 'bytes', 'reason', 'why not more', ...world.readers.map(({ name }) => name)],
        inFamily
          .filter((shape) => kindOf(shape) === 'dropped')
          .map((shape) => [shape.name, code(bytesText(shape)), ours(shape), shape.why!, ...textsOf(shape).map(seen)]),
      ),
      table(
        ['passed on', 'bytes', 'as', 'why', ...world.readers.map(({ name }) => name)],
        inFamily
          .filter((shape) => kindOf(shape) === 'passed on')
          .map((shape) => [shape.name, code(bytesText(shape)), ours(shape), shape.why!, ...textsOf(shape).map(seen)]),
      ),
    ]
      .filter((part) => part !== '')
      .join('\n')
  })
  return `# Request smuggling

<!-- Made by test/differential/render-smuggling-page.ts from smuggling-shapes.ts and world-readings.json beside it. Do not edit: run \`npm run docs\`. -->

A copy of production traffic holds whatever anybody sent to production. If two readers end a message at different places, it can carry a second request
inside the first. Production never executed that request, or executed it as another; a replayer would send it as if it had been real. So what can be read
in two ways is not sent. Nothing after it on that connection and direction is taken for a request; its bytes are counted in \`skippedBytes.afterAmbiguous\`.

There are ${SHAPES.length} shapes, each on its own connection and followed by a request for \`/next\`:

- **${of('refused').length} are refused**, and so is what follows. The three programs to the right disagree among themselves about ${disputed} of these. In ${fooled}, at least one of them sees a request for \`/smuggled\`.
- ${of('dropped').length} are dropped alone, because readers agree where they end.
- ${of('passed on').length} only look like tricks, and are passed on as they are.

A test reads each of them split at every byte.

How to read the tables:

- \`POST /a [5]\` is a request with a body of 5 bytes. A request for \`/next\` that was read as it was sent is left out.
- In *bytes*, \`«smuggled»\` stands for a whole request for \`/smuggled\`, and the line \`Host: a\` is left out.
- The other programs are ${world.readers.map(({ name, version }) => `${name} ${version}`).join(', ')}, with their defaults (nginx with wide limits). What matters is not who is right but that they differ.
- How they are run: [test/differential](../test/differential/README.md). The reasons: [metrics.md](metrics.md).

${families.join('\n')}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(cell).join(' | ')} |\n`).join('')
}

const cell = (text: string) => text.replaceAll('|', '\\|')

/** A code span that may hold backticks. */
const code = (text: string) => (text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``)

function ours(shape: Shape): string {
  const reads = shape.reads.filter((read) => read !== 'GET /next').map((read) => shortened(read, 60))
  if (reads.length === 0) return 'not HTTP'
  return reads.map((read) => code(escaped(read.replace(/^-/, '')))).join(' · ')
}

function seen(text: string): string {
  const parts = text.split(' · ').filter((part) => part !== 'GET /next')
  if (parts.length === 0) return code('GET /next')
  return parts
    .map((part) => {
      if (/^(refused|waits|reads no|\?)/.test(part)) return part
      return part.includes('/smuggled') ? `**${code(part)}**` : code(part)
    })
    .join(' · ')
}

const MOST_BYTES_SHOWN = 130

function bytesText({ bytes }: Shape): string {
  const text = bytes.replaceAll(SMUGGLED, '«smuggled»').replaceAll('Host: a\r\n', '')
  const shown = escaped(text).replaceAll('\\xabsmuggled\\xbb', '«smuggled»')
  return shortened(shown, MOST_BYTES_SHOWN)
}

function shortened(text: string, most: number): string {
  if (text.length <= most) return text
  const part = Math.floor((most - 1) / 2)
  return `${text.slice(0, part)}…${text.slice(-part)}`
}
