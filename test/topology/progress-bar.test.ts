/** The bar over files, drawn by its library into a terminal. */
import { expect, test } from 'vitest'
import { ProgressBar } from '../../src/topology/progress-bar.ts'
import { totalsOf } from '../report/support/counts.ts'
import { until } from '../support/until.ts'

test('shows what is lost, in no more columns than there are, and is taken away at the end', async () => {
  const written: string[] = []
  const stream = { isTTY: true, columns: 60, write: (text: string) => written.push(text) }
  const bar = new ProgressBar(1, stream as unknown as NodeJS.WriteStream)
  const totals = totalsOf({
    scalars: { requestsParsed: 1234, gaps: 3 },
    requestDrops: { gap: 2 },
    outcomes: { '2xx': 1000, refused: 7 },
  })
  const shown = () => written.join('').replace(/\x1b\[[?\dA-Za-z;]*?[A-Za-z]/g, '\n')
  await until('the bar is there', () => {
    bar.update(1, 50, 100, () => totals)
    return shown().includes('50%')
  })
  bar.clear()
  const lines = shown().split('\n').filter((line) => line.includes('50%')) // biome-ignore format: one line
  expect(lines[0]).toContain('50%  lost: 3 gaps, 2 requests, 7 failed')
  for (const line of lines) expect(line.trim().length).toBeLessThan(60)
  expect(written.join('')).toContain('\x1b[?25h')
})
