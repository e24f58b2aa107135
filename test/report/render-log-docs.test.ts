import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FIELD_HELP, LOG_EVENTS } from '../../src/report/log-events.ts'
import { renderLogDocs } from '../../src/report/render-log-docs.ts'

test('docs/log.md is what the table of events says (npm run docs writes it)', () => {
  expect(readFileSync(new URL('../../docs/log.md', import.meta.url), 'utf8')).toBe(renderLogDocs())
})

test('every event stands on the page once, and every field is explained and used', () => {
  const page = renderLogDocs()
  for (const name of Object.keys(LOG_EVENTS)) expect(page.split(`<a id="event-${name}"></a>`)).toHaveLength(2)
  const used = new Set<string>(Object.values(LOG_EVENTS).flatMap(({ fields }) => fields))
  expect([...used].sort()).toEqual(Object.keys(FIELD_HELP).sort())
})

test('what ends something is info: whoever looks for trouble finds beginnings only', () => {
  for (const [name, { isEnd, level }] of Object.entries(LOG_EVENTS))
    if (isEnd) expect([name, level]).toEqual([name, 'info'])
})

test('sentences of the page have at most 30 words', () => {
  const cells = renderLogDocs()
    .replaceAll(/```[\s\S]*?```/g, '')
    .split(/[|\n]/)
  const sentences = cells.flatMap((cell) => cell.split(/(?<=[.:;?!])\s+/))
  expect(sentences.filter((sentence) => sentence.split(/\s+/).length > 30)).toEqual([])
})
