/** What is lost so far, in as many words as there is room for. */
import { count, plural } from '../base/plural.ts'
import { fitParts } from './fit-parts.ts'
import { type Totals, total } from './totals.ts'
import { ASKED_FOR, divided, FAILED_OUTCOMES, named } from './verdict.ts'

interface Loss {
  readonly n: number
  /** In full, and after the word `lost`. */
  readonly full: string
  readonly noun: string
}

/** Nothing that was asked for: sampling and filters leave requests out, and lose none. */
function lossesIn(totals: Totals): Loss[] {
  const packets = totals.packetsDropped() - askedFor(totals.packetDrops()) + totals.get('kernelDropped')
  const gaps = totals.get('gaps')
  const requests = totals.requestsDropped() - askedFor(totals.requestDrops())
  const [failed] = divided(totals.outcomes(), FAILED_OUTCOMES)
  return [
    { n: packets, full: `${plural(packets, 'packet')} dropped`, noun: 'packets' },
    { n: gaps, full: plural(gaps, 'gap'), noun: 'gaps' },
    { n: requests, full: `${plural(requests, 'request')} dropped`, noun: 'requests' },
    { n: total(failed), full: `${count(total(failed))} failed (${named(failed)})`, noun: 'failed' },
  ].filter(({ n }) => n > 0)
}

/** In full where two rates have room beside it. */
const ROOM_FOR_RATES = 34

/** Empty where nothing is lost. @param width columns: a loss that does not fit is left out whole, the last first */
export function lossText(totals: Totals, width: number): string {
  const losses = lossesIn(totals)
  if (losses.length === 0) return ''
  const forms = [
    losses.map(({ full }) => full).join(', '),
    `lost: ${losses.map(({ n, noun }) => `${count(n)} ${noun}`).join(', ')}`,
    `lost: ${losses.map(({ n, noun }) => `${short(n)} ${noun}`).join(', ')}`,
  ]
  const brief = forms.slice(1)
  const fitting =
    forms.find((form) => form.length <= width - ROOM_FOR_RATES) ?? brief.find((form) => form.length <= width)
  if (fitting !== undefined) return fitting
  const each = losses.map(({ n, noun }, i) => `${i === 0 ? 'lost: ' : ''}${short(n)} ${noun}`)
  return fitParts(each, width, ', ')
}

/** Requests left out on purpose. */
export function leftOutCount(totals: Totals): number {
  return askedFor(totals.requestDrops())
}

function askedFor(drops: Readonly<Record<string, number>>): number {
  return total(divided(drops, ASKED_FOR)[0])
}

/** `12,345`, `1.2M`: at most six characters. */
export function short(n: number): string {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (n >= size * 10) return `${count(Math.round(n / size))}${unit}`
    if (n >= size && size > 1e3) return `${(n / size).toFixed(1)}${unit}`
  }
  return count(n)
}
