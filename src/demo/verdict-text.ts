/** The verdict as a person reads it: one sentence, a table, where the time went. At most 80 columns wide. */
import { count, plural } from '../base/plural.ts'
import type { Summary } from '../report/summary.ts'
import { total } from '../report/totals.ts'
import type { HarnessState } from './harness.ts'
import { isPerfect, type Verdict } from './judge.ts'
import type { Tally } from './traffic/tally.ts'

const WIDTH = 80
const LABEL = 12

type Row = readonly [label: string, n: number]

export function verdictSentence(verdict: Verdict): string {
  if (isPerfect(verdict))
    return `Passed: ${plural(verdict.sent, 'request')} sent, each arrived exactly once, byte-exact and in order.`
  const faults: Row[] = [
    ['altered', verdict.altered],
    ['missing', verdict.missing],
    ['arrived twice', verdict.duplicates],
    ['invented', verdict.invented],
    ['out of order', verdict.outOfOrder],
  ]
  const named = faults.filter(([, n]) => n > 0).map(([what, n]) => `${count(n)} ${what}`)
  return `Failed: of ${plural(verdict.sent, 'request')} ${named.join(', ')}.`
}

/** Everything after the sentence. */
export function verdictDetails(state: HarnessState, summary: Summary): string[] {
  const { verdict, tally } = state
  return [
    ...verdict.examples.map((example) => `  ${example}`),
    ...(verdict.examples.length > 0 ? [''] : []),
    ...sideBySide(requestRows(verdict), packetRows(state, summary)),
    '',
    ...reasons(summary),
    ...wrapped('traffic', trafficItems(tally)),
    ...wrapped('', networkItems(tally)),
    ...wrapped('latency', latencyItems(summary)),
    ...wrapped('throughput', throughputItems(state, summary)),
  ]
}

function requestRows(verdict: Verdict): Row[] {
  const { sent, exact, altered, missing, duplicates, invented, outOfOrder } = verdict
  return [
    ['sent', sent],
    ['replayed', exact + altered + duplicates + invented],
    ['byte-exact', exact],
    ['altered', altered],
    ['missing', missing],
    ['duplicate', duplicates],
    ['invented', invented],
    ['out of order', outOfOrder],
  ]
}

function packetRows({ packetsSent }: HarnessState, { packets }: Summary): Row[] {
  return [
    ['sent', packetsSent],
    ['lost in the kernel', packets.kernelDropped ?? Math.max(0, packetsSent - packets.received)],
    ['received', packets.received],
    ['reassembled (TCP)', packets.processed - packets.other],
    ['without TCP', packets.other],
    ['dropped', total(packets.dropped)],
  ]
}

function sideBySide(left: readonly Row[], right: readonly Row[]): string[] {
  const lines = [`  ${'requests'.padEnd(34)}packets`]
  for (let i = 0; i < Math.max(left.length, right.length); i++)
    lines.push(`  ${cell(left[i], 14, 10)}          ${cell(right[i], 20, 10)}`.trimEnd())
  return lines
}

function cell(row: Row | undefined, label: number, number: number): string {
  return row === undefined ? ' '.repeat(label + number) : row[0].padEnd(label) + count(row[1]).padStart(number)
}

/** Of drops, by what they are called in the metrics. Nothing when there are none. */
function reasons({ packets, requests, flows }: Summary): string[] {
  const named = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).map(([reason, n]) => `${reason} ${count(n)}`)
  const failed = Object.entries(requests.replayed).filter(([outcome]) => !/^[1-5]xx$/.test(outcome))
  return [
    ...wrapped('requests', [...named(requests.dropped), ...named(Object.fromEntries(failed))]),
    ...wrapped('packets', named(packets.dropped)),
    ...wrapped('', flows.gaps > 0 ? [plural(flows.gaps, 'gap')] : []),
  ]
}

function trafficItems(tally: Tally): string[] {
  return [
    plural(tally.connections, 'connection'),
    `${count(tally.withBody)} requests with body`,
    `${count(tally.chunked)} chunked`,
    `${count(tally.pipelined)} pipelined`,
    `${count(tally.continued)} with 100-continue`,
  ]
}

function networkItems(tally: Tally): string[] {
  const others = tally.tlsFrames + tally.dnsFrames + tally.arpFrames
  return [
    `${count(tally.reordered)} segments out of order`,
    `${count(tally.duplicated)} repeated`,
    `${count(tally.overlapping)} overlapping`,
    `${count(tally.oneByte)} of one byte`,
    `${count(tally.fragments)} IP fragments`,
    `${count(tally.ipv6)} frames IPv6`,
    `${count(tally.vlan)} with VLAN tags`,
    `${count(others)} of TLS, DNS, ARP`,
    `${plural(tally.wrapped, 'connection')} past sequence number 2^32`,
    `${tally.vnis} VNIs`,
  ]
}

function latencyItems({ latencyMs }: Summary): string[] {
  const ms = (value: number) => `${value < 10 ? value.toFixed(2) : Math.round(value)} ms`
  return [
    `p50 ${ms(latencyMs.p50)}`,
    `p90 ${ms(latencyMs.p90)}`,
    `p99 ${ms(latencyMs.p99)}`,
    `max ${ms(latencyMs.max)} (request to whole answer)`,
  ]
}

function throughputItems({ verdict, packetsSent, arrivingMs, sendingMs }: HarnessState, summary: Summary): string[] {
  const perSecond = (n: number, ms: number) => count(ms > 0 ? Math.round((n / ms) * 1000) : 0)
  const { seconds, cpuSeconds } = summary
  return [
    `${perSecond(verdict.exact, arrivingMs)} requests/s`,
    `${perSecond(packetsSent, sendingMs)} packets/s`,
    `${seconds.toFixed(1)} s in all, ${cpuSeconds.toFixed(1)} s of CPU with sender and origin`,
  ]
}

/** Items after a label, separated by commas, on as many lines as they need. Nothing without items. */
function wrapped(label: string, items: readonly string[]): string[] {
  const lines: string[] = []
  let line = ''
  for (const [i, item] of items.entries()) {
    const text = i < items.length - 1 ? `${item},` : item
    if (line !== '' && 2 + LABEL + line.length + 1 + text.length > WIDTH) {
      lines.push(line)
      line = text
    } else line = line === '' ? text : `${line} ${text}`
  }
  if (line !== '') lines.push(line)
  return lines.map((text, i) => `  ${(i === 0 ? label : '').padEnd(LABEL)}${text}`)
}
