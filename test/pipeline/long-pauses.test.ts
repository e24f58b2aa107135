import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { framesOf } from '../security/support/captured-frames.ts'
import { folder, run } from '../security/support/program.ts'
import { pcapFile } from '../sources/files/capture-builder.ts'

const START_S = Date.parse('2026-11-28T12:00:00Z') / 1000
const DAY = 86_400

/** A capture of whole connections, a millisecond between their frames, each moved by the seconds that `away` says. @returns its path */
function capture(connections: number, away: (frame: number) => number): string {
  const talk = { request: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', response: 'HTTP/1.1 204 No Content\r\n\r\n' }
  const frames = framesOf(Array.from({ length: connections }, () => talk))
  const path = join(folder(), 'traffic.pcap')
  const packets = frames.map((data, i) => ({ data, seconds: START_S + away(i), fraction: i * 1000 }))
  writeFileSync(path, pcapFile(packets))
  return path
}

function warnings(stderr: string): string[] {
  return stderr.split('\n').filter((line) => line.includes('warning'))
}

describe('replay of a capture with wrong time stamps', () => {
  test('ends without waiting for them, says what was skipped in one line, and replays every request', async () => {
    const file = capture(3, (i) => (i === 8 ? DAY : 0))
    const { code, stderr } = await run(['replay', file, '--to', 'null', '--workers', '0', '--max-pause', '20ms'])
    expect(code).toBe(0)
    expect(warnings(stderr)).toEqual([
      'mirrorshard: warning: the capture pauses for 24 h 0 min before its packet of 2026-11-29T12:00:00.008Z: ' +
        '24 h 0 min of that are skipped, --max-pause waits no longer than 20 ms',
    ])
    expect(stderr).toContain('3 parsed, 3 discarded')
  })

  test('names the first few pauses it cuts short, and counts the others', async () => {
    const file = capture(2, (i) => i * DAY)
    const { code, stderr } = await run(['replay', file, '--to', 'null', '--workers', '0', '--max-pause', '2ms'])
    expect(code).toBe(0)
    const lines = warnings(stderr)
    expect(lines).toHaveLength(4)
    expect(lines[3]).toMatch(/^mirrorshard: warning: \d+ further pauses cut short, \d+ days skipped \(--max-pause\)$/)
  })

  test('says nothing where nothing is waited for', async () => {
    const file = capture(2, (i) => i * DAY)
    const { code, stderr } = await run(['replay', file, '--to', 'null', '--workers', '0', '--speed', 'max'])
    expect([code, warnings(stderr)]).toEqual([0, []])
  })
})
