/**
 * Writes docs/smuggling.md. `--ask`: asks node:http, http-parser-js and nginx first, and keeps what they say in world-readings.json:
 * with other versions of them, or when a shape is new.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { NginxProgram, NginxReader, nginxVersion } from './readers/nginx.ts'
import { NodeHttpReader } from './readers/node-http.ts'
import { ParserJsReader } from './readers/parser-js.ts'
import { keyOf, readShapes, renderSmugglingPage, type WorldReadings } from './smuggling-page.ts'
import { SHAPES } from './smuggling-shapes.ts'

const READINGS = 'test/differential/world-readings.json'

async function ask(): Promise<WorldReadings> {
  const version = nginxVersion()
  if (version === null) throw new Error('nginx is not on PATH: install nginx-light')
  const nginx = await NginxProgram.start(1)
  const readers = [await NodeHttpReader.open(), new ParserJsReader(), new NginxReader(nginx, 0, version)]
  const columns: string[][] = []
  for (const reader of readers) columns.push(await readShapes(reader))
  for (const reader of readers) await reader.close()
  await nginx.close()
  return {
    readers: readers.map(({ name, version }) => ({ name, version })),
    shapes: Object.fromEntries(SHAPES.map((shape, i) => [keyOf(shape), columns.map((column) => column[i]!)])),
  }
}

if (process.argv.includes('--ask')) writeFileSync(READINGS, `${JSON.stringify(await ask(), null, 2)}\n`)
const world = JSON.parse(readFileSync(READINGS, 'utf8')) as WorldReadings
writeFileSync('docs/smuggling.md', renderSmugglingPage(world))
